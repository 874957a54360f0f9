"""Known colours in, known colours out, for picture files as people have them."""

import struct

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import TRANSFORMS, Geometry
from stylegan_v_ext.data.kinds import is_picture
from stylegan_v_ext.data.pictures import NotAFrame, decode_frame, read_picture, read_pixels, side_of_frames
from stylegan_v_ext.data.pictures.jpeg import decode_jpeg
from tests.data.made_pictures import (
    bitmap,
    cmyk_jpeg,
    cmyk_profile,
    encoded,
    grey_profile,
    png,
    png_chunk,
    rgb_profile,
    tiff,
)

RAMP_16 = np.linspace(0, 65535, 64).round().astype(np.uint16)[None, :, None].repeat(8, 0)
BLUE = (10, 20, 200)
# Columns of the matrices to XYZ under D50.
DISPLAY_P3 = [(0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)]
ADOBE_RGB = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
SRGB = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]


def pixels(data, background=(0, 0, 0)):
    return np.asarray(read_picture(data, "v/1.png", background)).astype(int)


def near(found, expected, levels=2):
    return np.abs(np.asarray(found).astype(int) - expected).max() <= levels


# Turned pictures


def marked(width=16, height=8):
    """A picture with a white top left corner: turned and mirrored forms all differ."""
    picture = PIL.Image.new("RGB", (width, height), (20, 20, 20))
    picture.paste((255, 255, 255), (0, 0, 8, 4))
    return picture


UPRIGHT = {1: (8, 16, 0, 0), 2: (8, 16, 0, 1), 3: (8, 16, 1, 1), 4: (8, 16, 1, 0), 5: (16, 8, 0, 0), 6: (16, 8, 0, 1),
           7: (16, 8, 1, 1), 8: (16, 8, 1, 0)}  # fmt: skip
LOSSLESS = {"JPEG": {"quality": 98}, "PNG": {}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "TIFF": {},
            "TIFF lzw": {"compression": "tiff_lzw"}}  # fmt: skip


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright_as_their_exif_says(kind, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"tiffinfo": {0x0112: orientation}} if "TIFF" in kind else {"exif": exif}
    data = encoded(marked(), kind.split()[0], **LOSSLESS[kind], **options)
    found = pixels(data)
    height, width, bottom, right = UPRIGHT[orientation]
    assert found.shape == (height, width, 3)
    corners = found[:: height - 1, :: width - 1, 0] > 200
    assert corners[bottom, right] and corners.sum() == 1
    assert np.array_equal(read_pixels(data, "x"), found)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_big_endian_exif_and_a_late_one_count_and_a_damaged_one_does_not():
    plain = encoded(marked(), "JPEG", quality=98)
    tiff_part = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    for content, shape in (
        (tiff_part, (16, 8)),
        (tiff_part[:9], (8, 16)),
        (b"MM\0*\xff\xff\xff\xff" + bytes(20), (8, 16)),
    ):
        segment = b"Exif\0\0" + content
        padding = b"\xff\xed" + struct.pack(">H", 20_002) + bytes(20_000)
        data = plain[:2] + padding * 4 + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]
        assert pixels(data).shape[:2] == shape
        assert (decode_jpeg(data) is None) == (shape == (16, 8)), "the quick reader leaves it to the careful one"
    late = png(np.zeros([8, 16, 3]), 2, late=png_chunk(b"eXIf", tiff_part))
    assert pixels(late).shape[:2] == (16, 8)


# 16 bits


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("channels", "photometric"), [(1, 1), (3, 2)])
def test_16_bits_become_8_by_their_true_range(channels, photometric, order):
    values = RAMP_16.repeat(channels, -1)
    files = [png(values, {1: 0, 3: 2}[channels], 16), tiff(values, 16, photometric, order)]
    netpbm = b"P%d 64 8 65535\n" % (5 if channels == 1 else 6) + values.astype(">u2").tobytes()
    for data in [*files, netpbm]:
        assert near(pixels(data), values / 257, 1)


def test_grey_of_12_bits_has_the_range_that_the_file_says():
    values = np.array([0, 1024, 2048, 4095] * 4, np.uint16).reshape(4, 4, 1)
    for data in (tiff(values, 12, 1), b"P5 4 4 4095\n" + values.astype(">u2").tobytes()):
        assert near(pixels(data), values / 4095 * 255, 1)
    assert near(pixels(png(values, 0, 16)), values / 257, 1), "a file of 16 bits has 16 bits"


