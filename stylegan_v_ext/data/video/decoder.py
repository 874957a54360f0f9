"""The program that decodes video files; `process.py` starts it.

A fault in a decoder ends one process and nothing else. Before FFmpeg sees a byte of a file, the process gives up the
rights to open files and connections, to write files, and to take more memory than its limit.

`python -P decoder.py SETTINGS < FILE` decodes one file; SETTINGS is a JSON object, see `protocol.Settings`.
`python -P decoder.py --serve` imports all modules once. It then forks a process for each file that its parent sends
through the socket at standard input, until the parent closes the socket or dies.

The process writes records to its output. The record of a frame is `f` and the RGB pixels. The record of a JSON object
is `j`, the length of the text in 4 bytes, and the text. There are three kinds of objects:

- Facts, `{"fps": …, "duration": …, "size": [width, height], "notes": [text, …]}`, come before the first frame. They
  come again, with the same size, when more is known.
- `{"end": TEXT}` comes last. The text says what is wrong with the file, or with the part after the last frame; it is
  empty for a sound file.
- `{"again": true}` comes instead if the file needs NumPy, which few files do. It asks for another process that imports
  NumPy before anything else.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, TypedDict

if "stylegan_v_ext" not in sys.modules:  # import the package from the place of this file, whatever is installed
    _ROOT = Path(__file__).resolve().parents[2]
    _SPEC = importlib.util.spec_from_file_location(
        _ROOT.name, _ROOT / "__init__.py", submodule_search_locations=[str(_ROOT)]
    )
    assert _SPEC is not None and _SPEC.loader is not None
    sys.modules[_ROOT.name] = importlib.util.module_from_spec(_SPEC)
    _SPEC.loader.exec_module(sys.modules[_ROOT.name])

import av
import av.error
import av.subtitles

from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.kinds import HEAD
from stylegan_v_ext.data.limits import MOST_FRAMES
from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.animation import AnimationReading, import_pillow, is_for_pillow
from stylegan_v_ext.data.video.deinterlacing import deinterlaced
from stylegan_v_ext.data.video.messages import Messages
from stylegan_v_ext.data.video.protocol import JOB, LENGTH, STATUS, Settings
from stylegan_v_ext.data.video.reading import Reading
from stylegan_v_ext.data.video.shape import NeedsNumpy, Shaper
from stylegan_v_ext.data.video.timing import UNEQUAL, UNKNOWN, resampled

_ROUNDING = 1e-6  # share of a rate by which two equal rates may differ
_NEW_OBJECTS = 40  # new objects between two searches for objects that refer to each other


def decode(file: BinaryIO, out: BinaryIO, settings: Settings) -> None:
    """Decode one file and write the records.

    Args:
        file: The file, open for reading, at its beginning.
        out: Where to write the records.
        settings: How to decode.
    """
    # PyAV's frames and their side data refer to each other, so a frame stays in memory until Python searches for such
    # objects.
    gc.set_threshold(_NEW_OBJECTS)
    try:
        head = file.read(HEAD)
        file.seek(0)
        if not head:
            raise Problem("it is empty")
        if settings["numpy"]:
            import_numpy()
        pillow = is_for_pillow(head)
        if pillow:
            import_pillow()
        messages = Messages()
        _give_up_rights(settings["most_bytes"])
        for record in _records(file, messages, settings, pillow=pillow):
            _send(out, record)
        reason = ""
    except NeedsNumpy:
        _send(out, {"again": True})
        return
    except Problem as problem:
        reason = str(problem)
    except (MemoryError, av.error.MemoryError, av.error.BlockingIOError):
        # BlockingIOError means that there was no memory for a thread.
        reason = f"it needs more than {settings['most_bytes'] / 2**30:.1f} GiB of memory"
    except av.error.InvalidDataError:
        reason = "it is damaged"
    except (OSError, av.error.FFmpegError) as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, RuntimeError, OverflowError) as error:  # errors of PyAV
        reason = str(error) or type(error).__name__
    except Exception as error:
        reason = f"the decoder failed ({type(error).__name__}: {error})"
    _send(out, {"end": reason})


def _give_up_rights(most_bytes: int) -> None:
    """Forbid this process to open files, to write files, and to take more than `most_bytes` bytes of memory."""
    try:
        import resource
    except ImportError:  # Windows
        return
    memory = "DATA" if sys.platform == "linux" else "AS"
    for name, value in {"NOFILE": 0, "FSIZE": 0, "CORE": 0, memory: most_bytes}.items():
        try:
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
        except (ValueError, OSError):  # there is a lower limit already, or the system does not know this limit
            continue


def _import_all() -> None:
    """Import all modules that PyAV would import at the first video."""
    for module in pkgutil.iter_modules(av.subtitles.__path__, "av.subtitles."):
        importlib.import_module(module.name)


def import_numpy() -> None:
    """Import the module that computes with NumPy."""
    importlib.import_module("stylegan_v_ext.data.video.colours")


def _allow_time(seconds: float) -> None:
    """Let SIGPROF end this process after `seconds` more seconds of processor time."""
    if hasattr(signal, "ITIMER_PROF"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _send(out: BinaryIO, record: object) -> None:
    """Write a record: the pixels of a frame as bytes, or an object for JSON."""
    if isinstance(record, bytes):
        out.write(b"f")
        out.write(record)
    else:
        text = json.dumps(record).encode()
        out.write(b"j" + LENGTH.pack(len(text)) + text)
    out.flush()


class _Facts(TypedDict):
    """What is known of a video: rate (or None), duration in seconds (or None), [width, height], clauses."""

    fps: float | None
    duration: float | None
    size: list[int]
    notes: list[str]


def _records(file: BinaryIO, messages: Messages, settings: Settings, *, pillow: bool) -> Iterator[_Facts | bytes]:
    """Yield facts, then frames as RGB pixels; Pillow reads the file if `pillow`, otherwise FFmpeg.

    Raises:
        Problem: If the file, or the rest of it, cannot be used; FFmpeg's errors are raised as well.
    """

    def tick_over() -> None:
        _allow_time(settings["most_seconds"])

    tick_over()
    reading = AnimationReading(file, tick_over) if pillow else Reading(file, messages, tick_over)
    notes = list(reading.notes)
    geometry = settings["geometry"]
    shaper = Shaper(None if geometry is None else Geometry(**geometry), notes)
    fps = settings["fps"]
    frames = deinterlaced(reading.frames(), notes)
    if fps:
        shown = resampled(frames, reading.clock, Fraction(fps))
    else:
        shown = ((item, 1) for item in frames)
    known: _Facts | None = None
    count = 0
    for item, times in shown:
        if not times:
            continue
        pixels = shaper.pixels(item.frame, item.pixel_aspect)
        facts = _facts(reading, shaper, fps, notes)
        if known is None or not _are_alike(facts, known):  # sent at once, since a reader may stop before the end
            yield facts
            known = facts
        for _ in range(times):
            tick_over()
            count += 1
            if count > MOST_FRAMES:
                raise Problem(f"it has more than {MOST_FRAMES} frames")
            yield pixels
    if count:
        yield _facts(reading, shaper, fps, notes)
    if reading.problem is not None:
        raise reading.problem


def _facts(reading: Reading | AnimationReading, shaper: Shaper, fps: float | None, notes: list[str]) -> _Facts:
    rate = fps or reading.clock.rate
    times = [] if fps else [UNEQUAL] * reading.clock.unequal + [UNKNOWN] * (rate is None)
    return {"fps": rate, "duration": reading.duration, "size": list(shaper.size or ()), "notes": times + notes}


def _are_alike(facts: _Facts, known: _Facts) -> bool:
    """Check whether facts are equal, apart from rounding of the rate."""
    now, before = facts["fps"] or 0.0, known["fps"] or 0.0
    return abs(now - before) <= _ROUNDING * now and {**facts, "fps": None} == {**known, "fps": None}


def serve(line: socket.socket) -> None:
    """Fork a process for each file until the other end of `line` is closed.

    A job is `JOB`, the settings, and three descriptors: the file, the pipe for the records, and a socket. The exit
    status of the process (see `STATUS`) is sent to this socket. If the other end of the socket is closed, the process
    is killed.

    Args:
        line: The socket through which jobs come.
    """
    wake, wakened = socket.socketpair()
    wake.settimeout(0)  # does not block
    wakened.settimeout(0)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakened.fileno())
    gc.freeze()  # imported modules stay in memory that all processes share
    jobs: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is line:
                    job = _next_job(line)
                    if job is None:
                        for child in jobs:
                            os.kill(child, signal.SIGKILL)
                        return
                    if job[0]["numpy"]:
                        import_numpy()  # for all later files, too
                    child = _fork(*job)
                    jobs[child] = job[-1]
                    selector.register(job[-1], selectors.EVENT_READ, child)
                    line.sendall(b"k")
                elif key.fileobj is wake:
                    while _received(wake):
                        pass
                    for child, status in _ended():
                        control = jobs.pop(child)
                        if control in selector.get_map():
                            selector.unregister(control)
                        with control, contextlib.suppress(OSError):
                            control.sendall(STATUS.pack(status))
                elif jobs.get(key.data) is key.fileobj:  # nobody waits for this process any more
                    selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)


def _next_job(line: socket.socket) -> tuple[Settings, int, int, socket.socket] | None:
    """Return (settings, descriptor of the file, descriptor of the pipe, socket) of a job; None if no more jobs come."""
    data, descriptors, _, _ = socket.recv_fds(line, JOB.size, 3)
    if len(data) < JOB.size or len(descriptors) < 3:
        return None
    (length,) = JOB.unpack(data)
    text = b""
    while len(text) < length and (part := line.recv(length - len(text))):
        text += part
    return json.loads(text), descriptors[0], descriptors[1], socket.socket(fileno=descriptors[2])


def _fork(settings: Settings, file: int, out: int, control: socket.socket) -> int:
    """Fork the process for a job, and return its process id."""
    child = os.fork()
    if child:
        os.close(file)
        os.close(out)
        return child
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(file, 0)
        os.dup2(out, 1)
        os.closerange(3, 1024)  # sockets of this job and of others
        _decode_standard_input(settings)
    finally:
        os._exit(0)


def _decode_standard_input(settings: Settings) -> None:
    with open(0, "rb", buffering=0, closefd=False) as file, open(1, "wb", closefd=False) as out:
        decode(file, out, settings)


def _ended() -> Iterator[tuple[int, int]]:
    """Yield (process id, exit status) of each process that has ended."""
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        yield child, os.waitstatus_to_exitcode(status)


def _received(wake: socket.socket) -> bytes:
    try:
        return wake.recv(4096)
    except BlockingIOError:
        return b""


def run(argument: str) -> None:
    """Serve, or decode the file at standard input.

    Args:
        argument: `--serve`, or the settings as JSON.
    """
    _import_all()
    if argument == "--serve":
        serve(socket.socket(fileno=0))
    else:
        _decode_standard_input(json.loads(argument))


if __name__ == "__main__":
    run(sys.argv[1])
