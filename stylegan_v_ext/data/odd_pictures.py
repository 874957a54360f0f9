"""Pictures among frames whose names are unlike those of the others: thumbnails, or frames of another series."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from stylegan_v_ext.data.beside_videos import THUMBNAIL
from stylegan_v_ext.data.findings import Notes, shortened

_SERIES = 3  # pictures that are named alike, so that others are odd
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:[eE][+-]\d+)?")
_THUMBNAIL = re.compile(f"(.*[^a-z])?(album ?art[a-z]*|folder|{THUMBNAIL})([^a-z].*)?")


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
    small = {form for form in counted if _THUMBNAIL.fullmatch(PurePosixPath(form).stem)}
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
