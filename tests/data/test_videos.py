"""Names and pictures of strangers: digits of all scripts, numbers of any length, damaged and oversized pictures."""

import io
import os
import random
import struct
import sys
import unicodedata

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data import names as names_module
from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.convert import ConvertOptions, convert_dataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.names import natural_order, normal_form
from stylegan_v_ext.data.pictures import decode_frame
from stylegan_v_ext.data.pictures.jpeg import decode_jpeg
from stylegan_v_ext.data.videos import list_videos, other_files
from stylegan_v_ext.metrics.sources import DatasetVideos
from tests.data.helpers import image_bytes, write_folder, write_zip

_NUMERIC = [chr(code) for code in range(128, sys.maxunicode + 1) if unicodedata.numeric(chr(code), None) is not None]
DIGITS = [digit for digit in _NUMERIC if unicodedata.is_normalized("NFC", digit)]


class Names:
    """An archive that has names alone."""

    def __init__(self, names):
        self.names = names


def order(*names):
    return [names[index] for index in natural_order(names)]


def test_digits_of_all_scripts_are_read():
    assert len(DIGITS) > 1500 and {"٣", "²", "１", "⅕", "三"} <= set(DIGITS)
    names = [
        name for digit in DIGITS for name in (f"{digit}/1{digit}.png", f"clip{digit}/{digit}.png", f"v/{digit}.png")
    ]
    videos = list_videos(Names(names))
    assert sum(map(len, videos)) == len(names)


@pytest.mark.parametrize("zero", ["0", "٠", "０", "०", "๐", "𝟎"])
def test_numbers_of_every_script_count(zero):
    names = ["".join(chr(ord(zero) + int(digit)) for digit in str(number)) for number in range(25)]
    assert order(*sorted(names)) == names
    (video,) = list_videos(Names([f"v/{name}.png" for name in sorted(names)]))
    assert [sorted(names)[index] for index in video.frames] == names


def test_digits_that_do_not_count_are_letters():
    assert order("v²", "v³", "v¹", "v10", "v9") == ["v9", "v10", "v²", "v³", "v¹"]
    assert order("10²", "2²") == ["2²", "10²"] and order("1三", "1一") == ["1一", "1三"]


@pytest.mark.parametrize(
    "names",
    [
        "t0.05 t0.1 t0.25 t0.5 t1.0 t1.25 t10.0 t10.05", "1.5 2.0 2.25 10.125", "0 0.5 1 1.5 2", "1.png 1.5.png 2.png",
        "0.1 0.2 0.30000000000000004 0.4", "t0.0 t1e-05 t1.5e-05 t5e-05 t0.0001 t1.0 t1e+16 t1.5e+16",
        "0.010 0.020 0.100 0.110", "scene1.2.9_t0.05 scene1.2.9_t0.1 scene1.2.10_t0.05",
        "v1.2 v1.2.9 v1.2.10 v1.3 v1.10", "2021.9.30-1 2021.10.3-1 2021.10.3-2 2021.10.12-1", "v1.2 v1.9 v1.10 v1.20",
        "shot1.998 shot1.999 shot1.1000", "192.168.0.9 192.168.0.10", "frame.1 frame.2 frame.10",
        "-10 -9.5 -9.25 -2 -1 -0.5 0 0.5 1 2 10", "t-1.5 t-1 t-0.25 t0 t0.25 t1", "\u22122 \u22121 0 1",
        "clip-1 clip-2 clip-10",
        "2021-9-3 2021-10-3 2021-10-12", "img.png img(1).png img(2).png img(10).png", "a.png a1.png a2.png a10.png",
        "a/2 a/10 a1/1 b/1", "1.jpg 1.png 2.jpg", "5.3gp 10.3gp", "v1.b2 v1.b10", "001 01 1 2", "007 8 0010",
        "t0,05 t0,1 t0,25 t1,5", "t0_0 t0_05 t0_1 t0_25 t1_0 t1_05", "t0.0 t1.5e-10 t2.25e-05 t0.5",
        "x0p05 x0p1 x0p125 x0p5", "0-05 0-1 0-25",
        "a1_001 a1_999 a1_1000 a2_001", "clip1_1 clip1_2 clip1_10 clip2_1", "2021_9_3 2021_10_3 2021_10_12",
        "2021-01-31 2021-02-01 2021-10-01", "1p1 1p2 1p10",
        "é1 e\u03012 é10",
    ],
)  # fmt: skip
def test_names_are_in_the_order_that_people_mean(names):
    names, rng = names.split(), random.Random(0)
    has_endings = any(name.endswith(("png", "jpg", "3gp")) for name in names)
    for ending in ("",) if has_endings else ("", ".png", ".JPEG"):
        wanted = [name + ending for name in names]
        for _ in range(5):
            assert order(*rng.sample(wanted, len(wanted))) == wanted


def test_the_order_is_strict_and_total():
    rng = random.Random(0)
    pieces = "0 1 2 10 01 . .5 .05 .10 - -1 e-05 1e-05 a A b é e\u0301 ٣ / ./ img ( ) .png .PNG ~ _ 9.9.9"
    names = sorted({"".join(rng.choices(pieces.split(), k=rng.randint(1, 6))) for _ in range(1500)})
    expected = order(*names)
    for _ in range(3):
        assert order(*rng.sample(names, len(names))) == expected
    assert order("B.png", "a.png", "A.png", "b.png") == ["A.png", "a.png", "B.png", "b.png"]


