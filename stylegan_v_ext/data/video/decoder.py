"""The program that decodes video files; `data/video/process.py` starts it.

A fault in a decoder ends one process and nothing else. Before FFmpeg sees a byte of a file, the process gives up the
right to open files and connections, to write files, and to take more memory than its limit.

    python -P decoder.py '{"geometry": …, "fps": …, "most_bytes": …, "most_seconds": …}' < FILE

decodes one file. `python -P decoder.py --serve` imports what is needed once, and forks a process for each file that its
parent sends through the socket at standard input, until the parent closes it or dies.

The process writes records to its output. A JSON object is `j`, the length of the text in 4 bytes, and the text; a
frame is `f` and its RGB pixels. The objects: facts, `{"fps": …, "duration": …, "size": [width, height], "notes":
[text, …]}`, before the first frame and again if they are better known, with the same size; last of all `{"end": TEXT}`,
the text says what is wrong with the file, or with the part after the last frame; it is empty for a sound file.
`{"again": true}` instead asks for a process that imports NumPy first, which few files need.
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
from typing import Any, BinaryIO


def _find_package() -> None:
    """Make the package importable from the place of this file, whatever else is installed."""
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        root.name, root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules[root.name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


if "stylegan_v_ext" not in sys.modules:
    _find_package()

import av  # noqa: E402
import av.error  # noqa: E402
import av.subtitles  # noqa: E402

from stylegan_v_ext.data.geometry import Geometry  # noqa: E402
from stylegan_v_ext.data.limits import MOST_FRAMES  # noqa: E402
from stylegan_v_ext.data.video import Problem  # noqa: E402
from stylegan_v_ext.data.video.animation import AnimationReading, import_pillow, is_for_pillow  # noqa: E402
from stylegan_v_ext.data.video.deinterlacing import deinterlaced  # noqa: E402
from stylegan_v_ext.data.video.protocol import JOB, LENGTH, STATUS  # noqa: E402
from stylegan_v_ext.data.video.reading import Messages, Reading  # noqa: E402
from stylegan_v_ext.data.video.shape import NeedsNumpy, Shaper  # noqa: E402
from stylegan_v_ext.data.video.timing import UNEQUAL, UNKNOWN, resampled  # noqa: E402

_ROUNDING = 1e-6  # of a rate
_NEW_OBJECTS = 40  # between two searches for objects that refer to each other


def decode(file: BinaryIO, out: BinaryIO, settings: dict[str, Any]) -> None:
    """Decode one file and write the records.

    Args:
        file: Open for reading, at its beginning.
        out: Where the records go.
        settings: Geometry: arguments of `Geometry`, None for the size of the video; fps: rate to resample to, None
            keeps the frames as they are; most_bytes: of memory; most_seconds: of processor time for one frame; numpy:
            import NumPy first.
    """
    # PyAV's frames and their side data refer to each other, so each frame stays in memory until such a search.
    gc.set_threshold(_NEW_OBJECTS)
    try:
        head = file.read(4096)
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
        for record in _records(file, pillow, messages, settings):
            _send(out, record)
        reason = ""
    except NeedsNumpy:
        _send(out, {"again": True})
        return
    except Problem as problem:
        reason = str(problem)
    except (MemoryError, av.error.MemoryError, av.error.BlockingIOError):
        # BlockingIOError: there was no memory for a thread
        reason = f"it needs more than {settings['most_bytes'] / 2**30:.1f} GiB of memory"
    except av.error.InvalidDataError:
        reason = "it is damaged"
    except (OSError, av.error.FFmpegError) as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, RuntimeError, OverflowError) as error:  # PyAV's
        reason = str(error) or type(error).__name__
    except Exception as error:
        reason = f"the decoder failed ({type(error).__name__}: {error})"
    _send(out, {"end": reason})


def _give_up_rights(most_bytes: int) -> None:
    """Let this process open and write no more files, and take no more memory than `most_bytes`."""
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


def _import_all() -> None:
    """Import the modules that PyAV would import at the first video."""
    for module in pkgutil.iter_modules(av.subtitles.__path__, "av.subtitles."):
        importlib.import_module(module.name)


def import_numpy() -> None:
    """Import the module that computes with NumPy."""
    importlib.import_module("stylegan_v_ext.data.video.colours")


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
        out.write(b"j" + LENGTH.pack(len(text)) + text)
    out.flush()


def _records(file: BinaryIO, pillow: bool, messages: Messages, settings: dict[str, Any]) -> Iterator[dict | bytes]:
    """Facts, then frames as RGB pixels. Raises `Problem` and FFmpeg's errors."""

    def tick_over() -> None:
        _allow_time(settings["most_seconds"])

    tick_over()
    reading: Any = AnimationReading(file, tick_over) if pillow else Reading(file, messages, tick_over)
    notes: list[str] = list(reading.notes)
    geometry = settings["geometry"]
    shaper = Shaper(None if geometry is None else Geometry(**geometry), notes)
    fps = settings["fps"]
    frames = deinterlaced(reading.frames(), notes)
    if fps:
        shown = resampled(frames, reading.clock, Fraction(fps))
    else:
        shown = ((item, 1) for item in frames)
    told: dict[str, Any] = {}
    count = 0
    for item, times in shown:
        if not times:
            continue
        pixels = shaper.pixels(item.frame, item.pixel_aspect)
        facts = _facts(reading, shaper, fps, notes)
        if not _are_alike(facts, told):  # a reader may leave before the end
            yield facts
            told = facts
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


