"""The program that decodes one video file; `VideoReader` starts a process of it for each file.

A fault in a decoder ends this process and nothing else. Before FFmpeg sees a byte of the file, the process gives up
the right to open files and connections, to write files, and to take more memory than its limit.

    python -P decoder.py '{"path": …, "fps": …, "filters": …, "most_bytes": …, "most_seconds": …}'

It writes records to its standard output. A JSON object is `j`, the length of the text in 4 bytes, and the text; a
frame is `f` and its RGB pixels. The objects: `{"fps": …, "duration": …}` before the first frame; last of all
`{"end": TEXT}`, the text says what is wrong with the file, or with what follows the frames, and is empty for a
sound file.
"""

import importlib
import json
import math
import os
import pkgutil
import re
import signal
import stat
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import av.error
import av.filter
import av.subtitles
from av.sidedata.sidedata import Type

# FFmpeg's names of containers; a file of these stands for itself, while playlists name other files.
FORMATS = "mov,matroska,avi,gif"
MOST_PIXELS = 8192**2  # of a frame, as for pictures
MOST_FRAMES = 10_000_000  # 4 days at 25 frames a second
LONGEST_HOLD = 3600  # seconds that `fps` may repeat a frame for
FASTEST = 1_000_000  # frames a second
_LATE_END = 0.5  # seconds by which a file may end before the time that it announces
_THREADS = 4  # the same on every machine, so that a damaged file gives the same frames on every machine


class Problem(Exception):
    """The file, or what follows in it, cannot be used; the text says why."""


def main(settings: dict[str, Any], out: BinaryIO) -> None:
    """Decode one file and write the records.

    settings: path; fps: rate to resample to, None keeps the frames as they are; filters: a chain of FFmpeg's
    filters; most_bytes: of memory; most_seconds: of processor time for one frame.
    out: where the records go.
    """
    try:
        with open(settings["path"], "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                raise Problem("it is empty")
            _give_up_rights(settings["most_bytes"])
            _allow_time(settings["most_seconds"])
            for record in _records(file, settings):
                _send(out, record)
        reason = ""
    except Problem as problem:
        reason = str(problem)
    except (MemoryError, av.error.MemoryError, av.error.BlockingIOError):  # the last one: no room for a thread
        reason = f"it needs more than {settings['most_bytes'] / 2**30:.1f} GiB of memory"
    except av.error.InvalidDataError:
        reason = "it is damaged, cut off, or in another format"
    except (OSError, av.error.FFmpegError) as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, RuntimeError, OverflowError) as error:  # PyAV's
        reason = str(error) or type(error).__name__
    _send(out, {"end": reason})


def _open_at_once(path: str, flags: int) -> int:
    """`os.open` that does not wait for somebody to write into a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _give_up_rights(most_bytes: int) -> None:
    """Let this process open and write no more files, and take no more memory than `most_bytes`."""
    for module in pkgutil.iter_modules(av.subtitles.__path__, "av.subtitles."):
        importlib.import_module(module.name)  # PyAV would at the first video
    try:
        import resource
    except ImportError:  # Windows
        return
    memory = "DATA" if sys.platform == "linux" else "AS"
    for name, value in {"NOFILE": 0, "FSIZE": 0, "CORE": 0, memory: most_bytes}.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
        except (ValueError, OSError):  # a lower limit holds already, or the system knows no such limit
            continue


def _allow_time(seconds: float) -> None:
    """End this process by SIGPROF when it has used `seconds` more of processor time."""
    if hasattr(signal, "ITIMER_PROF"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _send(out: BinaryIO, record: dict | bytes) -> None:
    if isinstance(record, bytes):
        out.write(b"f")
        out.write(record)
    else:
        text = json.dumps(record).encode()
        out.write(b"j" + struct.pack("<I", len(text)) + text)
    out.flush()


def _records(file: BinaryIO, settings: dict[str, Any]) -> Iterator[dict | bytes]:
    """Facts, then frames after the filters as RGB pixels. Raises `Problem` and FFmpeg's errors."""
    nothing_else = {"protocol_whitelist": "none", "format_whitelist": FORMATS, "max_pixels": str(MOST_PIXELS)}
    with av.open(file, "r", options=nothing_else, metadata_errors="replace", buffer_size=2**18) as container:
        stream: Any = container.streams.best("video")
        if stream is None:
            raise Problem("it has no video track")
        _check_size(stream.width, stream.height)
        context = stream.codec_context
        context.options = {"max_pixels": str(MOST_PIXELS)}
        if context.name == "mjpeg":  # each picture stands for itself, so a fault in it is damage
            context.options |= {"err_detect": "explode"}
        context.thread_type, context.thread_count = "AUTO", _THREADS
        facts = {"fps": settings["fps"] or _rate(stream), "duration": _duration(container, stream)}
        yield {**facts, "size": [stream.width, stream.height]}
        count = 0
        for pixels in _filtered(container, stream, settings):
            _allow_time(settings["most_seconds"])
            count += 1
            if count > MOST_FRAMES:
                raise Problem(f"it has more than {MOST_FRAMES} frames")
            yield pixels
        if not count:
            raise Problem("it has no frames")


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise Problem(f"its frames are {width}x{height}; the most is {MOST_PIXELS} pixels, such as 8192x8192")


