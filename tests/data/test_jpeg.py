"""The quick decoder of JPEG gives Pillow's pixels, or leaves the file to Pillow."""

import io

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.pictures import decode_frame
from stylegan_v_ext.data.pictures.jpeg import decode_jpeg


def jpeg(mode="RGB", **options):
    pixels = np.random.RandomState(0).randint(0, 256, (9, 9, 3), dtype=np.uint8)
    image = PIL.Image.fromarray(pixels).resize((64, 64), PIL.Image.Resampling.BICUBIC).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [dict(quality=q, subsampling=s) for q in (50, 95) for s in (0, 1, 2)]
                         + [dict(progressive=True)])  # fmt: skip
def test_pixels_are_those_of_pillow(options):
    data = jpeg(**options)
    expected = np.asarray(PIL.Image.open(io.BytesIO(data)))
    assert np.array_equal(decode_jpeg(data), expected)
    assert np.array_equal(decode_frame(data, "x.jpg", 64), expected)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_are_left_to_pillow_and_named(mode):
    assert decode_jpeg(jpeg(mode)) is None
    with pytest.raises(DataError, match=f"colour mode {mode}, expected RGB"):
        decode_frame(jpeg(mode), "x.jpg")


def test_damaged_files_are_left_to_pillow_and_named():
    data = jpeg()
    for cut in (10, len(data) // 2, len(data) - 3):
        assert decode_jpeg(data[:cut]) is None
    with pytest.raises(DataError, match="truncated or damaged"):
        decode_frame(data[: len(data) // 2], "x.jpg")
    with pytest.raises(DataError, match="is 64x64, expected 32x32"):
        decode_frame(data, "x.jpg", 32)
