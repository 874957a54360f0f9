"""Videos that may be there in two forms: as files and as folders of frames, or with masks or maps of them."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from stylegan_v_ext.data.findings import count, shortened

_MAPS = re.compile(
    "alphas?|annotations?|depths?|edges?|flows?|gt|ground_?truth|labels?|landmarks?|masks?|mattes?|normals?|optical_?flow|"
    "segmentations?|trimaps?"
)


def counterparts(folders: Sequence[str], files: Sequence[str]) -> list[str]:
    """Return sentences about videos that may be there in two forms.

    Args:
        folders: Names of the videos that are folders of pictures.
        files: Names of the other videos.
    """
    sentences = []
    if folders and files:
        kinds = f"{count(len(folders), 'folder')} of pictures ({shortened(folders)})"
        sentences.append(
            f"both {kinds} and {count(len(files), 'video file')} ({shortened(files)}) are used; if they are the same "
            "videos, name a folder that holds one kind"
        )
    maps, originals = _maps([*folders, *files])
    if maps:
        number = count(len(maps), "video")
        sentences.append(
            f"{number} ({shortened(maps)}) may be masks or maps, by their folders' names, of videos of the same names "
            f"({shortened(originals)}); all are used; to use one kind, name a folder that holds only that kind"
        )
    return sentences


def _maps(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Find videos that may be masks or maps of other videos.

    Returns:
        (videos below a folder with a name such as `masks`, videos with the same path, except for this folder).
    """
    paths = {name: PurePosixPath(name).with_suffix("").parts for name in names}
    places = [
        (name, place)
        for name, parts in paths.items()
        for place, part in enumerate(parts[:-1])
        if _MAPS.fullmatch(part.lower())
    ]
    if not places:
        return [], []
    others: dict[tuple[str | None, ...], list[str]] = {}
    depths = {place for _, place in places}
    for name, parts in paths.items():
        for place in depths:
            if place < len(parts) - 1 and not _MAPS.fullmatch(parts[place].lower()):
                others.setdefault((*parts[:place], None, *parts[place + 1 :]), []).append(name)
    found = {}
    for name, place in places:
        parts = paths[name]
        originals = others.get((*parts[:place], None, *parts[place + 1 :]))
        if originals:
            found[name] = originals[0]
    return list(found), list(dict.fromkeys(found.values()))
