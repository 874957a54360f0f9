"""Files of every format, read back."""

import os
from fractions import Fraction

import av
import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.writers import write_video


def moving(count=6, height=32, width=48, channels=3):
    ramp = np.linspace(0, 200, width)[None, :, None] + np.zeros([height, 1, channels])
    return [(ramp + 8 * frame).astype(np.uint8) for frame in range(count)]


def read(path, height, width):
    return np.stack(list(VideoReader(str(path)))).astype(int)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", None),
        ("b.mp4", "h265"),
        ("c.mp4", "vp9"),
        ("d.webm", None),
        ("e.gif", None),
        ("f.mov", None),
        ("g.MOV", "h265"),
        ("h.mkv", None),
        ("i.mkv", "vp9"),
    ],  # fmt: skip
)
def test_videos_read_back(tmp_path, name, codec):
    assert write_video(tmp_path / name, moving(), fps=10, codec=codec, quality=98) == 6
    frames = read(tmp_path / name, 32, 48)
    assert frames.shape == (6, 32, 48, 3) and np.abs(frames - np.stack(moving())).mean() < 4
    assert os.listdir(tmp_path) == [name]


COLOURS = [(200, 60, 40), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (20, 120, 220), (128,) * 3]
BT709 = (1, 1, 1, 1)  # matrix, primaries, transfer, limited range


def shown(frame):
    """The colour in the middle of a frame in 4:2:0, by the equations of BT.709 in limited range."""
    rows = [np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    y, u, v = (float(row[plane.height // 2, plane.width // 2]) for row, plane in zip(rows, frame.planes, strict=True))
    red = (y - 16) / 219 + 1.5748 * (v - 128) / 224
    blue = (y - 16) / 219 + 1.8556 * (u - 128) / 224
    green = ((y - 16) / 219 - 0.2126 * red - 0.0722 * blue) / 0.7152
    return np.clip([255 * red, 255 * green, 255 * blue], 0, 255)


@pytest.mark.parametrize("size", [(32, 64), (31, 47), (720, 1280)], ids=str)
@pytest.mark.parametrize(
    ("name", "codec", "mark"),
    [("a.mp4", "h264", b"colrnclx"), ("a.mp4", "h265", b"colrnclx"), ("a.mp4", "vp9", b"colrnclx"),
     ("a.mov", "h264", b"colrnclc"), ("a.mkv", "h264", b"\x55\xb0"), ("a.webm", "vp9", b"\x55\xb0")],
)  # fmt: skip
def test_known_colours_are_bt709_and_say_so_in_stream_and_container(tmp_path, name, codec, mark, size):
    colours = COLOURS if size[0] < 720 else COLOURS[:1]
    for quality, bound in ((100, 2), (90, 3)):
        frames = [np.full((*size, 3), colour, np.uint8) for colour in colours]
        write_video(tmp_path / name, frames, 25, codec=codec, quality=quality)
        with av.open(str(tmp_path / name)) as file:
            stream, seen = file.streams.video[0], []
            said = stream.codec_context
            assert (said.colorspace, said.color_primaries, said.color_trc, said.color_range) == BT709
            for frame in file.decode(video=0):
                assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
                seen.append(shown(frame))
        assert np.abs(np.stack(seen) - colours).max() < bound
        assert mark in (tmp_path / name).read_bytes()


def test_colours_of_animated_webp_gif_and_png(tmp_path):
    frames = [np.full((32, 48, 3), colour, np.uint8) for colour in COLOURS]
    for name, quality, bound in (("a.webp", 90, 4), ("b.webp", 100, 1), ("c.gif", 90, 4)):
        write_video(tmp_path / name, frames, 10, quality=quality)
        with PIL.Image.open(tmp_path / name) as image:
            for number, colour in enumerate(COLOURS):
                image.seek(number)
                pixel = np.asarray(image.convert("RGB"))[16, 24].astype(int)
                assert np.abs(pixel - colour).max() < bound, (name, colour, pixel)
    write_video(tmp_path / "d.png", frames, 10)
    for number, colour in enumerate(COLOURS):
        assert (np.asarray(PIL.Image.open(tmp_path / "d" / f"{number:06d}.png")) == colour).all()


RATES = {29.97: "2997/100", 23.976: "2997/125", 24000 / 1001: "24000/1001", 12.5: "25/2", 1000: "1000", 0.5: "1/2"}


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
@pytest.mark.parametrize("fps", RATES)
def test_rates_are_exact_also_of_a_single_frame(tmp_path, name, fps):
    for count in (1, 5):
        write_video(tmp_path / name, moving(count), fps)
        with av.open(str(tmp_path / name)) as file:
            times = [frame.time for frame in file.decode(video=0)]
            assert file.streams.video[0].average_rate == Fraction(RATES[fps])
        assert np.allclose(times, np.arange(count) / fps, atol=0.0006)


def test_rates_of_gif_and_webp(tmp_path):
    for name, fps, milliseconds in (
        ("a.gif", 12.5, 80),
        ("b.gif", 0.5, 2000),
        ("c.webp", 12.5, 80),
        ("d.webp", 1000, 1),
    ):
        write_video(tmp_path / name, moving(4), fps)
        with PIL.Image.open(tmp_path / name) as image:
            for number in range(4):
                image.seek(number)
                image.load()
                assert image.info["duration"] == milliseconds, name
        write_video(tmp_path / name, moving(1), fps)
        with PIL.Image.open(tmp_path / name) as image:
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - moving(1)[0]).mean() < 4


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e-9, 1e9])
def test_rates_that_no_format_has_are_refused(tmp_path, fps):
    with pytest.raises(ValueError, match="frames a second do not go into .mp4; use 0.001 to 1000000"):
        write_video(tmp_path / "a.mp4", moving(), fps)
    with pytest.raises(ValueError, match="use 0.001 to 1000$"):
        write_video(tmp_path / "a.webm", moving(), 1001)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_every_file_has_the_mode_of_the_umask(tmp_path, mask):
    import torch
    from safetensors.torch import save_file

    from dnnlib.files import atomic_path

    names = ["a.mp4", "b.webm", "c.gif", "d.webp", "e.npy", "f.png", "g.mov"]
    before = os.umask(mask)
    try:
        for name in names:
            write_video(tmp_path / "new" / name, moving(2), 10)
        with atomic_path(tmp_path / "new" / "h.safetensors") as temporary:
            save_file({"a": torch.zeros(1)}, temporary)  # replaces the file by a private one
        write_video(tmp_path / "new" / "a.mp4", moving(2), 10)
        (tmp_path / "new" / "a.mp4").chmod(0o640)
        write_video(tmp_path / "new" / "a.mp4", moving(2), 10)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").rglob("*")}
    assert modes.pop("a.mp4") == 0o640, "a file that is replaced keeps its own mode"
    assert modes.pop("f") == 0o777 & ~mask and (tmp_path / "new").stat().st_mode & 0o777 == 0o777 & ~mask
    assert len(modes) == 8 and set(modes.values()) == {0o666 & ~mask}


@pytest.mark.parametrize("quality", [95, 100])
def test_animated_webp_reads_back(tmp_path, quality):
    write_video(tmp_path / "a.webp", moving(), fps=10, quality=quality)
    with PIL.Image.open(tmp_path / "a.webp") as image:
        assert image.n_frames == 6 and image.info["loop"] == 0
        image.seek(5)
        worst = np.abs(np.asarray(image.convert("RGB")).astype(int) - moving()[5]).max()
    assert worst == 0 if quality == 100 else worst < 12


def test_codecs_are_what_was_asked_for(tmp_path):
    for codec, tag in (("h264", b"avc1"), ("h265", b"hvc1"), ("vp9", b"vp09")):
        write_video(tmp_path / f"{codec}.mp4", moving(), fps=10, codec=codec)
        assert tag in (tmp_path / f"{codec}.mp4").read_bytes()


def test_quality_costs_bytes(tmp_path):
    noise = [np.random.randint(0, 255, [64, 64, 3], dtype=np.uint8) for _ in range(5)]
    for ending in ("mp4", "webm", "webp"):
        sizes = []
        for quality in (30, 90, 100):
            write_video(tmp_path / f"{quality}.{ending}", noise, fps=10, quality=quality)
            sizes.append((tmp_path / f"{quality}.{ending}").stat().st_size)
        assert sizes == sorted(sizes) and sizes[0] < 0.8 * sizes[2]


def test_odd_sizes_grow_by_a_pixel(tmp_path):
    write_video(tmp_path / "a.mp4", moving(height=31, width=47), fps=10, quality=98)
    frames = read(tmp_path / "a.mp4", 32, 48)
    assert np.abs(frames[:, :31, :47] - np.stack(moving(height=31, width=47))).mean() < 4


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_are_rgb_and_exact(tmp_path, channels):
    frames = moving(channels=channels)
    write_video(tmp_path / "a.npy", iter(frames), fps=10)
    array = np.load(tmp_path / "a.npy")
    assert array.dtype == np.uint8 and np.array_equal(array, np.stack([np.broadcast_to(f[..., :3], (32, 48, 3))
                                                                       for f in frames]))  # fmt: skip


def test_image_folders_are_complete_or_not_there(tmp_path):
    assert write_video(tmp_path / "a.png", moving(), fps=10) == 6
    assert sorted(os.listdir(tmp_path / "a")) == [f"{i:06d}.png" for i in range(6)]
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "a" / "000003.png")), moving()[3])
    with pytest.raises(ValueError, match="exists already"):
        write_video(tmp_path / "a.jpg", moving(), fps=10)

    def broken():
        yield from moving(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "b.jpg", broken(), fps=10)
    for name in ("c.png", "c.npy", "c.gif"):
        with pytest.raises(ValueError, match="no frames"):
            write_video(tmp_path / name, [], fps=10)
    assert os.listdir(tmp_path) == ["a"]


