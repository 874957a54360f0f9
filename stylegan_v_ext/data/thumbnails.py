"""Thumbnails, previews and posters: pictures that are no frames, in folders of their own or among frames."""

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

_FEW = 3  # fewer pictures than this, in a folder above other videos, are posters
_FRAMES = 8  # numbered pictures that may be the frames of a video
_BARE_FRAMES = 3  # the same, if the names are only numbers
_THUMBNAIL = "(cover|poster|preview|thumb(nail)?)s?"  # names of folders and pictures
_FOLDERS_BESIDE = re.compile(_THUMBNAIL, re.IGNORECASE)
_LAST_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?(?!.*[0-9])")
_SERIES = 3  # pictures with names of one form; then names of another form are odd
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:[eE][+-]\d+)?")
_THUMBNAIL_AMONG_FRAMES = re.compile(f"(.*[^a-z])?(album ?art[a-z]*|folder|{_THUMBNAIL})([^a-z].*)?")


class PictureFolders(NamedTuple):
    """The folders of pictures of an archive, sorted by what they are.

    Attributes:
        videos: Folders that are videos.
        beside: Folders of thumbnails, previews and posters, which belong to video files or other folders.
        doubtful: Folders that may be either: (folder, names of the video files that it may belong to).
    """

    videos: list[Video]
    beside: list[Video]
    doubtful: list[tuple[Video, list[str]]]


def sort_folders(archive: Archive, folders: Sequence[Video], video_files: Sequence[str]) -> PictureFolders:
    """Decide which folders of pictures are videos. Opening and converting a data set both use this rule.

    Args:
        archive: The archive.
        folders: All its folders that directly hold pictures.
        video_files: Names of all its video files.
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
    """Check whether a GIF holds one picture; False if it is damaged.

    Args:
        archive: The archive of the file.
        index: Number of the file.
    """
    try:
        with PIL.Image.open(io.BytesIO(archive.read(index)), formats=["GIF"]) as image:
            return not getattr(image, "is_animated", False)
    except Exception:  # readers of damaged files raise errors of many kinds; whoever uses the file reports them
        return False


def _look_like_frames(pictures: list[str]) -> bool:
    """Check whether pictures beside video files may be a video: they are many, and numbered in equal steps."""
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
    """Check whether all pictures are named as videos are, like thumbnails in a folder of their own.

    Args:
        pictures: Names of the pictures; if all are only numbers, they do not count.
        stems: Names of all video files without their endings, in lower case.
    """
    own = [PurePosixPath(name).stem.lower() for name in pictures]
    return all(stem in stems for stem in own) and not all(stem.isdecimal() for stem in own)


def _folders_above(folders: list[str]) -> set[str]:
    """Return all folders that hold one of these folders, at any depth."""
    above: set[str] = set()
    for folder in folders:
        while folder:
            folder = folder.rpartition("/")[0]
            if folder in above:
                break
            above.add(folder)
    return above


def odd_pictures(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Find the pictures of a folder that are named unlike its frames.

    Args:
        names: Names of the pictures, with or without the folder. Names that differ only in numbers form a series.

    Returns:
        (places of thumbnails, places of other pictures whose names are unlike the largest series), as indices of
        `names`. There are no thumbnails unless there are at least two other pictures, and at least as many as
        thumbnails. There are no other odd pictures unless the largest series has three names or more, and most names
        are regular.
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
    """Note that pictures with odd names count as frames of a video.

    Args:
        notes: Where the note is added.
        video: Name of the video.
        names: Names of these pictures.
    """
    odd = "some of its pictures are named unlike the others, and count as frames"
    remedy = "move them away if they are no frames"
    notes.add(video, f"{odd}; {remedy}", f"{video}: {odd} ({shortened(names)}); {remedy}")
