"""Names and pictures of strangers: digits of all scripts, numbers of any length, damaged and oversized pictures."""

import io
import os
import struct
import sys
import unicodedata

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.convert import ConvertOptions, convert
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.jpeg import decode_jpeg
from stylegan_v_ext.data.names import natural_key
from stylegan_v_ext.data.pictures import decode_frame
from stylegan_v_ext.data.videos import list_videos
from stylegan_v_ext.metrics.sources import DatasetVideos
from tests.data.helpers import image_bytes, write_zip

DIGITS = [chr(code) for code in range(128, sys.maxunicode + 1) if unicodedata.numeric(chr(code), None) is not None]


class Names:
    """An archive that has names alone."""

    def __init__(self, names):
        self.names = names


def test_digits_of_all_scripts_are_letters():
    assert len(DIGITS) > 1500 and {"٣", "²", "１", "⅕", "三"} <= set(DIGITS)
    names = [
        name for digit in DIGITS for name in (f"{digit}/1{digit}.png", f"clip{digit}/{digit}.png", f"v/{digit}.png")
    ]
    videos = list_videos(Names(names))
    assert sum(map(len, videos)) == len(names)
    assert natural_key("clip٣") > natural_key("clip10") and natural_key("2²") < natural_key("10²")


@pytest.mark.parametrize("digits", ["٣٢١", "１２３", "²³¹"])
def test_frames_named_in_other_digits_are_in_the_order_of_their_characters(digits):
    names = [f"v/{digit}.png" for digit in digits]
    (video,) = list_videos(Names(names))
    assert [names[i] for i in video.frames] == sorted(names)


@pytest.mark.parametrize("length", [4299, 4301, 5000, 60_000])
def test_numbers_of_any_length_are_in_order(length):
    low, high = "1" * length, "2" + "0" * (length - 1)
    names = [f"v/{high}.png", f"v/{low}0.png", f"v/{low}.png", f"v/000{low[:-1]}.png", "v/7.png", "v/x.png"]
    (video,) = list_videos(Names(names))
    assert [names.index(names[i]) for i in video.frames] == [4, 3, 2, 0, 1, 5]


def test_folders_named_by_digits_of_other_scripts_convert(tmp_path):
    files = {f"{folder}/v/{i}.png": image_bytes(i) for folder in ("٣", "²", "9" * 5000) for i in range(3)}
    source = write_zip(tmp_path / "in.zip", files)
    report = convert(source, str(tmp_path / "out.zip"), ConvertOptions(Geometry((16, 16)), workers=1, labels=True))
    assert (report.num_videos, report.num_frames, report.notes) == (3, 9, [])


def pixels_of_noise(side=24):
    return PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, [side, side, 3], dtype=np.uint8))


def damaged(kind):
    """Many damaged forms of a picture."""
    buffer = io.BytesIO()
    pixels_of_noise().save(buffer, kind)
    data, random = buffer.getvalue(), np.random.default_rng(1)
    for size in (0, 1, 2, 8, 16, 30, 33, 40, 54, 60, len(data) // 2, len(data) - 1):
        yield data[:size]
    for _ in range(100):
        changed = bytearray(data)
        for at in random.integers(0, min(len(data), 150), size=random.integers(1, 5)):
            changed[at] = random.integers(256)
        yield bytes(changed)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "JPEG"])
def test_a_damaged_picture_is_named_by_every_reader(tmp_path, kind):
    refused = [0, 0, 0]
    for data in damaged(kind):
        name = f"v/some picture.{kind.lower()}"
        source = write_zip(tmp_path / "in.zip", {name: data, f"w/1.{kind.lower()}": image_bytes(format=kind)})

        def training(name=name, data=data):
            decode_frame(data, name)

        def metrics(source=source):
            DatasetVideos(source)

        def conversion(source=source):
            (tmp_path / "out.zip").unlink(missing_ok=True)
            report = convert(source, str(tmp_path / "out.zip"), ConvertOptions(Geometry((8, 8)), workers=1))
            faults = [note for note in report.notes if "it has one frame" not in note]
            if faults:
                raise DataError(faults[0])

        for number, reader in enumerate((training, metrics, conversion)):
            try:
                reader()
            except DataError as error:
                assert "some picture" in str(error)
                refused[number] += 1
    assert min(refused) > 12


def sized(kind, width, height):
    """A small picture whose header says another size."""
    buffer = io.BytesIO()
    pixels_of_noise().save(buffer, kind)
    data = bytearray(buffer.getvalue())
    if kind == "JPEG":
        struct.pack_into(">HH", data, data.find(b"\xff\xc0") + 5, height, width)
    elif kind == "BMP":
        struct.pack_into("<ii", data, 18, width, height)
    else:
        import zlib

        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("size", [(9400, 9400), (8193, 8192), (65500, 1100), (65535, 65535)])
def test_pictures_have_at_most_8192_by_8192_pixels(tmp_path, kind, size):
    data = sized(kind, *size)
    assert decode_jpeg(data) is None
    with pytest.raises(DataError, match="v/1.x is not a readable image"):
        decode_frame(data, "v/1.x")
    with pytest.raises(DataError, match="1.png is not a readable image"):
        DatasetVideos(write_zip(tmp_path / "in.zip", {"v/1.png": data}))
    with pytest.raises(DataError, match="1.png is not a readable image"):
        convert(str(tmp_path / "in.zip"), str(tmp_path / "out.zip"), ConvertOptions(Geometry((8, 8)), workers=1))


def test_a_picture_of_the_largest_size_is_read():
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (8192, 8192)).save(buffer, "JPEG")
    assert decode_frame(buffer.getvalue(), "v/1.x").shape == (8192, 8192, 3)


def test_links_in_circles_and_deep_folders_end_in_a_sentence(tmp_path):
    data = tmp_path / "data"
    (data / "v").mkdir(parents=True)
    (data / "v" / "1.png").write_bytes(image_bytes())
    (data / "v" / "2.png").symlink_to("2.png")
    (data / "v" / "3.png").symlink_to("4.png")
    (data / "v" / "4.png").symlink_to("3.png")
    (data / "circle").symlink_to("../data")
    assert open_archive(data).names == ["v/1.png"]
    (data / "out").symlink_to("/etc")
    with pytest.raises(DataError, match="out is a link to /etc"):
        open_archive(data)


@pytest.fixture(params=["d", "n" * 250])
def deep_folder(request, tmp_path, monkeypatch):
    """1500 folders in each other; they go again step by step, since the way pytest removes folders ends before."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    for _ in range(1500):
        os.mkdir(request.param)
        os.chdir(request.param)
    open("1.png", "wb").close()
    yield tmp_path / "data"
    os.unlink("1.png")
    for _ in range(1500):
        os.chdir("..")
        os.rmdir(request.param)


@pytest.mark.parametrize(
    "reader", [open_archive, DatasetVideos, lambda path: convert(path, f"{path}.zip", ConvertOptions())]
)
def test_1500_folders_in_each_other_end_in_a_sentence(deep_folder, reader):
    with pytest.raises(DataError, match="more than 100 levels of folders|File name too long") as error:
        reader(str(deep_folder))
    assert len(str(error.value)) < 1100
