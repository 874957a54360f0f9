"""Reading zips, folders and shards by number."""

import io
import multiprocessing
import os
import pickle
import shutil
import tarfile
import tempfile
import types
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data.archive import open_archive, zipped
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.metadata import read_metadata
from stylegan_v_ext.data.names import natural_sorted
from stylegan_v_ext.data.pictures import decode_frame
from stylegan_v_ext.data.videos import list_videos
from tests.data.helpers import video_files, write_folder, write_zip

FILES = video_files(num_frames=12, metadata={"labels": [["v0", 1], ["v1", 0], ["v2", 1]], "fps": 25})


def content(archive):
    return {name: archive.read(index) for index, name in enumerate(archive.names)}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_members_are_read_whole(tmp_path, compression):
    assert content(open_archive(write_zip(tmp_path / "a.zip", FILES, compression))) == FILES


def test_folders_are_read_like_zips(tmp_path):
    assert content(open_archive(write_folder(tmp_path / "a", FILES))) == FILES


def test_shards_are_one_archive(tmp_path):
    for shard in range(3):
        part = {name: data for name, data in FILES.items() if name.startswith(f"v{shard}/")}
        part["dataset.json"] = b'{"labels": [["v%d", %d]], "fps": 10}' % (shard, shard)
        write_zip(tmp_path / f"sky-{shard:05d}.zip", part)
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "@eaDir").mkdir()
    for path in (tmp_path / "sky.zip", tmp_path):
        archive = open_archive(path)
        assert [video.folder for video in list_videos(archive)] == [f"sky-{i:05d}.zip/v{i}" for i in range(3)]
        metadata = read_metadata(archive)
        assert metadata.labels == {f"sky-{i:05d}.zip/v{i}": i for i in range(3)} and metadata.fps == 10
        last = archive.names.index("sky-00002.zip/v2/3.png")
        assert archive.read(last) == FILES["v2/3.png"]


def test_frames_are_in_natural_order(tmp_path):
    archive = open_archive(write_zip(tmp_path / "a.zip", FILES))
    names = [archive.names[index] for index in list_videos(archive)[0].frames]
    assert names == [f"v0/{i}.png" for i in range(1, 13)]
    assert natural_sorted(["b10", "b2", "a3", "B1"]) == ["a3", "B1", "b2", "b10"]


def test_videos_are_found_at_any_depth_and_litter_is_ignored(tmp_path):
    files = {
        **video_files(1, 3, root="deep/er/"), **video_files(1, 3), "notes.txt": b"", "v0/readme.md": b"",
        "__MACOSX/v0/1.png": b"x", ".hidden/1.png": b"x", "v0/.1.png": b"x",
    }  # fmt: skip
    folders = [video.folder for video in list_videos(open_archive(write_zip(tmp_path / "a.zip", files)))]
    assert folders == ["deep/er/v0", "v0"]


def test_labels_belong_to_the_folder_of_their_file(tmp_path):
    files = video_files(2, 3, root="top/", metadata={"labels": {"v0": 3, "v1/": 0}})
    assert read_metadata(open_archive(write_zip(tmp_path / "a.zip", files))).labels == {"top/v0": 3, "top/v1": 0}


def read_all(archive):
    return sorted(content(archive).items()) == sorted(FILES.items())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_at_the_same_time(tmp_path, method):
    archive = open_archive(write_zip(tmp_path / "a.zip", FILES))
    archive.read(0)  # the file is open already in the parent
    with multiprocessing.get_context(method).Pool(3) as pool:
        assert all(pool.map(read_all, [archive] * 12))


def test_archives_are_picklable_while_open(tmp_path):
    archive = open_archive(write_zip(tmp_path / "a.zip", FILES))
    archive.read(0)
    assert content(pickle.loads(pickle.dumps(archive))) == FILES


def damaged(tmp_path, cut=None, flip=None):
    path = tmp_path / "bad.zip"
    write_zip(path, FILES)
    data = bytearray(path.read_bytes())
    if flip is not None:
        data[data.index(b"IDAT") + flip] ^= 0xFF
    path.write_bytes(data[:cut])
    return path


def test_a_truncated_zip_is_named(tmp_path):
    with pytest.raises(DataError, match="bad.zip is not a sound zip archive"):
        open_archive(damaged(tmp_path, cut=-100))


def test_a_rotten_member_is_named(tmp_path):
    archive = open_archive(damaged(tmp_path, flip=6))
    with pytest.raises(DataError, match="v0/1.png is damaged"):
        archive.read(archive.names.index("v0/1.png"))
    archive.read(archive.names.index("v0/2.png"))


