"""What `dataset.json` says of each video of an archive that may hold several of them, such as merged data sets."""

import dataclasses
from collections.abc import Callable, Sequence

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.metadata import Metadata, read_metadata


def nearest_metadata(archive: Archive, members: Sequence[int]) -> tuple[Callable[[str], Metadata], list[str]]:
    """(function from a video's name to what is recorded of it, sentences about what is wrong with the files).

    Labels and classes are those of all files; the rate and the motion hint are those of the file that lies nearest
    above the video.

    archive: what the files lie in.
    members: the numbers of its `dataset.json` files.
    """
    if not members:
        return lambda name: Metadata(), []
    everything = read_metadata(archive)
    places = {}
    for index in members:
        here = everything if len(members) == 1 else read_metadata(_OneOf(archive, index))
        folder = archive.names[index].rpartition("/")[0]
        places[folder] = dataclasses.replace(everything, fps=here.fps, motion_distance=here.motion_distance)

    def above(name: str) -> Metadata:
        while name not in places and name:
            name = name.rpartition("/")[0]
        return places.get(name) or Metadata()

    faults = [*everything.problems, *getattr(everything, "label_problems", ()), *getattr(everything, "notes", ())]
    return above, faults


class _OneOf(Archive):
    """One file of an archive, as if it were alone."""

    def __init__(self, archive: Archive, index: int):
        self.path, self._archive, self._index = archive.path, archive, index
        self.names = [archive.names[index]]

    def read(self, index: int) -> bytes:
        return self._archive.read(self._index)