def test_white_is_zero_if_a_tiff_says_so():
    assert near(pixels(tiff(RAMP_16, 16, 0)), 255 - RAMP_16 / 257, 1)
    assert near(pixels(tiff(RAMP_16 >> 8, 8, 0)), 255 - (RAMP_16 >> 8), 1)


@pytest.mark.parametrize(
    ("bits", "sample_format", "reason"), [(32, 3, "floating-point"), (32, 1, ""), (32, 2, "32 bits"), (16, 2, "signed")]
)
def test_values_of_unknown_range_are_refused(bits, sample_format, reason):
    values = np.linspace(0, 1000, 64).reshape(8, 8, 1)
    with pytest.raises(DataError, match=f"v/1.png .*{reason}"):
        pixels(tiff(values, bits, 1, sample_format=sample_format))


def test_a_float_map_is_refused():
    with pytest.raises(DataError, match="floating-point"):
        pixels(b"Pf 2 2 -1.0\n" + struct.pack("<4f", 0.5, 1, 2, 3))


# Transparency: half of a sprite is red; the other half hides green.


def sprite(mode, opacity=0):
    picture = PIL.Image.new("RGBA", (16, 8), (0, 255, 0, opacity))
    picture.paste((255, 0, 0, 255), (0, 0, 8, 8))
    return picture.convert(mode)


def check_sprite(data, opacity=0, background=BLUE, levels=2):
    found, share = pixels(data, background), opacity / 255
    assert near(found[:, :7], (255, 0, 0), levels)
    assert near(found[:, 9:], (1 - share) * np.array(background) + share * np.array((0, 255, 0)), levels)


@pytest.mark.parametrize("opacity", [0, 51, 128])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
     ("AVIF", {"quality": 100, "subsampling": "4:4:4"})],
)  # fmt: skip
def test_transparent_pictures_lie_on_the_background(kind, options, opacity):
    data = encoded(sprite("RGBA", opacity), kind, **options)
    for background in (BLUE, (0, 0, 0), (255, 255, 255)):
        check_sprite(data, opacity, background, levels=2 if kind != "AVIF" else 4)


