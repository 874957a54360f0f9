"""Videos from data sets and video files."""

import zipfile

import numpy as np
import PIL.Image
import pytest
import torch

from stylegan_v_ext.data import metadata as metadata_module
from stylegan_v_ext.data import opening as opening_module
from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.convert import ConvertOptions, convert_dataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.sources import finding as sources_module
from stylegan_v_ext.data.videos import list_videos
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.metrics.catalogue import parse_metric
from stylegan_v_ext.metrics.comparison import compare
from stylegan_v_ext.metrics.sources import (
    DatasetVideos,
    Pick,
    VideoFiles,
    archive_fingerprint,
    open_sources,
)
from tests.data.helpers import image_bytes, video_files, write_folder, write_zip


def open_source(path, resolution=256):
    (source,) = open_sources([path], resolution, [False])
    return source


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory, sky_zip):
    """The sky videos as files of 20, 21, ... frames, one of them in a sub-folder; and one that is none."""
    folder = tmp_path_factory.mktemp("videos")
    source = DatasetVideos(sky_zip)
    (folder / "more").mkdir()
    for number in range(6):
        frames = source.read([Pick(number, np.arange(20 + number))])[0]
        frames = frames.repeat(4, axis=1).repeat(4, axis=2)
        path = folder / ("more" if number == 5 else ".") / f"{number}.mp4"
        write_video(path, iter(frames), fps=25)
    (folder / "9.mp4").write_bytes(b"no video")
    (folder / "notes.txt").write_text("x")
    return folder


def test_video_files_are_counted_cut_and_scaled(video_folder):
    source = VideoFiles(str(video_folder), 32)
    assert sorted(source.lengths) == [20, 21, 22, 23, 24, 25]
    assert source.notes[0] == "left out: 9.mp4 holds no readable video (it is a text, not a video)"
    clip = source.read([Pick(0, np.array([3, 5, 7]))])[0]
    assert clip.shape == (3, 32, 32, 3)
    later, again = source.read([Pick(0, np.array([7])), Pick(0, np.array([3]))])
    assert np.array_equal(later[0], clip[2]) and np.array_equal(again[0], clip[0])
    with pytest.raises(DataError, match="ends before frame 99"):
        source.read([Pick(0, np.array([99]))])


def test_video_files_mirror(video_folder):
    source = VideoFiles(str(video_folder), 32, mirror=True)
    plain, flipped = source.read([Pick(1, np.arange(2)), Pick(7, np.arange(2))])
    assert np.array_equal(plain[:, :, ::-1], flipped) and len(source.lengths) == 12


def test_the_same_videos_are_near_whether_in_files_or_in_a_data_set(video_folder, sky_zip):
    def distance(real, fake):
        cpu = torch.device("cpu")
        return compare(parse_metric("rfvd6_16f"), real, fake, cpu, use_cache=False).values["rfvd6_16f"]

    data = DatasetVideos(sky_zip)
    files, inverted = VideoFiles(str(video_folder), 16), VideoFiles(str(video_folder), 16)
    read = inverted._read
    inverted._read = lambda pick: 255 - read(pick)
    assert distance(data, files) < 0.1 * distance(data, inverted)


