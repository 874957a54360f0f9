"""Pictures that lie beside video files: thumbnails, previews and posters, or the frames of a video."""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import PurePosixPath

_FRAMES = 8  # numbered pictures that may be a video
_FOLDERS_BESIDE = re.compile("(covers?|posters?|previews?|thumb(nail)?s?)", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?(?!.*[0-9])")  # the last number


def looks_like_frames(pictures: list[str], num_videos: int) -> bool:
    """Whether pictures in a folder of video files seem to be a video: many, numbered in equal steps.

    pictures: their names.
    num_videos: how many video files the folder holds; as many thumbnails may be numbered as they are.
    """
    groups: dict[str, list[Fraction]] = {}
    for name in pictures:
        stem = PurePosixPath(name).stem
        if found := _NUMBER.search(stem):
            groups.setdefault(stem[: found.start()] + "#" + stem[found.end() :], []).append(Fraction(found[0]))
    return any(
        len(numbers) >= max(_FRAMES, num_videos + 1) and _has_equal_steps(sorted(numbers))
        for numbers in groups.values()
    )


def _has_equal_steps(numbers: list[Fraction]) -> bool:
    return len({after - before for before, after in zip(numbers, numbers[1:], strict=False)}) == 1


def is_of_videos(folder: str, pictures: Iterable[str], stems: set[str]) -> bool:
    """Whether a folder of pictures holds pictures of video files that lie elsewhere, such as their thumbnails.

    folder: its name; `thumbnails` and the like say so.
    pictures: names of its pictures; each may have the stem of a video.
    stems: names of all video files without their endings, in lower case.
    """
    if _FOLDERS_BESIDE.fullmatch(folder.rpartition("/")[2]):
        return True
    own = [PurePosixPath(name).stem.lower() for name in pictures]
    return all(stem in stems for stem in own) and not all(stem.isdecimal() for stem in own)