def test_the_short_way_for_sorted_names_agrees_with_the_order():
    for names in (["1e-05", "1e-06", "1e-07"], ["0.5", "0.6", "0.7"], ["1.5", "2.5", "3.5"], ["-1", "-2", "-3"]):
        (video,) = list_videos(Names([f"v/{name}.png" for name in names]))
        assert [names[index] for index in video.frames] == order(*names)
    assert order("1e-05", "1e-06", "1e-07") == ["1e-07", "1e-06", "1e-05"]


def test_the_short_way_for_whole_numbers_agrees_with_the_order():
    rng, short = random.Random(0), 0
    for _ in range(400):
        before = rng.choice(["", "v", "clip-", "t0.", "1_", "x0p", "1e-", "a1b", "é", "5-", "frame.", "a/", "-"])
        after = rng.choice(["", ".png", ".5", ".PNG", "s.png"])
        numbers = [
            rng.choice(["{}", "0{}", "{:03d}"]).format(rng.randint(0, 10 ** rng.choice([1, 2, 4]))) for _ in range(8)
        ]
        names = sorted({before + number + after for number in numbers})
        short += names_module._numbers_alone(names) is not None
        found = order(*names)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(names_module, "_numbers_alone", lambda names: None)
            assert order(*names) == found
    assert 50 < short < 350


def test_one_name_in_two_forms_of_unicode_is_said():
    composed, apart = "caf\u00e9", "cafe\u0301"
    assert normal_form(apart) == normal_form(composed) == composed
    assert len(list_videos(Names([f"{composed}/1.png", f"{apart}2/1.png"]))) == 2
    for names in ([f"{composed}/1.png", f"{apart}/2.png"], [f"v/{composed}.png", f"v/{apart}.png"]):
        with pytest.raises(DataError, match=r"holds .*caf.* twice, in two forms of Unicode"):
            list_videos(Names(names))


def test_backslashes_of_a_badly_unpacked_zip_are_said(tmp_path):
    folder = write_folder(tmp_path / "in", {"v0\\1.png": image_bytes(), "v1\\1.png": image_bytes()})
    with pytest.raises(DataError, match=r"has a backslash in its name; give the zip"):
        list_videos(open_archive(folder))


LITTER = (
    ".DS_Store|v/.DS_Store|v/Thumbs.db|v/thumbs.DB|desktop.ini|@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg|v/@eaDir/1.jpg|#recycle/1.png|"
    "__MACOSX/v/._1.png|v/._1.png|.thumbnails/1.png|lost+found/1.png|.@__thumb/1.png|@Recycle/1.png|$RECYCLE.BIN/1.png|"
    "System Volume Information/1.png|.ipynb_checkpoints/1.png|v/.ipynb_checkpoints/1-checkpoint.png|.AppleDouble/1.png"
)


def test_litter_of_all_systems_is_no_video_and_no_other_file(tmp_path):
    frames = ["v/1.png", "v/2.png", "w/1.jfif", "@me/1.png", "recycle/1.png", "lost/1.png"]
    rest = ["notes.txt", "v/inside.zip", "w/clip.mp4", "w/1.heic"]
    names = [*frames, *LITTER.split("|"), *rest, "dataset.json", "w/dataset.json"]
    archives = [Names(names), open_archive(write_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x")))]
    for archive in archives:
        videos = list_videos(archive)
        found = {archive.names[index] for video in videos for index in video.frames}
        assert found == set(frames)
        assert other_files(archive) == ["notes.txt", "v/inside.zip", "w/clip.mp4", "w/1.heic"]


@pytest.mark.parametrize("length", [4299, 4301, 5000, 60_000])
def test_numbers_of_any_length_are_in_order(length):
    low, high = "1" * length, "2" + "0" * (length - 1)
    names = [f"v/{high}.png", f"v/{low}0.png", f"v/{low}.png", f"v/000{low[:-1]}.png", "v/7.png", "v/x.png"]
    (video,) = list_videos(Names(names))
    assert [names.index(names[i]) for i in video.frames] == [4, 3, 2, 0, 1, 5]


def test_folders_named_by_digits_of_other_scripts_convert(tmp_path):
    files = {f"{folder}/v/{i}.png": image_bytes(i) for folder in ("٣", "²", "9" * 5000) for i in range(3)}
    source = write_zip(tmp_path / "in.zip", files)
    report = convert_dataset(
        source, str(tmp_path / "out.zip"), ConvertOptions(Geometry((16, 16)), workers=1, labels=True)
    )
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
            report = convert_dataset(source, str(tmp_path / "out.zip"), ConvertOptions(Geometry((8, 8)), workers=1))
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
    with pytest.raises(DataError, match=r"1.png (cannot be read|is not a readable image)"):
        convert_dataset(
            str(tmp_path / "in.zip"), str(tmp_path / "out.zip"), ConvertOptions(Geometry((8, 8)), workers=1)
        )


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
    "reader", [open_archive, DatasetVideos, lambda path: convert_dataset(path, f"{path}.zip", ConvertOptions())]
)
def test_1500_folders_in_each_other_end_in_a_sentence(deep_folder, reader):
    with pytest.raises(DataError, match="more than 100 levels of folders|File name too long") as error:
        reader(str(deep_folder))
    assert len(str(error.value)) < 1100