def test_what_a_path_is_follows_from_what_is_there(video_folder, sky_zip, tmp_path):
    assert isinstance(open_source(str(video_folder / "0.mp4")), VideoFiles)
    assert isinstance(open_source(sky_zip), DatasetVideos)
    files = open_source(str(video_folder), 32)
    assert isinstance(files, VideoFiles)
    names = [files.video_name(number) for number in range(6)]
    assert names == [*(f"{number}.mp4" for number in range(5)), "more/5.mp4"]
    with pytest.raises(DataError, match="holds neither videos"):
        open_source(str(tmp_path))
    with pytest.raises(DataError, match="does not exist"):
        open_source(str(tmp_path / "nothing"))
    (tmp_path / "0.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="none of 1 videos can be read"):
        open_source(str(tmp_path))


def test_a_folder_of_both_kinds_gives_both_with_a_word(tmp_path, video_folder):
    write_folder(tmp_path, {**video_files(5, 3), "preview.mp4": (video_folder / "0.mp4").read_bytes()})
    source = open_source(str(tmp_path), 32)
    assert source.lengths == [20, 3, 3, 3, 3, 3]
    assert "both 5 folders of pictures (v0, v1, v2 and 2 more) and 1 video file (preview.mp4)" in source.notes[0]
    assert (source.read([Pick(2, np.arange(3))])[0] == 20 + np.arange(3).reshape(3, 1, 1, 1)).all()
    before = source.fingerprint
    (tmp_path / "v0" / "1.png").write_bytes(image_bytes(99, (8, 8)))
    assert VideoFiles(str(tmp_path), 32).fingerprint != before


def test_videos_in_a_zip_and_other_clips_give_the_frames_of_files(tmp_path, video_folder):
    files = {f"sub/{number}.mp4": (video_folder / f"{number}.mp4").read_bytes() for number in range(2)}
    zipped = open_source(write_zip(tmp_path / "a.zip", files), 32)
    plain = open_source(str(video_folder), 32)
    picks = [Pick(1, np.array([2, 7])), Pick(0, np.array([3]))]
    frames = plain.read(picks)
    assert zipped.lengths == [20, 21] and zipped.video_name(1) == "sub/1.mp4"
    assert all(np.array_equal(a, b) for a, b in zip(zipped.read(picks), frames, strict=True))
    np.save(tmp_path / "clips.npy", plain.read([Pick(0, np.arange(6))])[0])
    clips = open_source(str(tmp_path / "clips.npy"), 32)
    assert clips.lengths == [6] and np.array_equal(clips.read([Pick(0, np.array([3]))])[0], frames[1])


def test_fingerprints_follow_the_files(tmp_path, video_folder):
    data = [(video_folder / f"{number}.mp4").read_bytes() for number in range(2)]
    path = write_zip(tmp_path / "a.zip", {"0.mp4": data[0]})
    before = VideoFiles(path, 16).fingerprint
    assert VideoFiles(path, 16).fingerprint == before
    assert VideoFiles(write_zip(tmp_path / "b.zip", {"0.mp4": data[1]}), 16).fingerprint != before
    (tmp_path / "0.mp4").write_bytes(data[0])
    before = VideoFiles(str(tmp_path / "0.mp4"), 16).fingerprint
    (tmp_path / "0.mp4").write_bytes(data[1])
    assert VideoFiles(str(tmp_path / "0.mp4"), 16).fingerprint != before


def test_what_is_left_out_or_damaged_is_in_the_notes(tmp_path, video_folder):
    broken = {"v0/1.png": b"x", "v1/0.png": image_bytes(), "v1/1.png": image_bytes()}
    frames = DatasetVideos(write_zip(tmp_path / "a.zip", {"note.txt": b"x", **broken}), exclude=["v0"])
    assert frames.lengths == [2]
    source = open_source(write_zip(tmp_path / "b.zip", {"note.txt": b"x", **video_files(2, 3)}))
    assert source.notes == ("1 file left out, neither videos nor pictures by their endings (1 .txt): note.txt",)
    assert any("notes.txt" in note for note in VideoFiles(str(video_folder), 16).notes)


@pytest.mark.parametrize(("sizes", "message"), [
    ([(24, 16)], r"v/0.png is 24x16, expected a square; `stylegan-v data convert .*in.zip .*in-2.zip` gives"),
    ([(16, 16), (16, 24)], r"v/1.png is 16x24, expected 16x16 as the first frame; `.* --resolution=16` gives"),
    ([(16, 16), (24, 24)], r"v/1.png is 24x24, expected 16x16 as the first frame"),
])  # fmt: skip
def test_frames_of_another_form_are_named_with_the_remedy(tmp_path, sizes, message):
    files = {f"v/{number}.png": image_bytes(size=size) for number, size in enumerate(sizes)}
    path = write_zip(tmp_path / "in.zip", files)
    with pytest.raises(DataError, match=message):
        DatasetVideos(path).read([Pick(0, np.arange(len(sizes)))])
    convert_dataset(path, str(tmp_path / "NEW.zip"), ConvertOptions(Geometry((16, 16)), workers=1))  # the remedy
    assert DatasetVideos(str(tmp_path / "NEW.zip")).read([Pick(0, np.arange(len(sizes)))])[0].shape[1:] == (16, 16, 3)


@pytest.mark.parametrize("orientation", [1, 6])
def test_pictures_that_are_stored_turned_are_turned_back(tmp_path, orientation):
    image = PIL.Image.fromarray(np.arange(0, 256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "v").mkdir()
    image.save(tmp_path / "v" / "0.png", exif=exif)
    frame = DatasetVideos(str(tmp_path)).read([Pick(0, np.arange(1))])[0][0]
    assert np.array_equal(frame, np.asarray(image) if orientation == 1 else np.rot90(np.asarray(image), -1))


def test_grey_pictures_are_repeated_to_three_channels(tmp_path):
    (tmp_path / "video").mkdir()
    for number in range(4):
        PIL.Image.fromarray(np.full([16, 16], 40 * number, np.uint8)).save(tmp_path / "video" / f"{number}.png")
    source = DatasetVideos(str(tmp_path))
    frames = source.read([Pick(0, np.arange(4))])[0]
    assert frames.shape == (4, 16, 16, 3) and (frames == 40 * np.arange(4)[:, None, None, None]).all()


def test_the_fingerprint_is_of_the_content(sky_zip, tmp_path):
    copy = tmp_path / "copy.zip"
    with zipfile.ZipFile(sky_zip) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    fingerprint = archive_fingerprint(open_archive(sky_zip))
    assert archive_fingerprint(open_archive(copy)) == fingerprint
    with zipfile.ZipFile(copy, "a") as target:
        target.writestr("more/0.jpg", b"x")
    assert archive_fingerprint(open_archive(copy)) != fingerprint
    with zipfile.ZipFile(sky_zip) as source:
        source.extractall(tmp_path / "folder")
    before = archive_fingerprint(open_archive(tmp_path / "folder"))
    frame = next((tmp_path / "folder").rglob("*.jpg"))
    frame.write_bytes(frame.read_bytes() + b"x")
    assert archive_fingerprint(open_archive(tmp_path / "folder")) != before


def test_a_frame_that_is_damaged_is_named(sky_zip, tmp_path):
    with zipfile.ZipFile(sky_zip) as source:
        source.extractall(tmp_path)
    frame = sorted(tmp_path.rglob("*.jpg"))[3]
    frame.write_bytes(b"no image")
    source = DatasetVideos(str(tmp_path))
    with pytest.raises(DataError, match=frame.name):
        source.read([Pick(0, np.arange(8))])


def test_a_data_set_is_listed_once(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", video_files(3, 4, metadata={"labels": {"v0": 2, "v1": 0, "v2": 1}}))
    calls = []
    for module in (sources_module, metadata_module, opening_module):
        monkeypatch.setattr(module, "list_videos", lambda archive: calls.append(archive) or list_videos(archive))
    (source,) = open_sources([path], 16, [False])
    assert source.classes() == [2, 0, 1] and source.lengths == [4, 4, 4] and len(calls) == 1
    assert DatasetVideos(path).classes() == [2, 0, 1] and len(calls) == 2