def _facts(reading: Any, shaper: Shaper, fps: float | None, notes: list[str]) -> dict[str, Any]:
    rate = fps or reading.clock.rate
    times = [] if fps else [UNEQUAL] * reading.clock.unequal + [UNKNOWN] * (rate is None)
    return {"fps": rate, "duration": reading.duration, "size": list(shaper.size or ()), "notes": times + notes}


def _are_alike(facts: dict[str, Any], told: dict[str, Any]) -> bool:
    """Whether facts say the same, but for rounding of the rate."""
    now, before = facts["fps"] or 0.0, told.get("fps") or 0.0
    return abs(now - before) <= _ROUNDING * now and facts | {"fps": None} == told | {"fps": None}


def serve(line: socket.socket) -> None:
    """Fork a process for each file until the other end of `line` is closed.

    A job is `JOB`, the settings, and three descriptors: of the file, of the pipe for the records, and of a socket. The
    exit status of the process, minus the number of the signal that ended it, goes to this socket; if the other end of
    it is closed, the process is killed.
    """
    wake, wakened = socket.socketpair()
    wake.setblocking(False)
    wakened.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakened.fileno())
    gc.freeze()  # what is imported stays in memory that all processes share
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
                        import_numpy()  # it stays for all files that follow
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
                elif jobs.get(key.data) is key.fileobj:  # nobody waits for this one any more
                    selector.unregister(key.fileobj)
                    os.kill(key.data, signal.SIGKILL)


def _next_job(line: socket.socket) -> tuple[dict[str, Any], int, int, socket.socket] | None:
    """(settings, descriptor of the file, of the pipe, socket) of a job; None if there will be no more."""
    data, descriptors, _, _ = socket.recv_fds(line, JOB.size, 3)
    if len(data) < JOB.size or len(descriptors) < 3:
        return None
    (length,) = JOB.unpack(data)
    text = b""
    while len(text) < length and (part := line.recv(length - len(text))):
        text += part
    return json.loads(text), descriptors[0], descriptors[1], socket.socket(fileno=descriptors[2])


def _fork(settings: dict[str, Any], file: int, out: int, control: socket.socket) -> int:
    """Fork the process for a job; return its process id."""
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


def _decode_standard_input(settings: dict[str, Any]) -> None:
    with open(0, "rb", buffering=0, closefd=False) as file, open(1, "wb", closefd=False) as out:
        decode(file, out, settings)


def _ended() -> Iterator[tuple[int, int]]:
    """(number, exit status) of each process that has ended."""
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
    """Serve, or decode the file at standard input;

    Args:
        argument: `--serve`, or the settings.
    """
    _import_all()
    if argument == "--serve":
        serve(socket.socket(fileno=0))
    else:
        _decode_standard_input(json.loads(argument))


if __name__ == "__main__":
    run(sys.argv[1])
