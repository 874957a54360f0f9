"""Known shapes and colours through video files: what goes in comes out, upright, round, and within two levels."""

import itertools
import struct
import subprocess

import imageio_ffmpeg
import numpy as np
import PIL.features
import PIL.Image
import pytest

from stylegan_v_ext.data.ffmpeg import FfmpegError, VideoReader
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.video import colours

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
EXACT = ("-c:v", "ffv1")
LOSSLESS_RGB = ("-c:v", "libx264rgb", "-qp", "0", "-pix_fmt", "rgb24")


def encode(path, frames, *options, form="rgb24", fps=25, before=()):
    """An array of frames through ffmpeg; form: FFmpeg's name of the pixels; before: options of the input."""
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    command = [FFMPEG, "-v", "error", "-y", *before, "-f", "rawvideo", "-pix_fmt", form, "-s", size, "-r", str(fps)]
    subprocess.run([*command, "-i", "-", *options, f"file:{path}"], input=frames.tobytes(), check=True)
    return path


def read(path, geometry=None, fps=None):
    reader = VideoReader(str(path), geometry, fps)
    frames = np.stack(list(itertools.islice(reader, 200)))
    assert not reader.damage, reader.damage
    return reader, frames


def plain(colour, count=2, side=32, dtype=np.uint8):
    return np.broadcast_to(np.array(colour, dtype=dtype), [count, side, side, len(colour)]).copy()


def disc(width, height, aspect, radius, spot=True):
    """A white disc of so many rows in the middle, round if pixels are `aspect` wide, with a grey spot on top."""
    y, x = np.mgrid[:height, :width]
    x, y = (x - (width - 1) / 2) * aspect, y - (height - 1) / 2
    picture = np.zeros([3, height, width, 3], np.uint8)
    picture[:, x**2 + y**2 < radius**2] = 255
    if spot:
        picture[:, (x**2 + (y + radius * 0.5) ** 2) < (radius / 3) ** 2] = 100
    return picture


def extent(frame):
    """(columns, rows) of a white disc, to parts of a pixel."""
    light = frame[..., 0].astype(float) / 255
    return light.max(axis=0).sum(), light.max(axis=1).sum()


TURNS = {0: (0, -1), 90: (1, 0), 180: (0, 1), 270: (-1, 0)}  # where the top of the stored picture is seen: (x, y)


@pytest.mark.parametrize("transform", ["center-crop", "fit", "center-crop-wide", None])
def test_circles_stay_round_and_up_stays_up(tmp_path, transform):
    size = {"center-crop-wide": (64, 36)}.get(transform, (64, 64))
    geometry = Geometry(size, transform) if transform else None
    aspects, sizes = [(2, 1), (1, 2), (16, 11), (8, 9)] * 2, [(96, 64), (65, 97)] * 4
    for (num, den), turn, (width, height) in zip(aspects, [0, 90, 180, 270, 90, 0, 270, 180], sizes, strict=True):
        path = tmp_path / f"{num}-{den}-{turn}.mov"
        radius = min(height, width * num / den, 64 if transform is None else 1000) * (0.25 if size[1] < 64 else 0.4)
        frames = disc(width, height, num / den, radius)
        encode(tmp_path / "flat.mov", frames, "-vf", f"setsar={num}/{den}", *LOSSLESS_RGB)
        turned = [
            FFMPEG,
            "-v",
            "error",
            "-y",
            "-display_rotation",
            str(-turn),
            "-i",
            tmp_path / "flat.mov",
            "-c",
            "copy",
            path,
        ]
        subprocess.run(turned, check=True)
        reader, seen = read(path, geometry)
        wide, high = extent(seen[1])
        assert abs(wide - high) <= 2 and wide > 6, (path.name, wide, high)
        rows, columns = np.nonzero(np.abs(seen[1][..., 0].astype(int) - 100) < 8)
        centre = (np.array(seen.shape[1:3]) - 1) / 2
        spot = np.array([columns.mean() - centre[1], rows.mean() - centre[0]])
        assert np.argmax(np.abs(spot)) == np.argmax(np.abs(TURNS[turn])), (path.name, spot)
        assert np.sign(spot[np.argmax(np.abs(spot))]) == sum(TURNS[turn]), (path.name, spot)
        assert reader.size == (seen.shape[2], seen.shape[1])