def test_palettes_with_and_without_transparency():
    picture = sprite("RGB").quantize(4)
    green = picture.getpixel((15, 0))
    check_sprite(encoded(picture, transparency=green))
    check_sprite(encoded(picture), 255)
    check_sprite(encoded(picture, transparency=bytes(51 if i == green else 255 for i in range(4))), 51)
    for kind in ("BMP", "TIFF"):
        check_sprite(encoded(picture, kind), 255)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_blended_for_every_depth(bits):
    top = 2**bits - 1
    hidden = top // 3 if bits > 1 else 0
    values = np.full([8, 16, 1], top)
    values[:, 8:] = hidden
    data = png(values, 0, bits, png_chunk(b"tRNS", struct.pack(">H", hidden)))
    found = pixels(data, BLUE)
    assert near(found[:, :8], 255, 0) and near(found[:, 8:], BLUE, 0)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_is_blended(bits):
    top = 2**bits - 1
    values = np.full([8, 16, 3], (top, 0, 0))
    values[:, 8:] = (top // 5, top // 7, top)
    data = png(values, 2, bits, png_chunk(b"tRNS", struct.pack(">3H", *values[0, -1])))
    check_sprite(data, levels=0)


def test_grey_with_opacity_of_8_and_16_bits():
    for bits in (8, 16):
        top = 2**bits - 1
        values = np.full([8, 16, 2], (top, top))
        values[:, 8:] = (top // 2, top // 5)
        found = pixels(png(values, 4, bits), BLUE)
        assert near(found[:, :8], 255) and near(found[:, 8:], 0.8 * np.array(BLUE) + 0.2 * 127.5)


def test_premultiplied_colours_of_a_tiff_are_taken_back():
    values = np.zeros([4, 4, 4], int)
    values[..., :] = (0, 100, 0, 102)  # (0, 250, 0) of 40 percent
    for bits, factor in ((8, 1), (16, 257)):
        found = pixels(tiff(values * factor, bits, 2, extra=1), BLUE)
        assert near(found, 0.6 * np.array(BLUE) + 0.4 * np.array((0, 250, 0)))
    assert near(pixels(tiff(values, 8, 2, extra=0), BLUE), (0, 100, 0)), "a fourth channel of unknown meaning"


# Inks, profiles and other modes


@pytest.mark.parametrize("adobe", [True, False])
def test_inks_of_a_jpeg_give_the_right_colours(adobe):
    for ink, colour in (((0, 0, 0, 0), (255,) * 3), ((0, 0, 0, 255), (0,) * 3), ((0, 255, 255, 0), (255, 0, 0)),
                        ((255, 0, 0, 51), (0, 204, 204))):  # fmt: skip
        assert near(pixels(cmyk_jpeg(ink, adobe)), colour, 4)


def test_a_ycck_jpeg_is_read_as_adobe_means_it():
    data = bytearray(cmyk_jpeg((128, 128, 128, 0), True))  # grey: Cb = Cr = 128 in YCCK, too
    data[data.find(b"Adobe") + 11] = 2
    assert near(pixels(bytes(data)), 127, 4)
    red = bytearray(cmyk_jpeg((76, 84, 255, 0), True))  # stored Y 179, Cb 171, Cr 0: cyan, inverted
    red[red.find(b"Adobe") + 11] = 2
    assert near(pixels(bytes(red)), (255, 0, 0), 6)


def test_inks_of_a_tiff_give_the_right_colours():
    values = np.full([4, 4, 4], (0, 255, 255, 51))
    for bits, factor in ((8, 1), (16, 257)):
        assert near(pixels(tiff(values * factor, bits, 5)), (204, 0, 0))


def test_the_profile_of_inks_decides():
    profile = cmyk_profile((128, 128 + 60, 128 - 40))
    ink = PIL.Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    expected = (189, 68, 189)  # CIE Lab (50.2, 60, -40) under D50 in sRGB
    for kind, options in (("TIFF", {}), ("JPEG", {"quality": 100})):
        assert near(pixels(encoded(ink, kind, icc_profile=profile, **options)), expected, 5)
        assert near(pixels(encoded(ink, kind, **options)), (0, 255, 255), 4)


def in_srgb(colour, primaries, gamma):
    """A colour of 0 to 255 under other primaries in sRGB, by the formulas of both."""
    xyz = np.array(primaries).T @ (np.array(colour) / 255) ** gamma
    linear = (np.linalg.inv(np.array(SRGB).T) @ xyz).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


COLOURS = [(200, 100, 50), (30, 160, 90), (128, 128, 128), (60, 60, 180), (240, 230, 40)]


@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB], ids=["Display P3", "Adobe RGB"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "palette", "transparent"])
def test_pictures_with_a_profile_become_srgb(kind, primaries):
    options = {"icc_profile": rgb_profile(primaries, 2.19921875)}
    for colour in COLOURS:
        picture, format = PIL.Image.new("RGB", (16, 16), colour), kind
        if kind == "palette":
            picture, format = picture.quantize(4), "PNG"
        if kind == "transparent":
            picture, format = PIL.Image.new("RGBA", (16, 16), (*colour, 255)), "PNG"
        lossless = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
        data = encoded(picture, format, **options, **lossless.get(kind, {}))
        expected = in_srgb(colour, primaries, 2.19921875)
        assert near(pixels(data), expected, {"JPEG": 3, "AVIF": 5}.get(kind, 2))
        assert np.abs(expected - colour).max() > 3 or colour == (128,) * 3
        with pytest.raises(DataError, match=r"another colour profile, expected sRGB|colour mode"):
            decode_frame(data, "x")
        assert decode_jpeg(data) is None


def test_a_profile_like_srgb_changes_nothing_and_trains():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, [16, 16, 3], dtype=np.uint8))
    assert np.array_equal(pixels(encoded(noise, icc_profile=profile)), np.asarray(noise))
    data = encoded(noise, "JPEG", icc_profile=profile)
    assert np.array_equal(decode_frame(data, "x"), decode_jpeg(data))
    for damaged in (b"x" * 200, profile[:300], cmyk_profile((0, 0, 0))):
        assert np.array_equal(pixels(encoded(noise, icc_profile=damaged)), np.asarray(noise))


def test_grey_profiles_count():
    grey = PIL.Image.new("L", (8, 8), 100)
    expected = in_srgb((100,) * 3, SRGB, 1.8)
    for picture in (grey, PIL.Image.merge("LA", [grey, PIL.Image.new("L", (8, 8), 255)])):
        assert near(pixels(encoded(picture, icc_profile=grey_profile(1.8))), expected, 2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "AVIF"])
