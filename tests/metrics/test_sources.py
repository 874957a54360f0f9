"""Videos from data sets and video files."""

import zipfile

import numpy as np
import PIL.Image
import pytest
import torch

from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.metrics.catalogue import parse_metric
from stylegan_v_ext.metrics.measure import measure
from stylegan_v_ext.metrics.sources import (
    DatasetVideos,
    Pick,
    VideoFiles,
    archive_fingerprint,
    open_source,
)


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
    assert "1 of 7 video files" in source.notes[0] and "9.mp4" in source.notes[0]
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
        return measure(parse_metric("rfvd6_16f"), real, fake, cpu, use_cache=False).values["rfvd6_16f"]

    data = DatasetVideos(sky_zip)
    files, inverted = VideoFiles(str(video_folder), 16), VideoFiles(str(video_folder), 16)
    read = inverted._read
    inverted._read = lambda pick: 255 - read(pick)
    assert distance(data, files) < 0.1 * distance(data, inverted)


def test_what_a_path_is_follows_from_what_is_there(video_folder, sky_zip, tmp_path):
    assert isinstance(open_source(str(video_folder), 32), VideoFiles)
    assert isinstance(open_source(str(video_folder / "0.mp4")), VideoFiles)
    assert isinstance(open_source(sky_zip), DatasetVideos)
    names = [VideoFiles(str(video_folder), 16).video_name(number) for number in range(6)]
    assert names == [*(f"{number}.mp4" for number in range(5)), "more/5.mp4"]
    with pytest.raises(DataError, match="holds neither videos"):
        open_source(str(tmp_path))
    with pytest.raises(DataError, match="does not exist"):
        open_source(str(tmp_path / "nothing"))
    (tmp_path / "0.mp4").write_bytes(b"")
    with pytest.raises(DataError, match="none of 1 video files can be read"):
        open_source(str(tmp_path))


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
