"""The class of a video, taken from the folder in which it lies."""

import re
from collections.abc import Sequence

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import shortened
from stylegan_v_ext.data.names import natural_sorted, normal_form
from stylegan_v_ext.text import printable

_SPLIT = re.compile("train(ing)?|val(id)?|validation|test(ing)?", re.IGNORECASE)
_LIKE_SPLIT = re.compile(f"(.+[_-])?({_SPLIT.pattern})([_-].+)?", re.IGNORECASE)  # train_256, rawframes_val


def class_folders(names: Sequence[str], places: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """Take the class of every video from its folders.

    The class is the first folder that is not common to all videos. If the first folders are parts of a data set, such
    as `train/` and `test/`, it is the folder below.

    Args:
        names: Names of the videos, for messages.
        places: The folders of each video, the outermost folder first.

    Returns:
        (name of the class of every video, sentences for the user).

    Raises:
        DataError: If a video lies in no folder, or in no folder below `train/` or `test/`.
    """
    notes: list[str] = []
    rest = [[normal_form(folder) for folder in place] for place in places]
    from_first = "--labels takes the class from the name of the first folder"
    _check(names, rest, f"lies in no sub-folder; {from_first}; move it into a sub-folder")
    rest = _without_wrappers(rest, notes)
    firsts = {place[0] for place in rest}
    if _are_splits(rest):
        splits = " and ".join(f"{printable(first, 50)}/" for first in sorted(firsts))
        rest = [place[1:] for place in rest]
        _check(names, rest, f"lies in no folder below {splits}; --labels takes the class from the folder below them")
        notes.append(f"the videos of {splits} are all used; the class of a video is the folder below")
        rest = _without_wrappers(rest, notes)
    return [place[0] for place in rest], notes


def _are_splits(rest: list[list[str]]) -> bool:
    """Check whether the first folders are the parts of a data set.

    Folders such as `train_256` count only if a class lies in several of them.
    """
    firsts = {place[0] for place in rest}
    if all(_SPLIT.fullmatch(first) for first in firsts):
        return len(firsts) > 1 or any(len(place) > 1 for place in rest)
    if len(firsts) == 1 or not all(_LIKE_SPLIT.fullmatch(first) for first in firsts):
        return False
    seconds = {(place[0], place[1]) for place in rest if len(place) > 1}
    return all(len(place) > 1 for place in rest) and len({second for _, second in seconds}) < len(seconds)


def _check(names: Sequence[str], rest: list[list[str]], clause: str) -> None:
    """Raise `DataError` with `clause` if a video has no folder left."""
    loose = [name for name, place in zip(names, rest, strict=True) if not place]
    if loose:
        more = f" (so do {len(loose) - 1} more: {shortened(loose[1:])})" if len(loose) > 1 else ""
        raise DataError(f"{printable(loose[0])} {clause}{more}")


def _without_wrappers(rest: list[list[str]], notes: list[str]) -> list[list[str]]:
    """Remove the folders that hold all videos, as long as every video has a folder below."""
    while len({place[0] for place in rest}) == 1 and all(len(place) > 1 for place in rest):
        below = {place[1] for place in rest}
        if len(below) == 1 and not all(len(place) > 2 for place in rest):
            break  # there is one class; some of its videos lie deeper
        notes.append(f"all videos lie in {printable(rest[0][0], 100)}/; the class of a video is the folder below")
        rest = [place[1:] for place in rest]
    return rest


def in_order(classes: Sequence[str]) -> list[str]:
    """Return each name once, in natural order; the number of a class is its place in this list."""
    return natural_sorted(set(classes))
