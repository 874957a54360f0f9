"""What FFmpeg's libraries print: the only place where they tell of some kinds of damage."""

import contextlib
import os
import re

import av.logging

_BROKEN_CONTAINER = re.compile(
    r"^\[(matroska,webm|ogg|asf|flv|gif|apng|mxf) @ .*(EBML|exceeds containing|CRC mismatch|incomplete packet|mismatch|"
    r"Invalid|invalid|skip 0 \(unknown stream|sync lost|not implemented)"
)
_BROKEN_FRAME = re.compile(
    r"error while decoding MB|LZW decode failed|damaged|Error at MB|CRC (mismatch|error)|concealing|EOI missing|"
    r"(ignoring|dc) overflow|undecodable NALU|Could not find ref with POC|the frame RPS"
)


class Messages:
    """What FFmpeg's libraries print to standard error, through a pipe that never blocks them."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        if not hasattr(os, "set_blocking") or os.name == "nt":
            return
        self._pipe, end = os.pipe()
        os.set_blocking(self._pipe, False)
        os.set_blocking(end, False)
        os.dup2(end, 2)
        os.close(end)
        av.logging.restore_default_callback()  # PyAV's own may wait for ever for Python's lock
        av.logging.set_libav_level(av.logging.INFO)

    def new(self) -> list[str]:
        """Return the lines that were printed since the last call."""
        if self._pipe is None:
            return []
        text = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._pipe, 2**16):
                text += part
        return text.decode("utf-8", "replace").splitlines()


def tell_of_broken_container(lines: list[str]) -> bool:
    """Check whether FFmpeg's messages say that the structure of a file is broken."""
    return any(map(_BROKEN_CONTAINER.search, lines))


def tell_of_broken_frame(lines: list[str]) -> bool:
    """Check whether FFmpeg's messages say that a frame is broken."""
    return any(map(_BROKEN_FRAME.search, lines))