def test_grey_and_black_and_white_become_rgb(kind):
    for mode, value, expected in (("L", 77, 77), ("1", 1, 255)):
        picture = PIL.Image.new(mode, (16, 16), value)
        if kind in ("JPEG", "WEBP", "AVIF"):
            picture = picture.convert("L")
        assert near(pixels(encoded(picture, kind)), expected)


def test_what_pillow_knows_of_a_file_does_not_get_into_the_next(tmp_path):
    data = encoded(PIL.Image.new("RGB", (8, 8)), icc_profile=rgb_profile(ADOBE_RGB, 2.2), exif=PIL.Image.Exif())
    assert read_picture(data, "x").info == {}


def test_a_bitmap_without_any_opacity_is_opaque():
    check_sprite(bitmap(np.asarray(sprite("RGBA", 51))), 51)
    clear = PIL.Image.new("RGBA", (8, 8), (200, 100, 50, 0))
    assert near(pixels(bitmap(np.asarray(clear)), BLUE), (200, 100, 50), 0)
    assert near(pixels(encoded(clear, "PNG"), BLUE), BLUE, 0)


# Several pictures, HDR


def animated(kind):
    frames = [PIL.Image.new("RGB", (8, 8), (60 * i, 0, 0)) for i in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_a_file_of_several_pictures_is_refused_by_all_readers(kind):
    for reader in (pixels, lambda data: decode_frame(data, "v/1.png")):
        with pytest.raises(DataError, match="v/1.png holds 3 pictures"):
            reader(animated(kind))


def test_previews_in_a_file_do_not_count():
    first, second = PIL.Image.new("RGB", (8, 8), (9, 8, 7)), PIL.Image.new("RGB", (4, 4))
    second.encoderinfo = {"tiffinfo": {254: 1}}
    assert near(pixels(encoded(first, "TIFF", save_all=True, append_images=[second])), (9, 8, 7), 0)
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert near(pixels(data), (9, 8, 7)) and near(decode_frame(data, "x"), (9, 8, 7))
    with pytest.raises(DataError, match="begins with a preview"):
        pixels(encoded(second, "TIFF", tiffinfo={254: 1}))


@pytest.mark.parametrize(("code", "reason"), [((9, 16, 0, 1), "HDR .PQ."), ((9, 18, 0, 1), "HDR .HLG."),
                                              ((12, 13, 0, 1), "Display P3 colours")])  # fmt: skip
def test_hdr_and_wide_colours_without_a_profile_are_refused(code, reason):
    data = png(np.zeros([8, 8, 3]), 2, chunks=png_chunk(b"cICP", bytes(code)))
    avif = encoded(PIL.Image.new("RGB", (16, 16)), "AVIF")
    at = avif.find(b"colrnclx") + 8
    avif = avif[:at] + struct.pack(">2H", *code[:2]) + avif[at + 4 :]
    for file in (data, avif):
        for reader in (pixels, lambda file: decode_frame(file, "v/1.png")):
            with pytest.raises(DataError, match=f"v/1.png .*{reason}"):
                reader(file)
    assert near(pixels(png(np.full([8, 8, 3], 9), 2, chunks=png_chunk(b"cICP", bytes((1, 13, 0, 1))))), 9, 0)


# Training frames


def oriented(kind, **options):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    return encoded(PIL.Image.new("RGB", (16, 16)), kind, exif=exif, **options)


@pytest.mark.parametrize("header_only", [False, True])
def test_a_frame_that_would_have_to_change_is_refused(header_only):
    transparent = png_chunk(b"tRNS", bytes(6))
    for data, reason in (
        (oriented("JPEG"), "EXIF orientation 6"), (oriented("PNG"), "EXIF orientation 6"),
        (oriented("WEBP"), "EXIF orientation 6"), (png(np.zeros([8, 8, 3]), 2, chunks=transparent), "transparent"),
        (encoded(PIL.Image.new("RGB", (16, 8))), "is 16x8"),
        (encoded(PIL.Image.new("RGB", (16, 8)), "JPEG"), "is 16x8"),
        (encoded(PIL.Image.new("L", (8, 8))), "colour mode L"), (png(RAMP_16[:, :8], 0, 16), "colour mode I;16"),
    ):  # fmt: skip
        with pytest.raises(NotAFrame, match=f"v/1.png .*{reason}.*expected"):
            decode_frame(data, "v/1.png", header_only=header_only)
        with pytest.raises(DataError, match=f"v/1.png .*{reason}.*stylegan-v data convert SRC DEST --transform="):
            side_of_frames(data, "v/1.png")
    for resolution in (8, None):
        with pytest.raises(DataError, match="is 16x8, expected"):
            decode_frame(encoded(PIL.Image.new("RGB", (16, 8)), "JPEG"), "x", resolution, header_only=header_only)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "AVIF"])
