"""Running a part in a process of its own, with a time limit that holds whatever the part does."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu import findings, processes
from benchmarks.gpu.plan import ROOT, Part, Settings

LOG = "log.txt"
_NOTE = "NOTE "  # `benchmarks.checkouts.NOTE`, which is not imported: that takes PyTorch


@dataclass
class Outcome:
    """How a part ended.

    Args:
        verdict: "ok", "failed" (the part says so itself), "timed out", "crashed", "interrupted" or "not run".
        reason: What is wrong, in a line; empty for "ok".
        found: Content of its findings at its end, also if the end came early.
        folder: Where its log and pictures lie; None if it did not begin.
    """

    verdict: str
    reason: str = ""
    seconds: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None


class Supervisor:
    """Starts and ends the processes of the parts, and those that compile the reference checkouts meanwhile."""

    def __init__(self, shared: Path, rehearse: bool):
        """shared: folder of all parts, for data sets and what is compiled."""
        processes.adopt_orphans()
        self.environment = os.environ | {
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "DNNLIB_CACHE_DIR": str(shared / "cache"),
            "TORCHINDUCTOR_CACHE_DIR": str(shared / "inductor"),
            "TORCH_EXTENSIONS_DIR": str(shared / "extensions"),
            **({"OMP_NUM_THREADS": "1"} if rehearse else {}),
        }
        self._beside: list[subprocess.Popen] = []

    def compile_references(self, folders: list[Path], log: Path) -> None:
        """Begin to compile the kernels of checkouts, which takes a minute; whoever needs them waits for the rest."""
        if folders:
            command = ["benchmarks.checkouts", "--kernels=bias_act,upfirdn2d", *map(str, folders)]
            self._beside.append(self._start(command, log))

    def run_part(self, part: Part, settings: Settings, fault: str | None = None) -> Outcome:
        """Run a part until its own end or `settings.ends`, and return what it has found.

        Args:
            fault: "hang" or "crash": what the part does in place of its work, to try this file.
        """
        settings.folder.mkdir(parents=True)
        started = time.monotonic()
        command = ["benchmarks.gpu.work", part.name, settings.to_json(), *([fault] if fault else [])]
        process = self._start(command, settings.folder / LOG)
        try:
            code = process.wait(settings.seconds_left())
        except subprocess.TimeoutExpired:
            code = None
        finally:
            processes.end_tree(process)
            if not settings.rehearse:  # in which no other part runs at the same time
                processes.end_all(but=self._beside)
        seconds = time.monotonic() - started
        found = findings.read(settings.folder) or {"notes": []}
        found["notes"] += _notes(settings.folder / LOG)
        verdict, reason = _verdict(code, found, settings.folder, seconds)
        return Outcome(verdict, reason, seconds, found, settings.folder)

    def close(self) -> None:
        """End what still runs."""
        processes.end_all()

    def _start(self, command: list[str], log: Path) -> subprocess.Popen:
        with open(log, "wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, stdout=file,
                stderr=file, start_new_session=True,
            )  # fmt: skip


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


def _notes(log: Path) -> list[str]:
    """What `benchmarks.checkouts` tells of the fast paths of other people's code, once each."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return list(dict.fromkeys(line.removeprefix(_NOTE) for line in lines if line.startswith(_NOTE)))


def _last_line(log: Path) -> str:
    """The last line of a log, or the last that names an error if there is one."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"Fatal Python error|[\w.]+(Error|Exception|Ended): ", line)]
    return (errors or lines or ["it printed nothing"])[-1][:300]
