"""What is said about paths that hold no data set; every remedy is followed."""

import io
import re
import shlex
import tarfile

import numpy as np
import pytest
from click.testing import CliRunner

from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.convert import ConvertOptions, convert_dataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.opening import convert_command, files_left_out, open_dataset
from stylegan_v_ext.data.sources import find_sources
from tests.data.helpers import image_bytes, video_files, write_folder, write_zip

MP4 = b"\0\0\0\x18ftypisom" + bytes(100)


def refusal(path):
    with pytest.raises(DataError) as caught:
        open_dataset(str(path))
    return str(caught.value)


def test_a_folder_of_videos_points_to_the_command_that_converts_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder("videos", {"a.mp4": MP4, "deep/b.MOV": MP4, ".DS_Store": b"x"})
    assert refusal("videos/") == (
        "videos/ holds videos (a.mp4, deep/b.MOV) and no folder of frames; "
        "`stylegan-v data convert videos/ videos.zip` makes a data set of them"
    )
    write_zip("videos.zip", {"c.mp4": MP4})
    assert "`stylegan-v data convert videos.zip videos-2.zip`" in refusal("videos.zip")
    assert "`stylegan-v data convert videos videos-2.zip`" in refusal("videos")


def test_thumbnails_beside_videos_are_no_frames(tmp_path):
    videos = {f"{kind}/{i}.mp4": MP4 for kind in "ab" for i in range(4)}
    thumbnails = {name.replace("mp4", "jpg"): image_bytes() for name in videos}
    path = write_folder(tmp_path / "videos", {**videos, **thumbnails})
    assert f"{path} holds videos (a/0.mp4, a/1.mp4, a/2.mp4 and 5 more) and no folder of frames; " in refusal(path)
    assert len(open_dataset(write_folder(tmp_path / "videos", video_files(1, 5)))[1]) == 3


@pytest.mark.parametrize(("name", "content"), [("my clip.mp4", MP4), ("no ending", MP4), ("a.webm", b"\x1aE\xdf\xa3")])
def test_a_video_points_to_the_command_that_converts_it(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert f"is a video, not a data set of frames; {convert_command(str(path))} makes" in refusal(path)
    (command,) = re.findall("`(.*)`", convert_command(str(path)))
    assert shlex.split(command)[3:] == [str(path), str(tmp_path / f"{path.stem}.zip")]


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"), (b"Rar!\x1a\x07", "a rar archive; unpack it"),
     (b"\x1f\x8b\x08", "a gzip (.tar.gz) archive; unpack it"),
     (b"\x28\xb5\x2f\xfd", "a zstd (.tar.zst) archive; unpack it"), (b"\x89HDF\r\n", "an HDF5 file, which is")],
)  # fmt: skip
def test_archives_of_other_kinds_are_named(tmp_path, content, kind):
    (tmp_path / "a.zip").write_bytes(content + bytes(100))
    assert f"is {kind}" in refusal(tmp_path / "a.zip")


def test_a_tar_is_named_and_its_folder_is_read(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as file:
        for name, data in video_files(2, 3).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    assert "is a tar archive; unpack it and give the folder, or zip that" in refusal(tmp_path / "set.tar")
    with tarfile.open(tmp_path / "set.tar") as file:
        file.extractall(tmp_path / "set", filter="data")
    assert len(open_dataset(str(tmp_path / "set"))[1]) == 2


def test_a_path_that_does_not_exist_is_said_with_the_name_most_like_it(tmp_path):
    write_zip(tmp_path / "faces256.zip", {})
    write_folder(tmp_path / "clips", video_files(1, 3))
    for wrong, right in (("faces265.zip", "faces256.zip"), ("clisp", "clips"), ("clip/train", "clips")):
        message = refusal(tmp_path / wrong)
        assert f"{tmp_path / wrong} does not exist (is it {tmp_path / right}?); give a .zip" in message
    assert f"(is it {tmp_path / 'clips'}?)" in refusal(tmp_path / "CLIPS.zip")
    assert f"{tmp_path / 'other'} does not exist; give a .zip" in refusal(tmp_path / "other")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"b/notes.txt": b"", "a.md": b""}, "holds no frames, but other files (a.md, b/notes.txt); expected folders"),
        ({"part.zip": b""}, "holds no frames, but zips (part.zip); name one of them, such as "),
        ({"a-00000.zip": b"", "b.txt": b""}, "/set/a.zip"),
        ({"dataset.json": b"{}", ".x/1.png": b""}, "holds no frames; expected folders"),
    ],
)
def test_folders_without_frames_are_described(tmp_path, files, sentence):
    assert sentence in refusal(write_folder(tmp_path / "set", files))


def test_a_picture_is_no_data_set(tmp_path):
    (tmp_path / "a.png").write_bytes(image_bytes())
    assert "is a picture; name a folder that holds one folder of frames for each video" in refusal(tmp_path / "a.png")


