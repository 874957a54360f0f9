"""What a look through a data set finds, in how many words, and whether the remedies work."""

import io
import json
import re
import shlex

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.check import LONGEST_USED, check_dataset
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import grouped
from stylegan_v_ext.timestamps import TimestampSampler
from tests.data.helpers import image_bytes, video_files, write_folder, write_zip

TRAIN = ["train", "--cfg=stylegan-v", "-n", "--device=cpu"]


def call(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def commands(text):
    """Commands that a message names, as words for `main`."""
    return [shlex.split(command)[1:] for command in re.findall("`(stylegan-v [^`]*)`", text)]


def test_one_fault_of_all_frames_is_said_once_and_its_remedy_works(tmp_path):
    path = write_folder(tmp_path / "my set", video_files(4, 6, size=(24, 16)))
    report = check_dataset(path)
    assert report.problems == ["all 24 frames are 24x16, expected a square (v0/1.png, v0/2.png, v0/3.png and 21 more)"]
    assert not report.is_curable(use_labels=False) and report.resolution is None
    output = call("data", "check", path, code=2)
    assert "--resolution=16 --transform=center-crop` makes frames of one size" in output and "--skip-bad" not in output
    (convert,) = commands(output)
    call(*convert)
    assert check_dataset(convert[3]).problems == [] and SparseVideoDataset(convert[3]).resolution == 16
    output = call(*TRAIN, f"--data={path}", f"--outdir={tmp_path}", code=2)
    assert "all 24 frames are 24x16, expected a square" in output and commands(output)[-1] == ["data", "check", path]


@pytest.mark.parametrize(
    "frames",
    [dict(size=(24, 24)), dict(mode="L"), dict(mode="RGBA"), dict(size=(16, 24)), dict(format="BMP", size=(9, 12))],
)
def test_converting_as_advised_mends_sizes_and_modes(tmp_path, frames):
    path = write_zip(
        tmp_path / "a.zip", {f"v{v}/{i}.png": image_bytes(i, **frames) for v in range(2) for i in range(5)}
    )
    assert len(check_dataset(path).problems) == 1
    (convert,) = commands(call("data", "check", path, code=2))
    call(*convert)
    assert check_dataset(convert[3]).problems == []


def test_a_single_thumbnail_does_not_decide_on_the_size(tmp_path):
    for thumbnails in ({"a/cover.png": (32, 32)}, {"cover.png": (32, 24)}, {"a/1.png": (8, 8), "b/1.png": (8, 8)}):
        files = {name: image_bytes(size=size) for name, size in thumbnails.items()}
        path = write_zip(tmp_path / "a.zip", {**video_files(3, 5), **files})
        report = check_dataset(path)
        assert report.resolution == 16 and report.is_curable(use_labels=False)
        assert len(report.bad_videos) == len(thumbnails)
        assert len(SparseVideoDataset(path, exclude=report.bad_videos)) == 3
        assert "Left out: " in call(*TRAIN, f"--data={path}", "--skip-bad", f"--outdir={tmp_path}")


def test_long_lists_are_cut_and_counted(tmp_path):
    rng = np.random.RandomState(0)
    files = video_files(1, 30)
    files |= {f"w/{i}.png": image_bytes(size=(8 + i, 8 + int(rng.randint(8)))) for i in range(12)}
    files |= {f"x/{i}.png": b"no picture" for i in range(15)} | {f"short{i}/0.png": image_bytes() for i in range(25)}
    report = check_dataset(write_zip(tmp_path / "a.zip", files))
    assert report.problems[0] == ("25 of 28 videos have 1 frame, a clip needs 3 (short0, short1, short2 and 22 more)")
    assert any(re.match("w/0.png is 8x.*; 11 more frames have a fault of this kind", line) for line in report.problems)
    assert "15 of 82 frames are not a readable image (x/0.png, x/1.png, x/2.png and 12 more)" in report.problems
    assert len(report.problems) == 3 and len(report.bad_videos) == 27


def test_few_faults_are_named_each():
    assert grouped([("a", "has no label"), ("b", "has no label")], "video", 9) == ["a has no label", "b has no label"]
    assert grouped([(name, "has no label") for name in "abcd"], "video", 4) == [
        "all 4 videos have no label (a, b, c and 1 more)"
    ]
    assert grouped([], "video", 4) == []


def test_what_is_not_read_is_a_note_and_no_problem(tmp_path):
    path = write_folder(tmp_path / "set", {**video_files(2, 4), "trailer.mp4": b"x", "readme.txt": b"x"})
    output = call("data", "check", path)
    assert "Note: videos beside the frames are not read (trailer.mp4)" in output
    assert "Note: files that are no frames are not read (readme.txt)" in output
    assert "Note: videos beside the frames" in call(*TRAIN, f"--data={path}", f"--outdir={tmp_path}")


def test_videos_shorter_than_a_clip_name_a_length_that_works(tmp_path):
    path = write_zip(tmp_path / "a.zip", video_files(2, 4))
    output = call(*TRAIN, f"--data={path}", "--num-frames=6", f"--outdir={tmp_path}", code=2)
    (option,) = re.findall("use (--num-frames=[0-9]+) or less", output)
    assert option == "--num-frames=4"
    call(*TRAIN, f"--data={path}", option, f"--outdir={tmp_path}")
    single = write_zip(tmp_path / "b.zip", video_files(3, 1))
    assert "--cfg=stylegan2 trains on pictures" in call(*TRAIN, f"--data={single}", f"--outdir={tmp_path}", code=2)
    call(*TRAIN, f"--data={single}", "--cfg=stylegan2", f"--outdir={tmp_path}")


def test_a_distance_that_no_video_has_is_refused_with_the_largest(tmp_path):
    path = write_zip(tmp_path / "a.zip", {**video_files(2, 12), **video_files(1, 5, root="short/")})
    train = [*TRAIN, f"--data={path}", f"--outdir={tmp_path}"]
    output = call(*train, "--max-dist=200", code=2)
    assert "--max-dist=200 is above 11, the largest distance in these data, whose longest video has 12 frames" in output
    (option,) = re.findall("use (--max-dist=[0-9]+) or less", output)
    output = call(*train, option)
    assert option == "--max-dist=11" and "Note: --max-dist=11 is met in 2 of 3 videos" in output
    assert "--max-dist" not in call(*train) and "is met in" not in call(*train, "--max-dist=4")
    output = call(*train, "--num-frames=5", "--max-dist=3", code=2)
    assert "--max-dist=3 has no room for 5 frames; use --max-dist=4 or more" in output
    call(*train, "--num-frames=5", "--max-dist=4")


def test_frames_that_training_never_sees_are_said(tmp_path):
    assert TimestampSampler().max_num_frames == LONGEST_USED
    frame = image_bytes(size=(8, 8))
    path = write_zip(tmp_path / "a.zip", {f"{i}.png": frame for i in range(LONGEST_USED + 6)})
    report = check_dataset(path, headers_only=True)
    assert report.problems == [] and "all 1,030 frames lie in one folder and so are one video" in report.notes[0]
    assert "training sees 1,024 frames of a video, and no more of the top folder" in report.notes[1]
    assert "--resolution=8 --clip-frames=1024` cuts all into clips" in report.notes[1]
    files = {f"{folder}/{i}.png": frame for folder, length in (("a", 1030), ("b", 300)) for i in range(length)}
    report = check_dataset(write_zip(tmp_path / "b.zip", files), headers_only=True)
    (convert,) = commands(report.notes[0])
    call(*convert)
    assert list(check_dataset(convert[3], headers_only=True).lengths.values()) == [300] * 4


def test_notes_alone_leave_the_exit_code_at_0(tmp_path):
    metadata = {"labels": [["v0", 1], ["v1", 2]]}
    output = call("data", "check", write_zip(tmp_path / "a.zip", video_files(2, 4, metadata=metadata)))
    assert "Note: no video has class 0; classes are numbered from 0, the highest here is 2" in output
    assert "Classes: 3 (0: 0, 1: 1, 2: 1)" in output


def animation(value=40, frames=6):
    """An animated GIF, which is a video."""
    pictures = [PIL.Image.new("RGB", (16, 16), (value + 20 * i,) * 3) for i in range(frames)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, format="GIF", save_all=True, append_images=pictures[1:], duration=40)
    return buffer.getvalue()


def test_the_command_for_videos_makes_a_set_that_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder("videos", {"a.gif": animation(), "b.gif": animation(0)})
    (convert,) = commands(call(*TRAIN, "--data=videos/", code=2))
    assert convert == ["data", "convert", "videos/", "videos.zip"]
    call(*convert, "--resolution=16")
    assert "Videos:             2" in call(*TRAIN, "--data=videos.zip")
    write_folder("both", {"a.gif": animation(), **video_files(1, 4)})
    (convert,) = commands(call("data", "check", "both"))
    call(*convert, "--resolution=16")
    assert check_dataset("both.zip").lengths == {"000000": 6, "000001": 4}


def described(path, files, content):
    return write_zip(path, {**files, "dataset.json": content if isinstance(content, bytes) else json.dumps(content)})


REPAIRS = {
    "no labels": ({}, "add them to its dataset.json or leave --cond out", {"labels": {"v0": 0, "v1": 1}}),
    "a list": ([["v0", 1]], "has no labels (dataset.json holds a list, and is", {"labels": {"v0": 0, "v1": 1}}),
    "broken": (b"{", "mend it or take it out", {"labels": [["v0", 0], ["v1", 1]], "fps": 3}),
    "fps": ({"fps": "fast", "labels": {"v0": 0, "v1": 1}}, "mend it or take it out", {"labels": {"v0": 0, "v1": 1}}),
    "from 0": ({"labels": {"v0": -1, "v1": 0}}, "classes are numbered from 0", {"labels": {"v0": 0, "v1": 0}}),
    "two": ({"labels": [["v0", 0], ["v1", 0], ["v1", 1]]}, "a video has one class", {"labels": [["v0", 0], ["v1", 1]]}),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REPAIRS))