def test_frames_of_every_format_train(kind):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}, "AVIF": {"quality": 100}}.get(kind, {})
    data = encoded(PIL.Image.new("RGB", (16, 16), (200, 100, 50)), kind, **options)
    assert near(decode_frame(data, "x", 16), (200, 100, 50))
    assert decode_frame(data, "x", 16, header_only=True).shape == (16, 16, 0)


def test_pictures_are_known_by_their_endings():
    yes = "a.jpg a.JPEG a.jpe a.JFIF a.png a.PNG a.webp a.bmp a.tif a.TIFF a.avif a.ppm a.pgm a.pbm a.pnm v/1.5.Png"
    assert all(map(is_picture, yes.split()))
    no = "a.heic a.gif a.mp4 a.txt jpg a.jpg/b a.eps a.svg a.jpg.part a.exr"
    assert not any(map(is_picture, no.split()))


def test_damaged_pictures_of_new_kinds_are_named():
    whole = {"TIFF": encoded(marked(), "TIFF", compression="tiff_lzw"), "AVIF": encoded(marked(), "AVIF"),
             "PPM": encoded(marked(), "PPM")}  # fmt: skip
    random = np.random.default_rng(0)
    for data in whole.values():
        refused = 0
        for number in range(60):
            changed = bytearray(data[: random.integers(len(data))] if number % 2 else data)
            for at in random.integers(0, max(len(changed), 1), size=3 if changed else 0):
                changed[at] = random.integers(256)
            try:
                assert pixels(bytes(changed)).shape[2] == 3
            except DataError as error:
                assert "v/1.png" in str(error)
                refused += 1
        assert refused > 10


@pytest.mark.parametrize(
    ("head", "kind"),
    [(b"", "empty"), (b"\0\0\0\x18ftypheic", "HEIC"), (b"GIF89a", "a GIF"), (b"<!doctype html>", "a web page"),
     (b"\0\0\0\x18ftypisom", "a video"), (b"%!PS-Adobe-3.0 EPSF", "PostScript")],
)  # fmt: skip
def test_a_file_that_is_no_picture_is_named_as_what_it_is(head, kind):
    for reader in (pixels, lambda data: decode_frame(data, "v/1.png")):
        with pytest.raises(DataError, match=rf"v/1.png is not a readable image \(it is {kind}"):
            reader(head + (bytes(50) if head else b""))


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 101), (255, 257), (1001, 13), (3, 900)])
def test_a_constant_picture_stays_constant(transform, size):
    geometry = Geometry((31, 17) if transform == "center-crop-wide" else (31, 31), transform)
    for colour in ((255, 255, 255), (1, 254, 77), (128, 127, 3)):
        frame = np.asarray(geometry.apply(PIL.Image.new("RGB", size, colour)))
        assert frame.shape == (31, 31, 3)
        is_bar = (frame == 0).all(-1)
        assert (frame[~is_bar] == colour).all() and not is_bar[15].all()
        plan = geometry.plan(*size)
        assert (~is_bar).sum() == plan.scaled[0] * plan.scaled[1]


def test_a_picture_of_the_right_size_is_not_touched():
    noise = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, [17, 31, 3], dtype=np.uint8))
    frame = np.asarray(Geometry((31, 31), "fit").apply(noise))
    assert np.array_equal(frame[7:24], noise) and not frame[:7].any() and not frame[24:].any()
    assert np.array_equal(Geometry((17, 17)).apply(noise), np.asarray(noise)[:, 7:24])


def test_a_checksum_of_a_png_is_compared():
    data = bytearray(encoded(marked()))
    data[data.find(b"IDAT") + 12] ^= 0xFF
    with pytest.raises(DataError, match="v/1.png"):
        pixels(bytes(data))
