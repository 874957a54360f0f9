"""Opens hostile checkpoints one after another and prints what each cost.

`python -m tests.faults.pickle_worker FIRST COUNT`

A line of JSON for each file: number, outcome, seconds of CPU time, megabytes beyond those from before.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import CheckpointError, load
from stylegan_v_ext.cli.main import main as command_line
from tests.checkpoints.hostile import hostile_file

SECONDS = 2.0
_FORBIDDEN = ("import", "exec", "compile", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.remove",
              "os.rename", "os.mkdir", "os.chmod", "os.symlink", "subprocess.", "socket.", "ctypes.", "shutil.",
              "webbrowser.")  # fmt: skip
_events: list[str] = []
_watching = False


class TooLong(BaseException):
    """The time of a file is over; not an `Exception`, which readers may catch."""


def _audit(event: str, arguments: tuple) -> None:
    if not _watching:
        return
    written = (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    )
    if written or event.startswith(_FORBIDDEN):
        _events.append(f"{event} {str(arguments[:2])[:200]}")


def _stop(*_: object) -> None:
    raise TooLong


def _peak() -> float:
    """Most memory of this process since `_reset_peak`, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def open_all(path: Path) -> str:
    """All that a stranger's file reaches: reading, networks, report. Returns opened or refused, or what is wrong."""
    outcome = "refused"
    try:
        checkpoint = load(path)
        outcome = "empty"
        for key in checkpoint.readers:
            try:
                checkpoint.build(key)
                outcome = "opened"
            except CheckpointError as error:
                wrong = _check_line(str(error))
                if wrong:
                    return wrong
    except CheckpointError as error:
        wrong = _check_line(str(error))
        if wrong:
            return wrong
    result = CliRunner().invoke(command_line, ["checkpoint", "inspect", str(path)])
    if isinstance(result.exception, TooLong):
        raise result.exception
    if result.exit_code not in (0, 2) or not isinstance(result.exception, (SystemExit, type(None))):
        return f"traceback: {result.exception!r}"
    return next(filter(None, map(_check_line, result.output.split("\n"))), outcome)


def _check_line(line: str) -> str:
    if len(line) > 5000:
        return f"a line of {len(line)} characters"
    return "" if line.isprintable() else f"unprintable: {line[:200]!r}"


def run(number: int, path: Path) -> dict[str, object]:
    global _watching
    path.write_bytes(hostile_file(number))
    _events.clear()
    _reset_peak()
    before, start = _peak(), time.process_time()
    _watching = True
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        outcome = open_all(path)
    except TooLong:
        outcome = "too long"
    except BaseException as error:
        outcome = f"traceback: {error!r}"[:500]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _watching = False
    seconds = time.process_time() - start
    if _events:
        outcome = f"executed: {_events[0]}"
    return {"number": number, "outcome": outcome, "seconds": seconds, "megabytes": _peak() - before,
            "size": path.stat().st_size}  # fmt: skip


def main(first: int, count: int) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))  # spares the machine, far above what is allowed
    signal.signal(signal.SIGPROF, _stop)
    sys.addaudithook(_audit)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.pkl"
        for number in range(-60, 0):  # what is imported at first use
            path.write_bytes(hostile_file(number))
            with contextlib.suppress(Exception):
                open_all(path)
        for number in range(first, first + count):
            print(json.dumps(run(number, path)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
