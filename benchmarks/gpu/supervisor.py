"""Running a part in a process group of its own, with a time limit that holds whatever the part does."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu import findings
from benchmarks.gpu.plan import ROOT, Part, Settings

LOG = "log.txt"
_GRACE_SECONDS = 5  # to wait for a process that was killed; one that hangs in a driver may stay


@dataclass
class Outcome:
    """How a part ended.

    Args:
        verdict: "ok", "failed" (it says so itself), "timed out", "crashed" or "interrupted".
        reason: What is wrong, in a line; empty for "ok".
        found: Content of its findings; what was there at its end if that came early.
        folder: Where its log and pictures lie; None if it did not begin.
    """

    verdict: str
    reason: str = ""
    seconds: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None


def run_part(part: Part, settings: Settings, fault: str | None = None) -> Outcome:
    """Run a part until its own end or `settings.ends`, and return what it has found.

    Args:
        fault: "hang" or "crash": what the part does in place of its work, to try this file.

    Raises:
        KeyboardInterrupt: After Ctrl-C; the part is ended first.
    """
    settings.folder.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.gpu.work", part.name, settings.to_json(), *([fault] if fault else [])]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {
        "PYTHONUNBUFFERED": "1", "PYTHONPATH": path,
        "DNNLIB_CACHE_DIR": str(settings.shared / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(settings.shared / "inductor"),
        **({"OMP_NUM_THREADS": "1"} if settings.rehearse else {}),
    }  # fmt: skip
    started = time.monotonic()
    with open(settings.folder / LOG, "wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = process.wait(settings.seconds_left())
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end_group(process)
    seconds = time.monotonic() - started
    found = findings.read(settings.folder) or {}
    verdict, reason = _verdict(code, found, settings.folder, seconds)
    return Outcome(verdict, reason, seconds, found, settings.folder)


def _end_group(process: subprocess.Popen) -> None:
    """End the part and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)


def _verdict(code: int | None, found: dict[str, Any], folder: Path, seconds: float) -> tuple[str, str]:
    problems = found.get("problems", [])
    more = f"; {problems[0]}" if problems else ""
    if code is None:
        return "timed out", f"ended after {seconds:.0f} s{more}"
    if code:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return "crashed", f"{how}: {_last_line(folder / LOG)}{more}"
    if problems:
        return "failed", f"{problems[0]}" + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
    return "ok", ""


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"