def test_a_turn_that_is_no_quarter_is_named(tmp_path):
    path = encode(tmp_path / "a.mp4", plain((90, 90, 90)), "-c:v", "libx264", "-pix_fmt", "yuv420p")
    for angle in (45, 91, 90):
        turned = tmp_path / f"{angle}.mp4"
        command = [FFMPEG, "-v", "error", "-display_rotation", str(angle), "-i", path, "-c", "copy", turned]
        subprocess.run(command, check=True)
        assert any("no quarter turn" in note for note in read(turned)[0].notes) == (angle == 45)


def test_pixel_aspect_and_size_may_change_on_the_way(tmp_path):
    for codec, lossless in (("mpeg2video", ("-q", "1")), ("libx264", ("-qp", "0"))):
        parts = []
        for width, aspect in ((96, "1/1"), (96, "32/27"), (96, "1/1"), (96, "40/27"), (64, "1/1")):
            if codec == "mpeg2video" and (width, aspect) in ((96, "40/27"), (64, "1/1")):
                continue  # it knows few shapes, and its decoder loses a frame if the size changes
            num, den = map(int, aspect.split("/"))
            options = ("-vf", f"setsar={aspect}", "-c:v", codec, *lossless, "-pix_fmt", "yuv420p", "-f", "mpegts")
            parts.append(encode(tmp_path / "a", disc(width, 64, num / den, 20, spot=False), *options).read_bytes())
        (tmp_path / "all.ts").write_bytes(b"".join(parts))
        for geometry in (Geometry((64, 64)), Geometry((64, 64), "fit"), None):
            seen = read(tmp_path / "all.ts", geometry)[1]
            assert len(seen) == 3 * len(parts)
            for number, frame in enumerate(seen):
                wide, high = extent(frame)
                assert abs(wide - high) <= 1.5, (codec, geometry, number, wide, high)


def test_absurd_pixel_aspects_are_not_believed(tmp_path):
    path = encode(tmp_path / "a.mov", disc(64, 64, 1, 20), "-vf", "setsar=2/1", *LOSSLESS_RGB)
    data = bytearray(path.read_bytes())
    place = data.index(b"pasp") + 4
    for pair in ((1, 1000), (1000, 1), (0, 1), (1, 0), (2**31 - 1, 1)):
        struct.pack_into(">II", data, place, *pair)
        path.write_bytes(data)
        is_absurd = min(pair) == 1  # 0 states nothing, and the pictures themselves say 2:1
        for geometry, shape in ((None, (64, 64 if is_absurd else 128)), (Geometry((32, 32), "fit"), (32, 32))):
            reader, seen = read(path, geometry)
            assert seen.shape[1:3] == shape, (pair, seen.shape)
            wide, high = extent(seen[1])
            assert wide / high == pytest.approx(1 if is_absurd else 2, rel=0.1), pair
            stated = f"its stated pixel aspect, {pair[0] / max(pair[1], 1):.4g}:1, is ignored (limits 1:16 to 16:1)"
            assert reader.notes == ((stated,) if is_absurd else ()), pair


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (255, 255, 255), (16, 16, 16), (128, 128, 128)]


def bars(side=64):
    """A picture whose columns have the `COLOURS`, and the place of the middle of each."""
    picture = np.zeros([2, side, 16 * len(COLOURS), 3], np.uint8)
    for number, colour in enumerate(COLOURS):
        picture[:, :, 16 * number : 16 * number + 16] = colour
    return picture, [16 * number + 8 for number in range(len(COLOURS))]


