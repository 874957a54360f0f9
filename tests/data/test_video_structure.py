"""What is said of the structure of files that are cut or damaged anywhere: a place or nothing, never an error."""

import io
import random

import pytest

from stylegan_v_ext.data.kinds import is_animation, other_kind
from stylegan_v_ext.data.video.structure import broken_place, forced_format, missing_end

HEADS = [
    b"RIFF\x10\0\0\0AVI LIST", b"RIFF\0\0\0\0WEBPVP8X", b"DKIF", b"YUV4MPEG2 W2 H2\nFRAME\n", b"\x1f\x07\0", b"OggS",
    b"\x06\x0e\x2b\x34", b"\x1aE\xdf\xa3", b"GIF89a", b"FLV\1", b"\0\0\0\x10ftypisom", b"\x89PNG\r\n\x1a\n",
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), (b"G" + bytes(187)) * 3,
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_any_bytes_behind_a_head_are_judged(head):
    rng = random.Random(0)
    for _ in range(200):
        data = head + rng.choice([bytes, rng.randbytes])(rng.choice([0, 1, 2, 5, 9, 17, 40, 200, 2000]))
        data = data[: rng.choice([len(data), rng.randrange(len(data) + 1)])]
        place = broken_place(io.BytesIO(data))
        assert place is None or 0 <= place <= len(data)
        assert missing_end(io.BytesIO(data)) in ("", "it is cut off")
        assert forced_format(io.BytesIO(data)) in (None, "mpegts")
        assert isinstance(other_kind(data), str) and isinstance(is_animation(data), bool)
