"""Which files of an archive are the frames of which video, in which order, and which files are no frames."""

import os
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from operator import lt

import numpy as np

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import count, shortened
from stylegan_v_ext.data.kinds import METADATA_NAME, is_picture
from stylegan_v_ext.data.names import is_hidden, natural_order, normal_form

_EXPONENT = re.compile(r"[0-9][eE][+-][0-9]*$")  # before digits: 1e-05 comes after 1e-06


@dataclass(frozen=True)
class Video:
    """A folder of frames.

    Attributes:
        folder: Name of the folder in the archive; "" for the top folder.
        frames: Numbers of the frames in the archive, in natural order of their names, int64.
    """

    folder: str
    frames: np.ndarray

    def __str__(self) -> str:
        return self.folder or "the top folder"

    def __len__(self) -> int:
        return len(self.frames)

    def names(self, archive: Archive) -> list[str]:
        """Return the names of the frames in their archive."""
        first, last = int(self.frames.min()), int(self.frames.max())
        if last - first + 1 == len(self):  # all names can be read at once
            run = archive.names[first : last + 1]
            return [run[index - first] for index in self.frames]
        return [archive.names[index] for index in self.frames]


def list_videos(archive: Archive) -> list[Video]:
    """Find all folders, at any depth, that directly hold pictures.

    Args:
        archive: The archive.

    Returns:
        The folders in natural order, without hidden folders and hidden files.

    Raises:
        DataError: If two names differ only in their form of Unicode, or if a name holds a backslash; then it is unknown
            which frames belong together.
    """
    names = archive.names
    members: dict[str, array] = {}
    for index, name in enumerate(names):
        if not is_picture(name):
            continue
        if "\\" in name and not is_hidden(name):
            raise DataError(
                f"{name} has a backslash in its name; give the zip that it is from, or unpack it with 7-Zip"
            )
        folder = name.rpartition("/")[0]
        try:
            members[folder].append(index)
        except KeyError:
            members[folder] = array("q", [index])
    folders = [folder for folder in members if not is_hidden(folder)]
    _refuse_twins(folders, "the data")
    videos = []
    for folder in (folders[number] for number in natural_order(folders)):
        numbers = members[folder]
        first, last = numbers[0], numbers[-1]
        texts = names[first : last + 1] if last - first + 1 == len(numbers) else [names[n] for n in numbers]
        bases = [text.rpartition("/")[2] for text in texts]
        _refuse_twins(bases, folder or "the top folder")
        videos.append(Video(folder, _in_natural_order(numbers, bases)))
    return [video for video in videos if len(video)]


def other_files(archive: Archive) -> list[str]:
    """Return the names of all files except pictures, `dataset.json` and hidden files."""
    others = [name for name in archive.names if not is_picture(name)]
    return [name for name in others if name.rpartition("/")[2] != METADATA_NAME and not is_hidden(name)]


def links_left_out(archive: Archive) -> list[str]:
    """Return a sentence about links that are not followed, in a list; empty if there are no links."""
    number = count(len(archive.links_left), "link")
    names = shortened(archive.links_left)
    return [f"{number} to folders or to nothing left out: {names}"] if archive.links_left else []


def _refuse_twins(names: list[str], where: str) -> None:
    """Raise `DataError` if a name is there twice, as macOS writes it (NFD) and as other systems write it (NFC)."""
    forms: dict[str, str] = {}
    for name in names:
        if not name.isascii() and forms.setdefault(normal_form(name), name) != name:
            raise DataError(
                f"{where} holds {name} twice, in two forms of Unicode (NFC, NFD); remove or rename one of them"
            )


def _in_natural_order(numbers: Sequence[int], bases: list[str]) -> np.ndarray:
    """Sort numbers of files by the natural order of their names, and leave out hidden files."""
    shown = [not base.startswith(".") for base in bases]
    if not all(shown):
        numbers, bases = list(compress(numbers, shown)), list(compress(bases, shown))
    if not _counts_up(bases):
        numbers = [numbers[i] for i in natural_order(bases)]
    return np.array(numbers, dtype=np.int64)


def _counts_up(names: list[str]) -> bool:
    """Check whether names are in natural order already: sorted, with one number of fixed width in the same text."""
    if len(names) < 2:
        return True
    if len(set(map(len, names))) > 1 or not all(map(lt, names, names[1:])):
        return False
    prefix = len(os.path.commonprefix([names[0], names[-1]]))  # which all names between them share
    if _EXPONENT.search(names[0][:prefix]):
        return False
    suffix = len(os.path.splitext(names[0])[1])
    end = len(names[0]) - suffix
    numbers = "".join([name[prefix:end] for name in names])
    return numbers.isascii() and numbers.isdecimal() and len({name[end:] for name in names}) == 1