def assert_colours(path, tolerance=2, geometry=None):
    picture, places = bars()
    seen = read(path, geometry)[1]
    found = seen[1][seen.shape[1] // 2, places].astype(int)
    assert np.abs(found - COLOURS).max() <= tolerance, found.tolist()


@pytest.mark.parametrize(
    ("form", "codec"), [("yuv444p12le", "ffv1"), ("gbrp16le", "ffv1"), ("yuvj444p", "mjpeg"), ("bgra", "rawvideo")]
)
def test_pixel_formats_that_the_table_lacks_keep_colours(tmp_path, form, codec):
    scale = "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp+lanczos"
    path = encode(tmp_path / "a.mov", bars()[0], "-vf", f"{scale},format={form}", "-c:v", codec, "-q", "1")
    assert_colours(path)


@pytest.mark.parametrize("matrix", ["bt709", "bt601", "smpte240m", "fcc", "bt2020nc"])
@pytest.mark.parametrize("extent_of_values", ["tv", "pc"])
def test_matrices_and_ranges_are_those_that_are_stated(tmp_path, matrix, extent_of_values):
    flags = "accurate_rnd+full_chroma_int+full_chroma_inp"
    scale = f"scale=out_color_matrix={matrix}:out_range={extent_of_values}:flags={flags}"
    path = encode(tmp_path / "a.mkv", bars()[0], "-vf", f"{scale},format=yuv444p", *EXACT)
    assert_colours(path)


@pytest.mark.parametrize(
    ("size", "matrix"), [("64x64", "bt601"), ("64x720", "bt709"), ("1280x64", "bt709"), ("64x576", "bt601")]
)
def test_untagged_videos_have_the_matrix_of_their_size(tmp_path, size, matrix):
    width, height = map(int, size.split("x"))
    frames = plain((200, 60, 20), side=32)
    filters = f"scale={size}:out_color_matrix={matrix}:out_range=tv,format=yuv444p,setparams=colorspace=unknown"
    path = encode(tmp_path / "a.mkv", frames, "-vf", filters, *EXACT)
    seen = read(path)[1]
    assert seen.shape[1:3] == (height, width)
    assert np.abs(seen[1].astype(int) - (200, 60, 20)).max() <= 2


def test_grey_of_any_depth(tmp_path):
    levels = np.linspace(0, 65535, 64).astype(np.uint16)
    frames = np.broadcast_to(levels, [2, 64, 64]).copy()
    for form in ("gray16le", "gray10le", "gray"):
        path = encode(tmp_path / f"{form}.mkv", frames, "-pix_fmt", form, *EXACT, form="gray16le")
        assert np.abs(read(path)[1][1, 9, :, 1].astype(int) - np.round(levels / 257)).max() <= 1
    limited = ("-vf", "setparams=range=tv", *EXACT)
    values = np.broadcast_to(np.array([16, 126, 235], np.uint8).repeat(8), [2, 24, 24]).copy()
    path = encode(tmp_path / "limited.mkv", values, *limited, form="gray")
    assert np.abs(read(path)[1][1, 9, 4::8, 1].astype(int) - (0, 128, 255)).max() <= 1


ALPHA = {
    "png.mov": ("-c:v", "png"),
    "qtrle.mov": ("-c:v", "qtrle", "-pix_fmt", "argb"),
    "prores.mov": ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le", "-q", "1"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "4", "-b:v", "0"),
    "vp8.webm": ("-c:v", "libvpx", "-pix_fmt", "yuva420p", "-crf", "4", "-b:v", "4M", "-auto-alt-ref", "0"),
    "ffv1.mkv": ("-c:v", "ffv1", "-pix_fmt", "bgra"),
    "a.apng": ("-f", "apng"),
    "a.gif": ("-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none"),
    "a.webp": ("-c:v", "libwebp_anim", "-lossless", "1"),
}


@pytest.mark.parametrize("name", ALPHA)
def test_what_is_transparent_shows_the_background_and_never_what_it_hides(tmp_path, name):
    y, x = np.mgrid[:64, :64]
    inside = (x - 31.5) ** 2 + (y - 31.5) ** 2 < 400
    sprite = np.zeros([4, 64, 64, 4], np.uint8)
    sprite[..., :3] = (0, 255, 0)
    sprite[:, inside] = (255, 0, 0, 255)
    sprite[np.arange(4), 2, np.arange(4) + 2] = (255, 0, 0, 255)
    path = encode(tmp_path / name, sprite, *ALPHA[name], form="rgba")
    lossy = name.startswith("vp")
    for background, side in (((0, 0, 0), 64), ((255, 255, 255), 24), ((40, 80, 200), 32)):
        reader, seen = read(path, Geometry((side, side), background=background))
        assert any("transparent" in note for note in reader.notes)
        frame = seen[3].astype(int)
        assert np.abs(frame[side // 2, side // 2] - (255, 0, 0)).max() <= (
            12 if lossy else 5 if name.endswith(("gif", "mov")) else 2
        )
        assert np.abs(frame[-3, -3] - background).max() <= (4 if lossy else 2), frame[-3, -3]
        seen_through = frame
        if lossy:  # one chroma sample for four pixels: the file itself mixes the colours at the edge
            row, column = np.mgrid[:side, :side]
            far = np.hypot(row - side / 2, column - side / 2) > 24 * side / 64
            seen_through = frame[far & (row > side / 8)]
        assert seen_through[..., 1].max() <= background[1] + 6  # green is that of the background at most
    assert len(seen) == 4


@pytest.mark.skipif(not PIL.features.check("avif"), reason="this Pillow writes no AVIF")
def test_transparent_avif_sequences_are_blended(tmp_path):
    frames = [PIL.Image.new("RGBA", (64, 64), (0, 255, 0, 0)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((200, 30, 30, 255), (16, 16, 48, 40 + number))
    frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:], duration=100, quality=100)
    reader, seen = read(tmp_path / "a.avif", Geometry((64, 64), background=(10, 20, 30)))
    assert len(seen) == 3 and reader.fps == 10
    assert np.abs(seen[1, 32, 32].astype(int) - (200, 30, 30)).max() <= 6
    assert np.abs(seen[1, 5, 5].astype(int) - (10, 20, 30)).max() <= 2


@pytest.mark.parametrize("form", ["yuva420p", "yuva444p10le", "yuva444p12le", "ya8", "gbrap", "gbrap12le"])
def test_alpha_that_is_opaque_everywhere_changes_nothing(tmp_path, form):
    path = encode(tmp_path / "a.mkv", plain((90, 90, 90)), "-c:v", "ffv1", "-pix_fmt", form)
    reader, seen = read(path, Geometry((24, 24), background=(255, 255, 255)))
    assert not reader.notes
    assert np.abs(seen.astype(int) - 90).max() <= 1, seen[0, 0, 0]


def test_half_transparent_pixels_are_mixed(tmp_path):
    frames = plain((200, 100, 50, 128))
    path = encode(tmp_path / "a.mov", frames, "-c:v", "png", form="rgba")
    seen = read(path, Geometry((16, 16), background=(0, 250, 100)))[1]
    wanted = (np.array((200, 100, 50)) * 128 + np.array((0, 250, 100)) * 127) / 255
    assert np.abs(seen[1].astype(float) - wanted).max() <= 2


def test_interlaced_frames_become_frames_of_one_moment(tmp_path):
    x = np.arange(64)
    moments = np.zeros([40, 64, 64, 3], np.uint8)
    for number in range(40):
        moments[number, :, (x - number) % 64 < 24] = 255  # moves a pixel a field
    woven = moments[::2].copy()
    woven[:, 1::2] = moments[1::2, 1::2]
    kinds = {
        "top": (woven, "tff=1", "tff"),
        "bottom": (np.where(np.arange(64)[:, None, None] % 2 == 1, moments[::2], moments[1::2]), "bff=1", "bff"),
    }
    for name, (frames, x264, field) in kinds.items():
        flags = ("-vf", f"setfield={field}", "-flags", "+ilme+ildct", "-pix_fmt", "yuv422p")
        for ending, codec in (
            ("mp4", ("-c:v", "libx264", "-x264-params", x264, "-qp", "0")),
            ("ts", ("-c:v", "mpeg2video", "-q", "1")),
            ("mkv", ("-c:v", "ffv1")),
        ):
            path = encode(tmp_path / f"{name}.{ending}", frames, *flags, *codec)
            reader, seen = read(path)
            assert len(seen) == 20 and reader.notes == ("it is interlaced; each frame is deinterlaced",)
            for number in range(2, 18):
                error = np.abs(seen[number].astype(int) - moments[2 * number]).mean()
                assert error < 6, (path.name, number, error)


def test_progressive_frames_of_an_interlaced_file_are_left_alone(tmp_path):
    random = np.random.default_rng(0).integers(0, 255, [6, 64, 64, 3], dtype=np.uint8)
    options = ("-c:v", "mpeg2video", "-q", "1", "-g", "1", "-pix_fmt", "yuv422p", "-f", "mpegts")
    plainly = encode(tmp_path / "p", random, *options)
    laced = encode(tmp_path / "i", random, "-vf", "setfield=tff", "-flags", "+ilme+ildct", *options)
    (tmp_path / "all.ts").write_bytes(plainly.read_bytes() + laced.read_bytes() + plainly.read_bytes())
    reader, seen = read(tmp_path / "all.ts")
    alone = read(plainly)[1]
    assert len(seen) == 18 and np.array_equal(seen[:6], alone) and np.array_equal(seen[12:], alone)
    assert not np.array_equal(seen[6:12], alone)


def hdr(path, signal, transfer, primaries="bt2020"):
    """Two frames of an even grey or colour, 0 to 1, in 16 bits."""
    frames = plain(np.round(np.array(signal) * 65535).astype(int), dtype=np.uint16)
    tags = ("-color_primaries", primaries, "-color_trc", transfer)
    filters = "scale=out_color_matrix=bt2020nc:out_range=tv,format=yuv444p12le,"
    filters += f"setparams=color_primaries={primaries}:color_trc={transfer}"
    return encode(path, frames, "-vf", filters, *tags, *EXACT, form="rgb48le")


def test_hdr_is_tone_mapped(tmp_path):
    values = {}
    for nits in (0, 1, 10, 50, 203, 1000):
        level = float(colours.nits_to_pq(np.float64(nits)))
        reader, seen = read(hdr(tmp_path / "pq.mkv", [level] * 3, "smpte2084"))
        values[nits] = seen[1, 5, 5].astype(int)
        assert reader.notes == ("HDR (PQ) is tone-mapped to SDR",)
        assert np.ptp(values[nits]) <= 1, "grey stays grey"
    for nits in (0, 1, 10, 50):  # dark light is as bright as before
        assert abs(values[nits][1] - 255 * (nits / 203) ** (1 / 2.4)) <= 2
    assert 200 < values[203][1] < 240 and values[1000][1] >= 253
    reader, seen = read(hdr(tmp_path / "hlg.mkv", [0.75] * 3, "arib-std-b67"))
    assert reader.notes == ("HDR (HLG) is tone-mapped to SDR",)
    assert np.abs(seen[1, 5, 5].astype(int) - values[203]).max() <= 2, "75 % of HLG is the white of 203 cd/m²"


def test_wide_gamuts_are_converted(tmp_path):
    """A colour of BT.709, written with the primaries of BT.2020, is itself again."""
    colour = np.array((200, 60, 90)) / 255
    light = colour**2.4
    for name, number in (("bt2020", 9), ("smpte432", 12)):
        wide = (np.linalg.inv(colours.gamut_matrix(number)) @ light) ** (1 / 2.4)
        reader, seen = read(hdr(tmp_path / f"{name}.mkv", wide, "bt709", name))
        assert np.abs(seen[1, 5, 5].astype(int) - colour * 255).max() <= 2
        assert any("converted to BT.709" in note for note in reader.notes)


def test_the_curves_are_those_of_the_standards():
    assert colours.nits_to_pq(np.float64(100)) == pytest.approx(0.508, abs=1e-3)  # BT.2100, BT.2408
    assert colours.pq_to_nits(np.float64(0.58)) == pytest.approx(202, abs=2)
    assert colours.hlg_to_scene(np.float64(0.5)) == pytest.approx(1 / 12)
    assert colours.hlg_to_scene(np.float64(1.0)) == pytest.approx(1.0, abs=1e-4)
    assert (
        np.abs(
            colours.gamut_matrix(9)
            - [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
        ).max()
        < 1e-3
    )  # BT.2087
    light = np.linspace(0.1, 1000, 500)
    mapped = colours.tone_map(light, 1000)
    assert (np.diff(mapped) >= 0).all() and mapped[-1] == pytest.approx(203, rel=1e-3)


def test_a_matrix_that_nobody_knows_is_refused(tmp_path):
    path = encode(
        tmp_path / "a.mkv",
        plain((1, 2, 3)),
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv444p",
        "-bsf:v",
        "h264_metadata=matrix_coefficients=8",
    )
    with pytest.raises(FfmpegError, match="colour matrix, number 8 .* is not supported"):
        read(path)