def test_mending_labels_as_advised_lets_classes_train(tmp_path, name):
    faulty, message, mended = REPAIRS[name]
    train = [*TRAIN, "--cond=1", f"--data={tmp_path / 'a.zip'}", f"--outdir={tmp_path}"]
    described(tmp_path / "a.zip", video_files(2, 4), faulty)
    assert message in call(*train, code=2)
    described(tmp_path / "a.zip", video_files(2, 4), mended)
    call(*train)


def test_files_of_several_classes_train_from_folders_of_their_own(tmp_path):
    files = [f"0000{v}/img{i}.png" for v in range(2) for i in range(4)]
    train = ["train", "--cfg=stylegan2", "-n", "--device=cpu", f"--outdir={tmp_path}", f"--data={tmp_path / 'a.zip'}"]
    described(
        tmp_path / "a.zip",
        dict.fromkeys(files, image_bytes()),
        {"labels": [[name, number % 3] for number, name in enumerate(files)]},
    )
    assert "Videos:             2" in call(*train)
    output = call(*train, "--cond=1", code=2)
    assert "move files of each class to a folder of their own and label the folders" in output
    assert "--skip-bad" not in output and "or train without --cond" in output
    moved = {f"{number % 3}/{name.rpartition('/')[2]}{number}.png": image_bytes() for number, name in enumerate(files)}
    described(tmp_path / "a.zip", moved, {"labels": [["0", 0], ["1", 1], ["2", 2]]})
    assert "Classes:            3 (0: 1, 1: 1, 2: 1)" in call(*train, "--cond=1")


def test_data_of_another_size_name_the_command_that_makes_them_fit(tmp_path):
    path = write_zip(tmp_path / "a.zip", video_files(2, 4))
    with pytest.raises(DataError) as caught:
        SparseVideoDataset(path, resolution=8)
    (convert,) = commands(str(caught.value))
    call(*convert)
    assert len(SparseVideoDataset(convert[3], resolution=8)) == 2
