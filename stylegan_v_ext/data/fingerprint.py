"""Fingerprints of data sets: they tell data sets apart without reading frames, and stay the same if the data move."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

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
"""The parts of a fingerprint: what each key stands for."""


def fingerprint(
    archive: Archive, videos: Sequence[Video], labels: Iterable[int], hints: Mapping[str, float | None]
) -> dict[str, str]:
    """Compute the fingerprint of a data set.

    Only zips have the part "checksums", which their directories hold. A zip and the same zip unpacked to a folder agree
    in all other parts. Shards count as one archive, and the names of their files do not matter.

    Args:
        archive: The archive of the frames.
        videos: The videos that are used, in their order.
        labels: Class number of each of these videos.
        hints: Other numbers that training depends on, by name.

    Returns:
        SHA-256 by the keys of `PARTS`.
    """
    order = np.concatenate([video.frames for video in videos])
    names = list(archive.names)
    used = [names[number] for number in order.tolist()]
    if isinstance(archive, ShardedArchive):  # each name begins with the name of its shard
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
    """Say in words which parts of two fingerprints differ.

    Args:
        before: One fingerprint.
        now: The other fingerprint. Parts that only one of them has are not compared.

    Returns:
        The parts that differ; None if all parts are equal.
    """
    differing = [text for key, text in PARTS.items() if key in before and key in now and before[key] != now[key]]
    return " and ".join(differing) or None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
