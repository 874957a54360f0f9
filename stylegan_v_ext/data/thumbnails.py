"""Which folders of pictures are videos, and which go with video files as thumbnails, previews and posters."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import PurePosixPath
from typing import NamedTuple

import PIL.Image

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.findings import Notes, shortened
from stylegan_v_ext.data.videos import Video

_FEW = 3  # pictures that make a training clip; fewer, above other videos, are posters
_FRAMES = 8  # numbered pictures that may be a video
_BARE_FRAMES = 3  # pictures of that kind whose names are numbers alone
_THUMBNAIL = "(cover|poster|preview|thumb(nail)?)s?"  # what folders and pictures of them are called
_FOLDERS_BESIDE = re.compile(_THUMBNAIL, re.IGNORECASE)
_LAST_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?(?!.*[0-9])")
_SERIES = 3  # pictures that are named alike, so that others are odd
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:[eE][+-]\d+)?")
_THUMBNAIL_AMONG_FRAMES = re.compile(f"(.*[^a-z])?(album ?art[a-z]*|folder|{_THUMBNAIL})([^a-z].*)?")


class PictureFolders(NamedTuple):
    """Folders of pictures in a place that may hold video files.

    Attributes:
        videos: Those that are videos.
        beside: Those that go with video files or other folders: thumbnails, previews and posters.
        doubtful: (folder, names of the video files that it goes with) of those that may be either.
    """

    videos: list[Video]
    beside: list[Video]
    doubtful: list[tuple[Video, list[str]]]


def sort_folders(archive: Archive, folders: Sequence[Video], video_files: Sequence[str]) -> PictureFolders:
    """Which folders of pictures are videos; the one rule, for all that opens a place.

    Args:
        folders: All folders of the archive that directly hold pictures.
        video_files: Names of all files of the archive that are videos.
    """
    files_in: dict[str, list[str]] = {}
    for name in video_files:
        files_in.setdefault(name.rpartition("/")[0], []).append(name)
    stems = {PurePosixPath(name).stem.lower() for name in video_files}
    holders = _folders_above([folder.folder for folder in folders] + list(files_in))
    found = PictureFolders([], [], [])
    for folder in folders:
        names = folder.names(archive) if video_files else []
        files = files_in.get(folder.folder) or (list(video_files) if _have_names_of(names, stems) else [])
        is_poster = len(folder) < (_FEW if folder.folder in holders else 2 if video_files else 0)
        is_named = bool(video_files) and _FOLDERS_BESIDE.fullmatch(folder.folder.rpartition("/")[2]) is not None
        is_one_each = len(names) <= len(files) and (folder.folder in files_in or len(names) >= len(stems))
        if not (files or is_poster or is_named):
            found.videos.append(folder)
        elif not is_named and not is_one_each and _look_like_frames(names):
            found.doubtful.append((folder, files))
        else:
            found.beside.append(folder)
    return found


def is_still_gif(archive: Archive, index: int) -> bool:
    """Whether a GIF is one picture; damaged ones are not."""
    try:
        with PIL.Image.open(io.BytesIO(archive.read(index)), formats=["GIF"]) as image:
            return not image.is_animated  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - readers of damaged files raise errors of many kinds; said when it is used
        return False


def _look_like_frames(pictures: list[str]) -> bool:
    """Whether pictures that go with video files seem to be a video themselves: many, numbered in equal steps.

    Args:
        pictures: Their names.
    """
    groups: dict[str, list[Fraction]] = {}
    for name in pictures:
        stem = PurePosixPath(name).stem
        if found := _LAST_NUMBER.search(stem):
            groups.setdefault(stem[: found.start()] + "#" + stem[found.end() :], []).append(Fraction(found[0]))
    return any(
        len(numbers) >= (_BARE_FRAMES if form == "#" else _FRAMES) and _has_equal_steps(sorted(numbers))
        for form, numbers in groups.items()
    )


def _has_equal_steps(numbers: list[Fraction]) -> bool:
    return len({after - before for before, after in zip(numbers, numbers[1:], strict=False)}) == 1


def _have_names_of(pictures: Iterable[str], stems: set[str]) -> bool:
    """Whether all pictures have names of videos, as thumbnails in a folder of their own do; numbers alone are no names.

    Args:
        pictures: Their names.
        stems: Names of all video files without their endings, in lower case.
    """
    own = [PurePosixPath(name).stem.lower() for name in pictures]
    return all(stem in stems for stem in own) and not all(stem.isdecimal() for stem in own)


def _folders_above(folders: list[str]) -> set[str]:
    """All folders that hold one of these, at any depth."""
    above: set[str] = set()
    for folder in folders:
        while folder:
            folder = folder.rpartition("/")[0]
            if folder in above:
                break
            above.add(folder)
    return above


def odd_pictures(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """(numbers of thumbnails by their names, numbers of pictures that are named unlike the largest series).

    Args:
        names: Of the pictures of a folder, with or without the folder; those that differ in numbers alone are a series.
            Thumbnails are there only if other pictures are two or more, and as many; pictures of odd names only if a
            series has three or more, and most names are regular.
    """
    bases = [name.rpartition("/")[2].lower() for name in names]
    forms = _NUMBER.sub("#", "\0".join(bases)).split("\0")
    counted = Counter(forms)
    small = {form for form in counted if _THUMBNAIL_AMONG_FRAMES.fullmatch(PurePosixPath(form).stem)}
    num_small = sum(counted[form] for form in small)
    if len(names) - num_small < max(num_small, 2):
        small = set()
    usual, number = Counter({form: counted[form] for form in counted if form not in small}).most_common(1)[0]
    kinds = len(counted) - len(small)
    regular = number >= _SERIES and number >= kinds
    thumbnails = [place for place, form in enumerate(forms) if form in small]
    others = [place for place, form in enumerate(forms) if form != usual and form not in small] if regular else []
    return thumbnails, others


def note_odd_frames(notes: Notes, video: str, names: Sequence[str]) -> None:
    """Note that pictures of odd names count as frames of a video."""
    odd = "some of its pictures are named unlike the others, and count as frames"
    remedy = "move them away if they are none"
    notes.add(video, f"{odd}; {remedy}", f"{video}: {odd} ({shortened(names)}); {remedy}")
