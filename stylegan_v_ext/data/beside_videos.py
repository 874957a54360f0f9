"""Pictures that lie beside video files: thumbnails, previews and posters, or the frames of a video."""

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import PurePosixPath

_FRAMES = 8  # numbered pictures that may be a video
_BARE_FRAMES = 3  # pictures of that kind whose names are numbers alone
THUMBNAIL = "(cover|poster|preview|thumb(nail)?)s?"  # what folders and pictures of them are called
_NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?(?!.*[0-9])")  # the last number


def looks_like_frames(pictures: list[str]) -> bool:
    """Whether pictures that go with video files seem to be a video themselves: many, numbered in equal steps.

    pictures: their names.
    """
    groups: dict[str, list[Fraction]] = {}
    for name in pictures:
        stem = PurePosixPath(name).stem
        if found := _NUMBER.search(stem):
            groups.setdefault(stem[: found.start()] + "#" + stem[found.end() :], []).append(Fraction(found[0]))
    return any(
        len(numbers) >= (_BARE_FRAMES if form == "#" else _FRAMES) and _has_equal_steps(sorted(numbers))
        for form, numbers in groups.items()
    )


def _has_equal_steps(numbers: list[Fraction]) -> bool:
    return len({after - before for before, after in zip(numbers, numbers[1:], strict=False)}) == 1


def is_named_for_thumbnails(folder: str) -> bool:
    """Whether a folder is called `thumbnails` or the like."""
    return re.fullmatch(THUMBNAIL, folder.rpartition("/")[2].lower()) is not None


def have_names_of(pictures: Iterable[str], stems: set[str]) -> bool:
    """Whether all pictures have names of videos, as thumbnails in a folder of their own do; numbers alone are no names.

    pictures: their names.
    stems: names of all video files without their endings, in lower case.
    """
    own = [PurePosixPath(name).stem.lower() for name in pictures]
    return all(stem in stems for stem in own) and not all(stem.isdecimal() for stem in own)
