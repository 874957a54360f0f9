"""What is a video at a path, what is left out with a word, and the frames that the one reader makes of each kind."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from stylegan_v_ext.data.archive import FolderArchive, ZipArchive
from stylegan_v_ext.data.check import check_dataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.source_reader import SourceReader, read_clip
from stylegan_v_ext.data.sources import find_sources
from stylegan_v_ext.data.sources.carried import classes_of
from stylegan_v_ext.data.sources.class_folders import in_order
from stylegan_v_ext.data.thumbnails import odd_pictures
from stylegan_v_ext.data.video.timing import evenly_resampled
from stylegan_v_ext.generate.writers import write_video
from tests.data.helpers import image_bytes, video_files, write_folder, write_zip

SMALL = Geometry((16, 16))


@pytest.fixture(scope="session")
def mp4(tmp_path_factory):
    """A video of 5 frames: frame i has grey 20 + 40 i."""
    path = tmp_path_factory.mktemp("video") / "five.mp4"
    write_video(path, [np.full((16, 16, 3), 20 + 40 * i, np.uint8) for i in range(5)], 10, quality=99)
    return path.read_bytes()


def greys(reader):
    return [round(float(frame.mean())) for frame in reader]


def close(values, wanted, slack=2):
    return len(values) == len(wanted) and np.abs(np.array(values) - wanted).max() <= slack


def both(tmp_path, files):
    """The same files as a folder and as a zip."""
    return write_folder(tmp_path / "folder", files), write_zip(tmp_path / "all.zip", files)


def names(found):
    return [item.name for item in found.sources]


def frames(count, folder="", form="{}.png"):
    return {folder + form.format(i): image_bytes(20 + i) for i in range(count)}


BESIDE = {
    "thumbnails of the same name": {"cat/clip 1.jpg": 1, "cat/clip 1.webp": 1, "dog/clip 2.jpg": 1},
    "posters in the folders": {"folder.jpg": 1, "cat/poster.png": 1, "dog/a.png": 1, "dog/b.png": 1},
    "a folder of thumbnails": {f"thumbs/{i}.jpg": 1 for i in range(20)},
    "a folder of pictures named as the videos": {"images/clip 1.jpg": 1, "images/clip 2.jpg": 1},
    "photos without even steps": {f"cat/IMG_{i * i:04d}.jpg": 1 for i in range(12)},
    "as many numbered thumbnails as videos": {f"more/thumb{i}.jpg": 1 for i in range(9)}
    | {f"more/video{i}.mp4": 0 for i in range(9)},
}


@pytest.mark.parametrize("kind", list(BESIDE))
def test_pictures_beside_videos_are_named_and_are_no_videos(tmp_path, mp4, kind):
    extra = {name: image_bytes() if is_picture else mp4 for name, is_picture in BESIDE[kind].items()}
    pictures = [name for name, is_picture in BESIDE[kind].items() if is_picture]
    files = {"cat/clip 1.mp4": mp4, "dog/clip 2.mp4": mp4, **extra}
    for path in both(tmp_path, files):
        found = find_sources(path)
        assert set(names(found)) == {name for name in files if name.endswith(".mp4")}
        number = f"{len(pictures)} picture{'s' if len(pictures) > 1 else ''} left out, beside videos"
        assert len(found.notes) == 1 and found.notes[0].startswith(number)
        assert any(name in found.notes[0] for name in pictures)


@pytest.mark.parametrize("form", ["{:04d}.png", "clip_{}.jpg", "clip 1-{:03d}.png", "f{}.0.png"])
def test_frames_beside_a_video_are_refused_in_doubt(tmp_path, mp4, form):
    files = {"cat/clip 1.mp4": mp4, **frames(16, "cat/", form)}
    with pytest.raises(
        DataError, match=r"cat in .*: 16 pictures .* with 1 video file \(cat/clip 1.mp4\) beside .* move"
    ):
        find_sources(write_folder(tmp_path, files))


def test_numbered_pictures_with_the_names_of_numbered_videos(tmp_path, mp4):
    videos = {f"clip{i:02d}.mp4": mp4 for i in range(12)}
    thumbnails = {f"images/clip{i:02d}.jpg": image_bytes() for i in range(12)}
    found = find_sources(write_folder(tmp_path / "each", {**videos, **thumbnails}))
    assert names(found) == list(videos) and "12 pictures left out" in found.notes[0]
    some = dict(list(thumbnails.items())[:9])
    with pytest.raises(DataError, match=r"images in .*: 9 pictures .* or of their names, may be thumbnails or frames"):
        find_sources(write_folder(tmp_path / "some", {**videos, **some}))
    frames_of_numbers = {f"v0/{i}.png": image_bytes(20 + i) for i in range(9)} | {f"{i}.mp4": mp4 for i in range(9)}
    assert "v0" in names(find_sources(write_folder(tmp_path / "numbers", frames_of_numbers)))


def test_videos_and_folders_of_frames_are_both_used(tmp_path, mp4):
    files = {"a.mp4": mp4, "b.mp4": mp4, **frames(4, "v0/"), **frames(2, "v1/")}
    for path in both(tmp_path, files):
        found = find_sources(path)
        assert names(found) == ["a.mp4", "b.mp4", "v0", "v1"]
        (note,) = found.notes
        assert note.startswith("both 2 folders of pictures (v0, v1) and 2 video files (a.mp4, b.mp4) are used; ")
        assert close(greys(SourceReader(found.sources[0], SMALL)), [20, 60, 100, 140, 180])
        assert greys(SourceReader(found.sources[2], SMALL)) == [20, 21, 22, 23]


def test_videos_of_one_stem_and_endings_in_capitals_are_videos(tmp_path, mp4):
    path = write_folder(tmp_path, {"a.mp4": mp4, "a.mov": mp4, "B.MP4": mp4, ".hidden.mp4": mp4, "__MACOSX/a.mp4": mp4})
    assert sorted(names(find_sources(path))) == ["B.MP4", "a.mov", "a.mp4"] and find_sources(path).notes == []


def test_every_other_file_is_named_by_kind(tmp_path, mp4):
    others = {f"sub/{name}": b"x" for name in ("a.txt", "b.txt", "c.srt", "d.7z", "README")}
    for path in both(tmp_path, {"a.mp4": mp4, ".DS_Store": b"x", **others}):
        (note,) = find_sources(path).notes
        assert (
            note.startswith("5 files left out, neither videos nor pictures by their endings (2 .txt, ")
            and "1 .srt" in note
        )
        assert "1 without an ending" in note and "sub/a.txt, sub/b.txt, sub/c.srt and" in note
        assert note.endswith("; archives inside are not read, so unpack or name sub/d.7z")


def test_what_there_is_in_place_of_videos_is_said(tmp_path, mp4):
    def refusal(path):
        with pytest.raises(DataError) as caught:
            find_sources(str(path))
        return str(caught.value)

    assert refusal(tmp_path / "video").endswith(
        "video does not exist; name a video, or a folder of videos or of folders of pictures"
    )
    assert "it holds no files" in refusal(write_folder(tmp_path / "empty", {".DS_Store": b"x"}))
    there = refusal(write_folder(tmp_path / "texts", {"a.txt": b"x", "b.7z": b"x"}))
    assert "holds neither videos" in there and "2 files left out" in there and "a.txt, b.7z" in there
    (tmp_path / "a.tar").write_bytes(bytes(257) + b"ustar" + bytes(250))
    assert "is a tar archive; unpack it and give the folder" in refusal(tmp_path / "a.tar")
    (tmp_path / "Videos").mkdir()
    assert f"videos does not exist (is it {tmp_path / 'Videos'}?); name" in refusal(tmp_path / "videos")
    (tmp_path / "a.txt").write_bytes(b"x")
    assert "a.txt is not a video; videos (.mp4" in refusal(tmp_path / "a.txt")
    (tmp_path / "a.png").write_bytes(image_bytes())
    assert "is one picture" in refusal(tmp_path / "a.png")
    assert "is not a sound zip" in refusal(write_folder(tmp_path / "z", {"a.zip": b"PK\3\4"}) + "/a.zip")


def test_a_zip_needs_no_ending_and_a_video_in_it_is_read(tmp_path, mp4):
    path = write_zip(tmp_path / "bundle.data", {"sub/a.mp4": mp4}, zipfile.ZIP_DEFLATED)
    clip = read_clip(path, SMALL)
    assert close([frame.mean() for frame in clip.frames], [20, 60, 100, 140, 180]) and clip.fps == 10


def test_damage_is_named_by_the_video_not_by_a_temporary_file(tmp_path, mp4):
    path = write_zip(tmp_path / "in.zip", {"sub/bad.mp4": b"no video"})
    with pytest.raises(DataError, match=r"^sub/bad.mp4 holds no readable video"):
        read_clip(path, SMALL)


def test_one_video_is_asked_for_and_several_are_named(tmp_path):
    path = write_zip(tmp_path / "in.zip", video_files(5))
    with pytest.raises(DataError, match=r"holds 5 videos \(v0, v1, v2 and 2 more\); name one"):
        read_clip(path, SMALL)


# ----------------------------------------------------------------------------
# animations

DELAYS = [100, 100, 300, 100, 50]


def animation(format, delays=tuple(DELAYS), alpha=None):
    pictures = [PIL.Image.new("RGB", (16, 16), (20 + 40 * i,) * 3) for i in range(len(delays))]
    if alpha is not None:
        for picture in pictures:
            picture.putalpha(alpha)
    buffer, options = io.BytesIO(), dict(lossless=True) if format == "WEBP" else {}
    pictures[0].save(buffer, format, save_all=True, append_images=pictures[1:], duration=list(delays), **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("format", "ending"), [("WEBP", "webp"), ("PNG", "apng"), ("PNG", "png"), ("AVIF", "avif")])
def test_frames_of_an_animation_come_once_or_by_their_times(tmp_path, format, ending):
    if format == "AVIF" and "AVIF" not in PIL.Image.SAVE:
        PIL.Image.init()
    path = tmp_path / f"a.{ending}"
    path.write_bytes(animation(format))
    once = read_clip(str(path), SMALL)
    assert close([frame.mean() for frame in once.frames], [20, 60, 100, 140, 180])
    assert once.notes[:1] == [f"a.{ending}: its frames come at unequal times; --fps makes them equal"]
    even = read_clip(str(path), SMALL, fps=10)
    assert close([frame.mean() for frame in even.frames], [20, 60, 100, 100, 100, 140, 180]) and even.fps == 10
    path.write_bytes(animation(format, [40] * 4))
    assert read_clip(str(path), SMALL).fps == 25


def test_a_folder_of_animations_is_a_folder_of_videos(tmp_path):
    files = {f"cat/{i}.webp": animation("WEBP", [40] * (i + 2)) for i in range(3)}
    still = {f"dog/{i}.webp": image_bytes(20 + i, format="WEBP") for i in range(3)}
    for path in both(tmp_path, {**files, **still}):
        found = find_sources(path)
        assert names(found) == [*files, "dog"] and [note[:16] for note in found.notes] == ["both 1 folder of"]
        assert [len(greys(SourceReader(item, SMALL))) for item in found.sources] == [2, 3, 4, 3]


def test_still_pictures_beside_animations_are_no_video(tmp_path):
    files = {f"cat/{i}.webp": animation("WEBP", [40] * 3) for i in range(3)}
    found = find_sources(
        write_folder(tmp_path, {**files, "cat/4.png": image_bytes(), "cat/x.webp": image_bytes(format="WEBP")})
    )
    assert names(found) == ["cat/0.webp", "cat/1.webp", "cat/2.webp"]
    assert found.notes == ["2 pictures left out, beside videos and no videos themselves: cat/4.png, cat/x.webp"]


def test_a_still_picture_of_webp_beside_a_video_is_no_video(tmp_path, mp4):
    path = write_folder(tmp_path, {"a.mp4": mp4, "a.webp": image_bytes(format="WEBP"), "b.webp": animation("WEBP")})
    assert names(find_sources(path)) == ["a.mp4", "b.webp"] and "a.webp" in find_sources(path).notes[0]


def test_a_picture_that_stands_for_days_is_no_flood(tmp_path):
    path = tmp_path / "a.webp"
    path.write_bytes(animation("WEBP", [100, 16_000_000, 16_000_000]))
    assert len(read_clip(str(path), SMALL).frames) == 3
    clip = read_clip(str(path), SMALL, fps=25)
    assert len(clip.frames) < 10 and "its time jumps" in clip.notes[0]


@pytest.mark.parametrize(("background", "value"), [((0, 0, 0), 60), ((200, 200, 200), 160)])
def test_what_is_transparent_lies_on_the_background(tmp_path, background, value):
    """Half transparent grey 120."""
    rgba = np.full((3, 16, 16, 4), 120, np.uint8)
    rgba[..., 3] = 128
    buffer = io.BytesIO()
    PIL.Image.fromarray(rgba[0]).save(buffer, "PNG")
    np.save(tmp_path / "clip.npy", rgba)
    write_folder(tmp_path, {"v/0.png": buffer.getvalue(), "v/1.png": buffer.getvalue()})
    moving = io.BytesIO()
    other = PIL.Image.fromarray(rgba[0] - np.array([8, 8, 8, 0], np.uint8))
    PIL.Image.fromarray(rgba[0]).save(moving, "WEBP", save_all=True, append_images=[other], lossless=True)
    (tmp_path / "a.webp").write_bytes(moving.getvalue())
    found = find_sources(str(tmp_path))
    assert names(found) == ["a.webp", "clip.npy", "v"]
    for item in found.sources:
        first = greys(SourceReader(item, Geometry((16, 16), background=background)))[0]
        assert abs(first - value) <= 1, item.name


# ----------------------------------------------------------------------------
# times


@pytest.mark.parametrize(
    ("count", "old", "new"), [(20, 25, 5), (12, 10, 24), (13, 30, 12.5), (11, 12, 29.97), (3, 10, 5)]
)
def test_pictures_are_resampled_as_videos_are(tmp_path, count, old, new):
    values = [20 + 10 * i for i in range(count)]
    write_video(tmp_path / "a.mp4", [np.full((16, 16, 3), value, np.uint8) for value in values], old, quality=99)
    video = [round((frame.mean() - 20) / 10) for frame in VideoReader(str(tmp_path / "a.mp4"), SMALL, new)]
    shown = evenly_resampled(range(count), old, new)
    assert [number for number, times in shown for _ in range(times)] == video
    files = {f"v/{i}.png": image_bytes(value) for i, value in enumerate(values)}
    path = write_zip(tmp_path / "a.zip", {**files, "dataset.json": b'{"fps": %d}' % old})
    clip = read_clip(path, SMALL, new)
    assert [round((frame.mean() - 20) / 10) for frame in clip.frames] == video and clip.fps == new
    assert len(read_clip(path, SMALL, old).frames) == count


def test_pictures_without_a_rate_are_not_resampled(tmp_path):
    path = write_zip(tmp_path / "a.zip", video_files(1))
    assert len(read_clip(path, SMALL).frames) == 5 and read_clip(path, SMALL).fps is None
    with pytest.raises(
        DataError, match=r'v0 has no frame rate; put a dataset.json with \{"fps": 25\}.*leave --fps out'
    ):
        read_clip(path, SMALL, fps=5)
    folder = write_folder(tmp_path / "clips", {"dataset.json": b'{"fps": 25}'})  # the remedy
    np.save(tmp_path / "clips" / "a.npy", np.zeros([5, 16, 16, 3], np.uint8))
    assert read_clip(folder, SMALL, fps=5).frames.shape[0] == 1
    assert read_clip(write_zip(tmp_path / "b.zip", video_files(1, metadata={"fps": 25})), SMALL, fps=5).fps == 5


def test_each_dataset_json_speaks_for_what_lies_below_it(tmp_path):
    files = {**video_files(1, 20, "a/", {"fps": 10}), **video_files(1, 20, "b/", {"fps": 20})}
    for path in both(tmp_path, files):
        found = find_sources(path)
        assert [item.recorded.fps for item in found.sources] == [10, 20]
        readers = [SourceReader(item, SMALL, 5) for item in found.sources]
        assert [len(list(reader)) for reader in readers] == [10, 5]


def test_a_rate_that_is_far_too_low_leaves_a_frame(tmp_path):
    path = write_zip(tmp_path / "a.zip", video_files(1, 3, metadata={"fps": 10}))
    assert len(read_clip(path, SMALL, fps=1).frames) == 1


def test_a_rate_that_cannot_be_is_named_before_it_floods_the_disk(tmp_path):
    for recorded in (1e-6, 0.0002):
        path = write_zip(tmp_path / "a.zip", video_files(1, 3, metadata={"fps": recorded}))
        with pytest.raises(DataError, match=r"v0 has .* frames a second by its dataset.json; correct that"):
            read_clip(path, SMALL, fps=25)


@pytest.mark.parametrize(
    "name", ["thumb.jpg", "Cover.PNG", "folder.jpg", "000_poster.png", "preview_2.png", "still.gif"]
)
def test_thumbnails_among_frames_are_left_out_with_a_word(tmp_path, name):
    odd = image_bytes(250, format="GIF" if name.endswith("gif") else "PNG")
    for path in both(tmp_path, {**frames(4, "v0/"), **frames(4, "v1/"), f"v0/{name}": odd}):
        found = find_sources(path)
        assert [greys(SourceReader(item, SMALL)) for item in found.sources] == [[20, 21, 22, 23]] * 2
        assert found.notes == [f"1 picture left out, thumbnails among frames: v0/{name}"]


def test_frames_of_odd_names_are_used_and_said(tmp_path):
    masks = {f"v0/mask_{number}.png": image_bytes(200) for number in range(2)}
    found = find_sources(write_folder(tmp_path, {**frames(4, "v0/"), **frames(4, "v1/"), **masks}))
    assert [len(item.video) for item in found.sources] == [6, 4]
    (note,) = found.notes
    assert note.startswith(
        "v0: some of its pictures are named unlike the others, and count as frames (v0/mask_0.png, v0/m"
    )


def test_masks_beside_their_videos_are_said(tmp_path):
    places = [f"{kind}/480p/{name}" for kind in ("Annotations", "JPEGImages") for name in ("bear", "cat")]
    found = find_sources(write_folder(tmp_path, {k: v for place in places for k, v in frames(3, f"{place}/").items()}))
    assert names(found) == places and len(found.notes) == 1
    assert found.notes[0].startswith("2 videos (Annotations/480p/bear, Annotations/480p/cat) may be masks or maps")
    assert find_sources(str(tmp_path / "JPEGImages")).notes == []


def test_links_that_are_not_followed_are_said(tmp_path):
    folder = Path(write_folder(tmp_path / "in", frames(3, "v0/")))
    (folder / "again").symlink_to("v0")
    (folder / "gone.mp4").symlink_to("nothing.mp4")
    found = find_sources(str(folder))
    assert names(found) == ["v0"]
    assert found.notes == ["2 links to folders or to nothing left out: again, gone.mp4"]
    assert check_dataset(str(folder)).notes == found.notes


def test_three_numbered_pictures_beside_a_preview_are_not_taken_for_thumbnails(tmp_path, mp4):
    with pytest.raises(DataError, match="may be thumbnails or frames of a video"):
        find_sources(
            write_folder(tmp_path, {**{f"v0/{i:05d}.png": image_bytes() for i in range(5)}, "v0/preview.mp4": mp4})
        )


def test_the_reason_for_an_unknown_rate_is_that_of_the_file(tmp_path):
    for text, reason in (
        (b"{fps: 10}", "v0/dataset.json is not valid JSON"),
        (b'{"fps": "10"}', "fps '10' is not a number"),
    ):
        path = write_folder(tmp_path / str(len(text)), {**frames(4, "v0/"), "v0/dataset.json": text})
        with pytest.raises(DataError, match=f"^--fps: v0 has no frame rate; .*{reason}.*, or leave --fps out"):
            read_clip(path, SMALL, fps=5)


def test_a_single_array_gets_its_rate_from_the_folder_that_the_message_asks_for(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([np.full((16, 16, 3), 20 + 8 * i, np.uint8) for i in range(6)]))
    with pytest.raises(DataError, match="put it and a dataset.json with .* into a folder, and name the folder"):
        read_clip(str(tmp_path / "a.npy"), SMALL, fps=5)
    (tmp_path / "dataset.json").write_text('{"fps": 10}')
    clip = read_clip(str(tmp_path), SMALL, fps=5)
    assert [frame.mean() for frame in clip.frames] == [20, 36, 52] and clip.fps == 5


def test_sources_and_classes_are_in_the_order_of_all_their_names(tmp_path):
    files = {f"{name}/{i}.png": image_bytes() for name in ("1_25", "1_1", "1_05", "10_5") for i in range(3)}
    for path in both(tmp_path, files):
        found = find_sources(path)
        assert names(found) == ["1_05", "1_1", "1_25", "10_5"]
    assert in_order(["v1.10", "v1.9", "v1.9"]) == ["v1.9", "v1.10"] and in_order(["1p1", "1p05"]) == ["1p05", "1p1"]


def test_finding_sources_reads_the_heads_of_pictures_alone(tmp_path, monkeypatch):
    files = {f"v{v}/{i}.png": image_bytes(i) for v in range(3) for i in range(4)}
    places = both(tmp_path, files)
    for kind in (FolderArchive, ZipArchive):
        monkeypatch.setattr(kind, "read", None)
    assert [len(find_sources(path).sources) for path in places] == [3, 3]


@pytest.mark.parametrize(
    ("names", "thumbnails", "others"),
    [
        (["1.png", "2.png", "thumb.png"], [2], []),
        (["a.png", "cover.png", "x.png"], [1], []),
        (["f1.png", "f1_thumb.png", "f2.png", "f2_thumb.png"], [1, 3], []),
        (["thumb1.png", "thumb2.png", "thumb3.png", "x.png"], [], [3]),
        (["t-1.png", "t0.5.png", "t1e-05.png", "t2.PNG", "preview (1).png"], [4], []),
        (["im.png", "im1.png", "im2.png", "im3.png"], [], [0]),
        (["1.png", "1.jpg", "2.png", "2.jpg", "3.png", "3.jpg"], [], [1, 3, 5]),
        (["9f3a.png", "0be1.png", "c77d.png", "e00e.png"], [], []),
    ],
)
def test_odd_names_are_found_among_numbered_ones(names, thumbnails, others):
    assert odd_pictures(names) == (thumbnails, others)


@pytest.mark.parametrize(
    ("labels", "guessed"),
    [
        ([["clips/a.mp4", 0], ["clips/\u00e9.mp4", 1], ["c.npy", 2], ["d.webp", 3]], 0),
        ([["clips/a", 0], ["clips/\u00e9", 1], ["c", 2], ["d", 3]], 0),
        ([["clips\\a.MOV", 0], ["./clips/\u00e9.avi", 1], ["c.npy", 2], ["d", 3]], 0),
        ([["a.mp4", 0], ["\u00e9", 1], ["more/c.npy", 2], ["d.webp", 3]], 3),
    ],
)
def test_labels_of_files_become_their_classes(tmp_path, labels, guessed):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 16, 16, 3), np.uint8))
    moving = animation("WEBP", [40] * 3)
    files = {"clips/a.mp4": b"x", "clips/e\u0301.mp4": b"x", "c.npy": buffer.getvalue(), "d.webp": moving}
    for path in both(tmp_path, {**files, "dataset.json": json.dumps({"labels": labels}).encode()}):
        found = find_sources(path)
        assert dict(zip(names(found), classes_of(found.sources, from_folders=False).numbers, strict=True)) == {
            name: number for number, name in enumerate(files)
        }
        more = f", and {guessed - 1} more labels likewise" if guessed > 1 else ""
        expected = [f"the label for {labels[0][0]} is used for clips/a.mp4, the only video that fits{more}"]
        assert found.notes == (expected if guessed else [])
