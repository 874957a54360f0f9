"""Pictures among frames whose names are unlike those of the others: thumbnails, or frames of another series."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from stylegan_v_ext.data.findings import Notes, shortened

_SERIES = 3  # pictures that are named alike, so that others are odd
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:[eE][+-]\d+)?")
_THUMBNAIL = re.compile("(.*[^a-z])?(album ?art|cover|folder|poster|preview|thumb(nail)?)s?([^a-z].*)?")


def odd_pictures(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """(numbers of thumbnails, numbers of other pictures) among those that are named unlike the largest series.

    names: of the pictures of a folder, with or without the folder; those that differ in numbers alone are a series.
    Both lists are empty if there is no series of three pictures or more, or if most names are irregular.
    """
    bases = [name.rpartition("/")[2].lower() for name in names]
    forms = _NUMBER.sub("#", "\0".join(bases)).split("\0")
    counted = Counter(forms)
    usual, number = counted.most_common(1)[0]
    if len(counted) == 1 or number < _SERIES or number < len(counted):
        return [], []
    thumbnails: list[int] = []
    others: list[int] = []
    for place, form in enumerate(forms):
        if form != usual:
            is_thumbnail = counted[form] < _SERIES and _THUMBNAIL.fullmatch(PurePosixPath(bases[place]).stem)
            (thumbnails if is_thumbnail else others).append(place)
    return thumbnails, others


def note_odd_frames(notes: Notes, video: str, names: Sequence[str]) -> None:
    """Note that pictures of odd names count as frames of a video."""
    odd = "some of its pictures are named unlike the others, and count as frames"
    remedy = "move them away if they are none"
    notes.add(video, f"{odd}; {remedy}", f"{video}: {odd} ({shortened(names)}); {remedy}")