def test_files_that_are_not_read_are_named(tmp_path):
    extra = {"a.mp4": MP4, "v0/b.txt": b"", "c.csv": b"", "d.csv": b"", "e.csv": b"", ".DS_Store": b""}
    path = write_folder(tmp_path / "set", {**video_files(1, 3, metadata={}), **extra})
    archive, videos = open_dataset(path)
    assert files_left_out(archive, path, videos) == [
        f"videos beside the frames are not read (a.mp4); {convert_command(path)} reads both",
        "files that are no frames are not read (c.csv, d.csv, e.csv and 1 more)",
    ]
    archive, videos = open_dataset(write_folder(tmp_path / "plain", video_files(1, 3)))
    assert files_left_out(archive, "plain", videos) == []


@pytest.mark.parametrize("command", [["train", "--cfg=stylegan-v", "-n", "--device=cpu", "--data"], ["data", "check"]])
def test_commands_say_it_in_one_line(tmp_path, command):
    path = write_folder(tmp_path / "videos", {"a.mp4": MP4})
    result = CliRunner().invoke(main, [*command, path])
    assert result.exit_code == 2 and result.output.startswith(
        f"Error: {path} holds videos (a.mp4) and no folder of frames"
    )
    assert result.output.count("\n") == 1


def test_clips_of_numpy_are_named_with_the_command_that_works(tmp_path):
    (tmp_path / "npys").mkdir()
    for name in ("a.npy", "npys/a.npy"):
        np.save(tmp_path / name, np.full((4, 16, 16, 3), 9, np.uint8))
    np.savez(tmp_path / "b.npz", np.zeros((4, 16, 16, 3), np.uint8))
    for name in ("a.npy", "npys", "b.npz"):
        message = refusal(tmp_path / name)
        command = next(iter(re.findall("`(.*)`", message)))
        source, dest = shlex.split(command)[3:5]
        assert source == str(tmp_path / name)
        convert_dataset(source, dest, ConvertOptions(Geometry((16, 16))))
        assert [len(video) for video in open_dataset(dest)[1]] == [4]
    (tmp_path / "notes.txt").write_text("x")
    assert "is neither a .zip nor a folder" in refusal(tmp_path / "notes.txt")


def test_folders_of_thumbnails_beside_videos_are_no_data_set(tmp_path):
    files = {f"{name}.mp4": b"x" for name in "abc"} | {f"thumbs/{name}.jpg": image_bytes() for name in "abc"}
    assert "holds videos (a.mp4, b.mp4, c.mp4) and no folder of frames" in refusal(write_folder(tmp_path / "in", files))


BESIDE = {  # pictures beside videos -> folders of pictures that training reads; None for a refusal
    "thumbnails of the same names": ("a.mp4 b.mp4 thumbs/a.jpg thumbs/b.jpg", None),
    "pictures of the same names in another folder": ("v/a.mp4 v/b.mp4 images/a.png images/b.png", None),
    "a few numbered pictures": ("x.mp4 " + " ".join(f"pic{i}.jpg" for i in range(7)), None),
    "a poster": ("a.mp4 poster.jpg", None),
    "frames with a preview": ("v0/preview.mp4 " + " ".join(f"v0/{i:04d}.png" for i in range(9)), {"v0"}),
    "frames with a still GIF": ("v0/cover.gif " + " ".join(f"v0/f{i}.png" for i in range(5)), {"v0"}),
    "frames elsewhere": ("more/a.mp4 more/a.jpg " + " ".join(f"v0/{i}.png" for i in range(5)), {"v0", "more"}),
    "a hidden video": (".x.mp4 1.png 2.png 3.png", {""}),
}


@pytest.mark.parametrize("kind", list(BESIDE))
def test_training_and_convert_have_one_rule_for_pictures_beside_videos(tmp_path, kind):
    files, folders = BESIDE[kind]
    gif = image_bytes(format="GIF")
    made = {name: {"mp4": MP4, "gif": gif}.get(name[-3:], image_bytes()) for name in files.split()}
    for path in (write_folder(tmp_path / "in", made), write_zip(tmp_path / "in.zip", made)):
        if folders is None:
            message = refusal(path)
            assert "and no folder of frames; `stylegan-v data convert " in message
            assert {source.video for source in find_sources(path).sources} == {None}
        else:
            archive, videos = open_dataset(path)
            assert {video.folder for video in videos} == folders
            notes = files_left_out(archive, path, videos)
            wanted = {
                "frames with a preview": "reads them after you move away the pictures beside them (v0)",
                "frames elsewhere": "reads them, and takes the pictures in more for thumbnails or posters",
                "frames with a still GIF": "files that are no frames are not read (v0/cover.gif)",
            }.get(kind)
            assert [note.endswith(wanted) for note in notes] == [True] if wanted else notes == []
