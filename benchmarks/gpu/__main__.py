"""Everything about a GPU in one call.

    python -m benchmarks.gpu [--out DIR] [--minutes 8] [--only PART ...]

Runs the parts below in the order of their value, each in a process of its own with a time limit: a part that fails or
hangs does not stop the others. After every part DIR holds all that is known so far:

    gpu.md          tables, ready for the README
    gpu.json        figures, versions, the card
    gpu-files.zip   the log of every part, and pictures

Bring what a bare machine lacks with benchmarks/gpu_carry.sh. Try everything without a GPU first:

    python -m benchmarks.gpu --device cpu --rehearse
"""

import argparse
import contextlib
import dataclasses
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from benchmarks.gpu import machine
from benchmarks.gpu.plan import CARRY, LANES, NAMES, PARTS, Part, Settings, limit, rehearsal_limit
from benchmarks.gpu.report import Report
from benchmarks.gpu.supervisor import Outcome, Supervisor
from stylegan_v_ext import __version__

_RESERVE_SECONDS = 4  # of the minutes, for starting, ending and writing
_EPILOG = (
    "parts:\n"
    + "\n".join(f"  {part.name:10s}{part.what} (at most {part.seconds:.0f} s)" for part in PARTS)
    + """

exit codes:
  0  the report is written, whatever the parts found: read their verdicts
  2  an argument is wrong
  128 + signal's number: stopped; the report holds the parts before
"""
)


def main() -> int:
    options = _options()
    started = time.time()
    head = {
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), "version": __version__,
        "command": ["python", "-m", "benchmarks.gpu", *sys.argv[1:]], "device": options.device,
        "rehearsal": options.rehearse, "minutes": options.minutes,
    }  # fmt: skip
    try:
        head["machine"] = machine.look(options.device)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    try:
        report = Report(options.out, head)
    except OSError as error:
        print(f"Error: --out={options.out} cannot be written ({error.strerror}); name another folder", file=sys.stderr)
        return 2
    _say(f"Results come to {options.out}/gpu.md, gpu.json and gpu-files.zip after every part.")
    folder = Path(tempfile.mkdtemp(prefix="stylegan-v-gpu-"))
    supervisor = Supervisor(folder, options.rehearse)
    try:
        return _run_parts(options, supervisor, report, folder, started + options.minutes * 60 - _RESERVE_SECONDS)
    finally:
        supervisor.close()
        shutil.rmtree(folder, ignore_errors=True)


def _run_parts(options: argparse.Namespace, supervisor: Supervisor, report: Report, folder: Path, ends: float) -> int:
    """Run the parts: one after another, in a rehearsal two at a time, since its times mean nothing."""
    parts = [part for part in PARTS if part.name in options.only]

    def work(number: int, part: Part) -> Outcome:
        if number == 1 and options.device == "cuda":  # not beside the first part, which times our own compiler
            report.logs["references"] = folder / "references.log"
            supervisor.compile_references(options.references, report.logs["references"])
        now = time.time()
        seconds = limit(part, parts[number + 1 :], ends - now)
        if options.rehearse:
            seconds = min(rehearsal_limit(part, parts, options.minutes * 60 - _RESERVE_SECONDS), ends - now)
        if seconds < 1:
            return Outcome("not run", f"no time was left of --minutes={options.minutes:g}")
        settings = Settings(
            options.device, options.rehearse, folder / part.name, folder, options.carry, now + seconds,
            report.head["machine"],
        )  # fmt: skip
        return supervisor.run_part(part, settings, options.fault.get(part.name))

    with ThreadPoolExecutor(LANES if options.rehearse else 1) as pool:
        futures = {pool.submit(work, number, part): part.name for number, part in enumerate(parts)}
        try:
            for future in as_completed(futures):
                _tell(report, futures[future], future.result())
        except Stopped as stop:
            for future in futures:
                future.cancel()
            supervisor.close()
            for future, name in futures.items():
                if name not in report.outcomes and not future.cancelled():
                    reason = f"signal {stop.number}"
                    report.add(name, dataclasses.replace(future.result(), verdict="interrupted", reason=reason))
            _say(f"Stopped; the report in {options.out} holds what was found so far.")
            return 128 + stop.number
    return 0


def _tell(report: Report, name: str, outcome: Outcome) -> None:
    report.add(name, outcome)
    told = outcome.reason or outcome.found.get("summary", "")
    _say(f"{name:10s}{outcome.verdict:10s}{outcome.seconds:5.0f} s  {told}")


def _say(text: str) -> None:
    """Print a line. Go on if the reader of the output has gone."""
    with contextlib.suppress(BrokenPipeError):
        print(text, flush=True)


class Stopped(BaseException):
    """A signal asks to end; number: the signal's."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def _interrupt(number: int, frame: object) -> None:
    raise Stopped(number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--out", type=Path, metavar="DIR", default=Path("gpu-results"),
        help="where the results go  [default: gpu-results]")  # fmt: skip
    add(
        "--minutes",
        type=float,
        metavar="N",
        help="time for all parts together  [default: 8; with --rehearse 1, or 3 if references were carried]",
    )
    add("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="PART",
        help="these parts alone, in their usual order  [default: all]")  # fmt: skip
    add("--device", choices=("cuda", "cpu"), default="cuda", help="[default: cuda]")
    add("--rehearse", action="store_true",
        help="tiny sizes: every part runs, the figures mean nothing; --device cpu needs it")  # fmt: skip
    add("--carry", type=Path, metavar="DIR", default=CARRY,
        help="what benchmarks/gpu_carry.sh has prepared  [default: gpu-carry beside the README]")  # fmt: skip
    add("--fault", nargs="+", default=[], metavar="PART=hang|crash", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cpu" and not options.rehearse:
        parser.error("--device cpu takes hours at full size; add --rehearse")
    options.references = sorted(path for path in options.carry.glob("references/*") if path.is_dir())
    if options.minutes is None:
        options.minutes = 8.0 if not options.rehearse else 3.0 if options.references else 1.0
    if not 0.1 <= options.minutes <= 24 * 60:
        parser.error(f"--minutes {options.minutes:g} is out of bounds; use 0.1 to 1440")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out {options.out} is a file; name a folder")
    options.out, options.carry = options.out.absolute(), options.carry.absolute()
    options.fault = dict(fault.split("=") for fault in options.fault)
    return options


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        sys.exit(main())
    except Stopped as stop:  # between two parts
        sys.exit(128 + stop.number)
