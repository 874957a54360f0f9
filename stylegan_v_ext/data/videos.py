"""Which files of an archive are the frames of which video, in which order."""

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from operator import lt

import numpy as np

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.names import is_hidden, natural_key
from stylegan_v_ext.data.pictures import is_picture


@dataclass(frozen=True)
class Video:
    """A folder of frames: their numbers in the archive, in natural order."""

    folder: str
    frames: np.ndarray

    def __str__(self) -> str:
        return self.folder or "the top folder"

    def __len__(self) -> int:
        return len(self.frames)


def list_videos(archive: Archive) -> list[Video]:
    """Every folder, at any depth, that directly holds image files; in natural order."""
    names = archive.names
    members: dict[str, array] = {}
    for index, name in enumerate(names):
        if not is_picture(name):
            continue
        folder = name.rpartition("/")[0]
        try:
            members[folder].append(index)
        except KeyError:
            members[folder] = array("q", [index])
    videos = []
    for folder in sorted(members, key=natural_key):
        if not is_hidden(folder):
            numbers = members[folder]
            first, last = numbers[0], numbers[-1]
            texts = names[first : last + 1] if last - first + 1 == len(numbers) else [names[n] for n in numbers]
            videos.append(Video(folder, _in_natural_order(numbers, [text.rpartition("/")[2] for text in texts])))
    return [video for video in videos if len(video)]


def _in_natural_order(numbers: Sequence[int], bases: list[str]) -> np.ndarray:
    """Numbers in the natural order of their names, without those of hidden files."""
    shown = [not base.startswith(".") for base in bases]
    if not all(shown):
        numbers, bases = list(compress(numbers, shown)), list(compress(bases, shown))
    if not _counts_up(bases):
        order = sorted(range(len(bases)), key=lambda i: natural_key(bases[i]))
        numbers = [numbers[i] for i in order]
    return np.array(numbers, dtype=np.int64)


def _counts_up(names: list[str]) -> bool:
    """Whether names are in natural order already, as one text around a number of fixed width is when sorted."""
    if len(names) < 2:
        return True
    if len(set(map(len, names))) > 1 or not all(map(lt, names, names[1:])):
        return False
    prefix = len(os.path.commonprefix([names[0], names[-1]]))  # and so of all between them
    suffix = len(os.path.splitext(names[0])[1])
    end = len(names[0]) - suffix
    numbers = "".join([name[prefix:end] for name in names])
    return numbers.isascii() and numbers.isdecimal() and len({name[end:] for name in names}) == 1