def _rate(stream: Any) -> float | None:
    """Frames a second; None if the file does not tell. The mean rate, unless it is a rounded form of a nominal one."""
    mean, nominal = float(stream.average_rate or 0), float(stream.guessed_rate or 0)
    rate = nominal if not mean or abs(nominal - mean) < 0.01 * mean else mean
    return rate if 0 < rate < FASTEST else None


def _duration(container: Any, stream: Any) -> float | None:
    """Seconds that the file announces; None if it does not."""
    if stream.duration is not None:
        seconds = float(stream.duration * stream.time_base)
    else:
        seconds = (container.duration or 0) / av.time_base
    return seconds if 0 < seconds < math.inf else None


def _filtered(container: Any, stream: Any, settings: dict[str, Any]) -> Iterator[bytes]:
    """RGB pixels of all frames before the damage. Raises `Problem` and FFmpeg's errors after them."""
    chain = _Chain(settings["filters"], settings["fps"])
    try:
        for frame in _decoded(container, stream, settings):
            yield from chain.frames(frame)
    except (Problem, av.error.FFmpegError):
        yield from chain.frames(None)
        raise
    yield from chain.frames(None)


def _decoded(container: Any, stream: Any, settings: dict[str, Any]) -> Iterator[Any]:
    """Frames as the decoder gives them. Raises `Problem` and FFmpeg's errors at the first sign of damage.

    A frame waits for the next one, and is lost if that is damaged: a decoder may notice damage one frame too late.
    """
    announced = container.duration / av.time_base if container.duration and stream.duration is None else 0.0
    end = 0.0
    waiting = None
    for packet in container.demux():
        if packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream is not stream or (not packet.size and packet.dts is not None):
            continue
        if packet.is_corrupt:
            yield from () if waiting is None else (waiting,)
            raise Problem("it is cut off")
        for frame in packet.decode():
            _allow_time(settings["most_seconds"])
            if frame.is_corrupt:
                raise Problem("a frame is damaged")
            _check_size(frame.width, frame.height)
            if settings["fps"]:
                _shorten(frame)
            if waiting is not None:
                yield waiting
                if settings["fps"]:
                    _check_hold(waiting.time, frame.time)
            waiting = frame
    yield from () if waiting is None else (waiting,)
    if announced - end > max(_LATE_END, 5 / (_rate(stream) or math.inf)):
        raise Problem(f"it ends after {end:.1f} of {announced:.1f} seconds")


def _shorten(frame: Any) -> None:
    """Keep the resampling filter from repeating the last frame for days."""
    tick = frame.time_base
    if tick > LONGEST_HOLD:
        raise Problem(f"its clock ticks every {float(tick):.6g} seconds")
    if frame.duration * tick > LONGEST_HOLD:
        frame.duration = 1


def _check_hold(begin: float | None, end: float | None) -> None:
    if begin is not None and end is not None and abs(end - begin) > LONGEST_HOLD:
        raise Problem(f"its time jumps from {begin:.6g} to {end:.6g} seconds")


class _Chain:
    """FFmpeg's filters, set up anew if the form of the frames changes on the way.

    filters: `name=arguments,name=arguments`; quotes protect commas.
    fps: rate to resample to before the filters, None for no resampling.
    """

    def __init__(self, filters: str, fps: float | None):
        self._filters = [f"fps={fps}"] if fps else []
        self._rest = re.findall(r"(?:[^,']|'[^']*')+", filters)
        self._form: tuple | None = None
        self._graph: Any = None

    def frames(self, frame: Any) -> Iterator[bytes]:
        """RGB pixels of the frames that a frame brings out; None for `frame` brings out the last."""
        form = None if frame is None else (frame.width, frame.height, frame.format.name, _turns(frame))
        if form != self._form:
            if self._graph is not None:
                self._graph.vpush(None)
                yield from self._out()
            self._graph, self._form = self._set_up(frame, form), form
        if form is not None:
            self._graph.vpush(frame)
            yield from self._out()

    def _set_up(self, frame: Any, form: tuple | None) -> Any:
        if form is None:
            return None
        graph = av.filter.Graph()
        graph.threads = _THREADS
        source = (
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}:"
            f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
        )
        parts = [("buffer", source)]
        for text in [*self._filters, *form[-1], *self._rest, "format=rgb24"]:
            name, _, arguments = text.partition("=")
            parts.append((name, arguments))
        nodes = [graph.add(name, arguments or None) for name, arguments in [*parts, ("buffersink", "")]]
        graph.link_nodes(*nodes).configure()
        return graph

    def _out(self) -> Iterator[bytes]:
        while True:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            plane = frame.planes[0]
            pixels, step, row = memoryview(plane), plane.line_size, frame.width * 3
            if step == row:
                yield bytes(pixels[: row * frame.height])
            else:
                yield b"".join(pixels[at : at + row] for at in range(0, step * frame.height, step))


def _turns(frame: Any) -> tuple[str, ...]:
    """Filters that turn a frame upright, as its display matrix asks for."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return ()
    # A point (x, y) of the frame is shown at (a x + c y, b x + d y).
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(matrix))
    if abs(b) > abs(a) and abs(c) > abs(d):
        return (
            "transpose=" + {(1, 0): "clock", (0, 1): "cclock", (1, 1): "cclock_flip"}.get((b > 0, c > 0), "clock_flip"),
        )
    return tuple(name for name, value in (("hflip", a), ("vflip", d)) if value < 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.stdout.buffer)
