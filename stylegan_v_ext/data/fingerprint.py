"""What tells one data set from another without reading its frames: it stays the same if the data merely move."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stylegan_v_ext.data.archive import Archive, ShardedArchive
from stylegan_v_ext.data.videos import Video

PARTS = {
    "names": "names of frames",
    "sizes": "sizes of files",
    "checksums": "checksums of files",
    "labels": "labels",
    "hints": "resolution, fps or motion hint",
}
"""What a fingerprint is of, by its keys."""


def fingerprint(archive: Archive, videos: Sequence[Video], labels: Iterable[int], hints: Any) -> dict[str, str]:
    """SHA-256 of every part of `PARTS`, by its key.

    Zips are told apart by the checksums in their directories as well, folders by names and sizes alone; a folder that
    is a zip unpacked has the zip's other parts. Shards are one archive, whatever their files are called.

    Args:
        archive: Where the frames are.
        videos: Those that are used, in their order.
        labels: Their classes.
        hints: Plain values that training depends on.
    """
    order = np.concatenate([video.frames for video in videos])
    names = list(archive.names)
    used = [names[number] for number in order.tolist()]
    if isinstance(archive, ShardedArchive):  # each name begins with its shard's
        used = [name.partition("/")[2] for name in used]
    parts = {
        "names": _sha256(json.dumps(used).encode()),
        "sizes": _sha256(archive.sizes()[order].astype("<i8").tobytes()),
        "labels": _sha256(json.dumps(list(labels)).encode()),
        "hints": _sha256(json.dumps(hints).encode()),
    }
    checksums = archive.checksums()
    if checksums is not None:
        parts["checksums"] = _sha256(checksums[order].astype("<u4").tobytes())
    return parts


def difference(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """What tells two fingerprints apart, in words; `None` if they are of the same data.

    A part that one of them lacks is not compared.
    """
    differing = [text for key, text in PARTS.items() if key in before and key in now and before[key] != now[key]]
    return " and ".join(differing) or None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
