"""Names to write to: files of known formats, folders, and endings of other files, which are refused."""

import pytest

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.writer import DatasetWriter
from stylegan_v_ext.outputs import VIDEO_FORMATS, check_place, format_of

FOLDERS = [
    "out",
    "run.v2",
    "2024.05.01",
    "samples_0.5",
    "a.b.c",
    "v1.10-rc",
    "St. Mary",
    "my.videos",
    "x.256",
    ".cache",
]
FOREIGN = ["avi", "7z", "tiff", "tif", "mp3", "wmv", "m4v", "tar", "tar.gz", "rar", "AVI", "Mp3", "pdf", "h5", "mpg"]


@pytest.mark.parametrize("name", FOLDERS)
def test_dots_of_folders_are_no_endings(name, tmp_path):
    for path in (name, tmp_path / name, f"{name}/", f"x.mp4/{name}"):
        assert format_of(path, VIDEO_FORMATS) is None
        check_place(path, ())
    with DatasetWriter(tmp_path / name) as writer:
        writer.write("0/0.jpg", b"x")
    assert (tmp_path / name / "0" / "0.jpg").read_bytes() == b"x"


@pytest.mark.parametrize("ending", FOREIGN)
def test_endings_of_other_files_are_refused_and_nothing_is_made(ending, tmp_path):
    for name in (f"clip.{ending}", f"clip.{ending}.", f"a.b.{ending} "):
        with pytest.raises(ValueError, match=rf"ends in \.{ending.rpartition('.')[2].lower()}; use \.mp4, \.mov"):
            format_of(tmp_path / name, VIDEO_FORMATS)
        with pytest.raises(ValueError, match="; end it in / for a folder"):
            check_place(tmp_path / name, ())
        with pytest.raises(DataError, match=r"use \.zip, or end it in / for a folder"):
            DatasetWriter(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_formats_are_known_in_any_case_and_need_a_name():
    for format in VIDEO_FORMATS:
        assert format_of(f"a.{format}", VIDEO_FORMATS) == format_of(f"a.b.{format.upper()}", VIDEO_FORMATS) == format
        with pytest.raises(ValueError, match="no name stands before it"):
            format_of(f"there/.{format}", VIDEO_FORMATS)
        with pytest.raises(ValueError, match="; end it in / for a folder"):
            check_place(f"a.{format}", ())
        assert format_of(f"a.{format}/", VIDEO_FORMATS) is None, "a slash says folder"


def test_a_folder_that_is_there_stays_a_folder(tmp_path):
    (tmp_path / "old.avi").mkdir()
    assert format_of(tmp_path / "old.avi", VIDEO_FORMATS) is None
    check_place(tmp_path / "old.avi", ())


@pytest.mark.parametrize("name", ["a.zip", "a.ZIP", "a.Zip", "a.zip.zip", "a.tar.zip"])
def test_data_sets_in_zips(name, tmp_path):
    with DatasetWriter(tmp_path / name) as writer:
        writer.write("0/0.jpg", b"x")
    assert (tmp_path / name).read_bytes()[:2] == b"PK"


def test_places_that_cannot_be_are_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "old.mp4").mkdir()
    for name in ("file", "file/", "file/a", "file/a/b.mp4"):
        with pytest.raises(ValueError, match="/file is no folder, so nothing can be written in it; name another path"):
            check_place(f"{tmp_path}/{name}", VIDEO_FORMATS)
    with pytest.raises(ValueError, match=r"old.mp4 is a folder; end it in / to write into it, or name another file"):
        check_place(tmp_path / "old.mp4", VIDEO_FORMATS)
    with pytest.raises(ValueError, match=r"old.mp4 is a folder; name another file"):
        check_place(tmp_path / "old.mp4", ["mp4"], or_folder=False)
    for name in ("old.mp4/", "old.mp4/new", "new/a.mp4", "file.mp4", "-/"):
        check_place(f"{tmp_path}/{name}", VIDEO_FORMATS)
    with pytest.raises(ValueError, match=r"a.pt ends in .pt; use .pkl or .safetensors$"):
        check_place("a.pt", ["pkl", "safetensors"], or_folder=False)
