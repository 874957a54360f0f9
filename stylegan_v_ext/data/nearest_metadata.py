"""What `dataset.json` says of each video of an archive that may hold several of them, such as merged data sets."""

import dataclasses
import json
from collections.abc import Callable, Sequence

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.metadata import Metadata, read_metadata
from stylegan_v_ext.data.videos import Video
from stylegan_v_ext.documents import parse_json

_HINTS = ("fps", "motion_distance")


def nearest_metadata(
    archive: Archive, members: Sequence[int], videos: Sequence[Video]
) -> tuple[Callable[[str], Metadata], list[str], list[str]]:
    """(function from a video's path to what is recorded of it, problems of the files, notes on labels).

    Labels and classes are those of all files; the rate and the motion hint are those of the file that lies nearest
    above the video.

    Args:
        archive: What the files lie in.
        members: The numbers of its `dataset.json` files.
        videos: What labels are of; for a video file, its path is the folder.
    """
    if not members:
        return lambda name: Metadata(), [], []
    several = len(members) > 1
    everything = read_metadata(_WithoutHints(archive, frozenset(members)) if several else archive, videos)
    places, problems = {}, list(everything.problems)
    for index in members:
        here = read_metadata(_OneOf(archive, index), []) if several else everything
        problems += here.problems
        folder = archive.names[index].rpartition("/")[0]
        places[folder] = dataclasses.replace(everything, fps=here.fps, motion_distance=here.motion_distance)

    def above(name: str) -> Metadata:
        while name not in places and name:
            name = name.rpartition("/")[0]
        return places.get(name) or Metadata()

    return above, list(dict.fromkeys(problems)), everything.label_problems + everything.notes


class _WithoutHints(Archive):
    """An archive whose `dataset.json` files say nothing that may differ from one to the other without a fault."""

    def __init__(self, archive: Archive, members: frozenset[int]) -> None:
        self.path, self.names = archive.path, archive.names
        self._archive, self._members = archive, members

    def read(self, index: int) -> bytes:
        data = self._archive.read(index)
        if index not in self._members:
            return data
        try:
            content = parse_json(data)
        except ValueError:  # said by whoever reads it
            return data
        if not isinstance(content, dict):
            return data
        return json.dumps(content | {key: None for key in _HINTS if key in content}).encode()


class _OneOf(Archive):
    """One file of an archive, as if it were alone."""

    def __init__(self, archive: Archive, index: int) -> None:
        self.path, self._archive, self._index = archive.path, archive, index
        self.names = [archive.names[index]]

    def read(self, index: int) -> bytes:
        return self._archive.read(self._index)