def test_wrong_formats_and_codecs_are_named(tmp_path):
    with pytest.raises(ValueError, match="use .mp4, .mov, .mkv, .webm"):
        write_video(tmp_path / "a.wmv", moving(), fps=10)
    with pytest.raises(ValueError, match="does not go into .webm; use vp9"):
        write_video(tmp_path / "a.webm", moving(), fps=10, codec="h264")
    with pytest.raises(ValueError, match="leave the codec out"):
        write_video(tmp_path / "a.gif", moving(), fps=10, codec="h264")


def test_cells_stand_apart_and_have_labels():
    white = np.full([8, 20, 3], 255, dtype=np.uint8)
    sheet = Layout(2, padding=3, labels=["one", "two", "three"], label_height=12).compose([white] * 3)
    assert sheet.shape == (2 * (12 + 8 + 3) + 3, 2 * 23 + 3, 3)
    for row, column in ((0, 0), (0, 1), (1, 0)):
        y, x = 3 + row * 23, 3 + column * 23
        assert (sheet[y + 12 : y + 20, x : x + 20] == 255).all(), "the picture is whole"
        assert 0 < (sheet[y : y + 12, x : x + 20] > 100).sum() < 240, "text above it"
    assert not sheet[26:, 26:].any(), "no picture, no label"
    assert not sheet[:3].any() and not sheet[:, :3].any() and not sheet[-3:].any()