def test_paths_that_lead_nowhere_are_named(tmp_path):
    with pytest.raises(DataError, match="none.zip does not exist"):
        open_archive(tmp_path / "none.zip")
    with pytest.raises(DataError, match="none does not exist"):
        open_archive(tmp_path / "none")


def test_a_file_deleted_meanwhile_is_named(tmp_path):
    archive = open_archive(write_folder(tmp_path / "a", FILES))
    (tmp_path / "a/v0/1.png").unlink()
    with pytest.raises(DataError, match="v0/1.png cannot be read"):
        archive.read(archive.names.index("v0/1.png"))


def test_a_zip_is_listed_once_until_it_changes(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", FILES)
    listed = []
    original = zipped.open_zip_index
    monkeypatch.setattr(zipped, "open_zip_index", lambda path: listed.append(1) or original(path))
    first = open_archive(path)
    assert open_archive(path) is first and len(listed) == 1
    write_zip(tmp_path / "a.zip", video_files(1, 2))
    assert len(open_archive(path).names) == 2


def test_only_picture_formats_are_opened(tmp_path):
    from stylegan_v_ext.data.pictures import decode_frame

    with pytest.raises(DataError, match="not a readable image"):
        decode_frame(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\n", "v0/1.jpg")


def test_links_in_folders_may_not_lead_out_of_them(tmp_path):
    (tmp_path / "outside.jpg").write_bytes(b"x")
    (tmp_path / "data" / "v").mkdir(parents=True)
    (tmp_path / "data" / "v" / "1.jpg").write_bytes(b"y")
    (tmp_path / "data" / "v" / "2.jpg").symlink_to("1.jpg")
    assert open_archive(tmp_path / "data").names == ["v/1.jpg", "v/2.jpg"]
    (tmp_path / "data" / "v" / "3.jpg").symlink_to("../../outside.jpg")
    with pytest.raises(DataError, match=r"3.jpg is a link to ../../outside.jpg, which is not in"):
        open_archive(tmp_path / "data")


def test_members_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("v/1.jpg", bytes(10**6))
    data = (tmp_path / "a.zip").read_bytes()
    archive = open_archive(tmp_path / "a.zip")
    assert len(archive.read(0)) == 10**6
    monkeypatch.setattr("stylegan_v_ext.data.archive.zipped._MOST_BYTES", 10**5)
    with pytest.raises(DataError, match="has 1000000 bytes, the most is 100000"):
        archive.read(0)
    (tmp_path / "b.zip").write_bytes(data.replace((10**6).to_bytes(4, "little"), (10**4).to_bytes(4, "little")))
    with pytest.raises(DataError, match="is damaged"):  # it says less than it unpacks to
        open_archive(tmp_path / "b.zip").read(0)


@pytest.mark.parametrize(
    ("name", "mode", "kind"),
    [("a.tar", "w", "tar"), ("a.tar.gz", "w:gz", "gzip"), ("a.tgz", "w:gz", "gzip"), ("a.zip", "w", "tar"),
     ("a.tar.bz2", "w:bz2", "bzip2"), ("a.tar.xz", "w:xz", "xz")],
)  # fmt: skip
def test_a_tar_is_named_as_such(tmp_path, name, mode, kind):
    folder = write_folder(tmp_path / "in", {"v/1.png": b"x"})
    with tarfile.open(tmp_path / name, mode) as file:
        file.add(folder, "in")
    with pytest.raises(DataError, match=f"{name} is a {kind}.* archive; unpack it"):
        open_archive(tmp_path / name)


@pytest.mark.parametrize(("name", "head"), [("a.7z", b"7z\xbc\xaf\x27\x1c\0\4"), ("a.rar", b"Rar!\x1a\7\1\0")])
def test_other_archives_are_named_as_such(tmp_path, name, head):
    (tmp_path / name).write_bytes(head + bytes(100))
    with pytest.raises(DataError, match=f"{name} is a {name[2:]} archive; unpack it"):
        open_archive(tmp_path / name)


def test_a_member_can_be_had_as_a_file(tmp_path):
    random = np.random.default_rng(0)
    files = {
        "a/clip one.mp4": random.bytes(2_500_001),
        "b/zeros.MKV": bytes(3_000_000),
        "c.avi": b"",
        "d.e/f g": b"abc" * 9,
    }
    archives = [
        open_archive(write_zip(tmp_path / "a.zip", files)),
        open_archive(write_zip(tmp_path / "b.zip", files, zipfile.ZIP_DEFLATED)),
        open_archive(write_folder(tmp_path / "folder", files)),
    ]
    write_zip(tmp_path / "set-00000.zip", {"x.mp4": b"no"})
    write_zip(tmp_path / "set-00001.zip", files)
    archives.append(open_archive(tmp_path / "set.zip"))
    for archive in archives:
        for index, name in enumerate(archive.names):
            wanted = next((data for end, data in files.items() if name.endswith(end)), b"no")
            with archive.local_file(index) as path:
                assert path.read_bytes() == wanted
                assert path.suffix.lower() in (".mp4", ".mkv", ".avi", "")
            assert path.exists() == (archive is archives[2]), "a copy goes, a file stays"


def test_the_head_of_a_file_is_read_without_the_rest(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    files = {"a.png": random.bytes(300_000), "zeros.png": bytes(300_000), "few.png": b"abc", "none.png": b""}
    stored, deflated = write_zip(tmp_path / "a.zip", files), write_zip(tmp_path / "b.zip", files, zipfile.ZIP_DEFLATED)
    write_zip(tmp_path / "set-00000.zip", {"x.png": b"no"})
    write_zip(tmp_path / "set-00001.zip", files)
    places = [stored, deflated, write_folder(tmp_path / "folder", files), tmp_path / "set.zip"]
    taken, pread = [], os.pread
    monkeypatch.setattr(zipped.os, "pread", lambda file, size, at: taken.append(size) or pread(file, size, at))
    for archive in map(open_archive, places):
        for index, name in enumerate(archive.names):
            wanted = next((data for end, data in files.items() if name.endswith(end)), b"no")
            assert archive.head(index, 4096) == wanted[:4096]
    assert max(taken) < 6000
    broken = bytearray(Path(deflated).read_bytes())
    broken[0] ^= 1
    (tmp_path / "c.zip").write_bytes(broken)
    with pytest.raises(DataError, match="a.png is damaged"):
        open_archive(tmp_path / "c.zip").head(0, 10)


def test_a_file_of_an_archive_that_cannot_be_had_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "temporary").mkdir()
    data = {"v/clip.mp4": np.random.default_rng(0).bytes(300_000)}
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        whole = Path(write_zip(tmp_path / "a.zip", data, compression)).read_bytes()
        for at in (0, 200, 150_000, whole.rfind(b"PK\x01\x02") + 24):  # header, content, the size that is stated
            broken = bytearray(whole)
            broken[at] ^= 1
            (tmp_path / "b.zip").write_bytes(broken)
            with pytest.raises(DataError, match="v/clip.mp4 is damaged"):  # noqa: SIM117
                with open_archive(tmp_path / "b.zip").local_file(0):
                    raise AssertionError("not reached")
    archive = open_archive(tmp_path / "a.zip")
    with pytest.raises(RuntimeError), archive.local_file(0):
        raise RuntimeError("an error in the block")
    monkeypatch.setattr(zipped, "_MOST_FILE_BYTES", 299_999)
    with pytest.raises(DataError, match="v/clip.mp4 has 300000 bytes, the most is 299999"), archive.local_file(0):
        pass
    monkeypatch.setattr(zipped, "_MOST_FILE_BYTES", 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=10))
    with pytest.raises(DataError, match="needs 300000 bytes in .*temporary; free them"), archive.local_file(0):
        pass
    assert not list((tmp_path / "temporary").iterdir())
    folder = open_archive(write_folder(tmp_path / "folder", data))
    (tmp_path / "folder/v/clip.mp4").unlink()
    with pytest.raises(DataError, match="clip.mp4 cannot be read"), folder.local_file(0):
        pass


def test_pictures_of_too_many_pixels_are_refused(monkeypatch):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (64, 64)).save(buffer, format="PNG")
    monkeypatch.setattr("stylegan_v_ext.data.pictures.reading.MOST_PIXELS", 1000)
    with pytest.raises(DataError, match="is not a readable image"):
        decode_frame(buffer.getvalue(), "x.png")


def test_names_of_shards_are_a_sequence(tmp_path):
    for shard in range(2):
        write_zip(tmp_path / f"set-{shard:05d}.zip", {f"v{shard}/{number}.jpg": b"x" for number in range(5)})
    names = open_archive(tmp_path).names
    expected = list(names)
    assert len(names) == 10 and expected[0] == "set-00000.zip/v0/0.jpg" and expected[-1] == "set-00001.zip/v1/4.jpg"
    for part in (
        slice(1, 4),
        slice(6, 9),
        slice(3, 8),
        slice(None),
        slice(None, None, 3),
        slice(4, 4),
        slice(-3, None),
    ):
        assert names[part] == expected[part]
    assert names[-1] == expected[-1] and names[7] == expected[7]
    with pytest.raises(IndexError):
        names[10]
