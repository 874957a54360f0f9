"""The device tests of the suite: `pytest -m device` on a GPU, their quick twins without one."""

import importlib.util
import re
import subprocess
import sys

from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import ROOT, Settings

_WORKERS = 8  # processes that share the GPU
_QUICK = re.compile(r"\bmark\.quick\b")
_ABOUT_DEVICES = re.compile(r"\bmark\.device\b|[(, ]device[,)]")  # in a test file, of which others may not import here
_VERDICTS = ("PASSED", "FAILED", "ERROR", "SKIPPED")
_ANY = "|".join(_VERDICTS)
_RESULT = re.compile(rf"^(?P<test>\S+::.+?) (?P<verdict>{_ANY})\b")
_BROKEN_FILE = re.compile(r"^(?P<verdict>ERROR) (?P<test>tests/\S+\.py)")  # it could not be imported
_RESULT_OF_WORKER = re.compile(rf"^\[gw\d+\].*? (?P<verdict>{_ANY}) (?P<test>\S+::.+)$")  # pytest-xdist


def run(settings: Settings, found: Findings) -> None:
    chosen = ["-m", "device and quick"] if settings.rehearse else ["-m", "device and not nightly", "-k", "cuda"]
    about = _QUICK if settings.rehearse else _ABOUT_DEVICES
    files = [str(path) for path in sorted(ROOT.glob("tests/**/test_*.py")) if about.search(path.read_text())]
    command = [sys.executable, "-m", "pytest", "-vv", *chosen, "-p", "no:cacheprovider", "--tb=short",
               "--continue-on-collection-errors", *files]  # fmt: skip
    if not settings.rehearse and importlib.util.find_spec("xdist"):
        command += ["-n", str(_WORKERS), "--dist", "worksteal"]
    results: dict[str, str] = {}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, errors="replace"
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            result = result_of(line)
            if result:
                test, verdict = result
                results[test] = verdict
                _tell(found, results, test)
    for problem in unsound(settings.device, process.returncode, results):
        found.problem(problem)


def unsound(device: str, code: int, results: dict[str, str]) -> list[str]:
    """Why the results say less than they seem to.

    Args:
        code: Exit code of pytest.
        results: Verdicts by test.
    """
    problems = []
    failed = any(verdict in ("FAILED", "ERROR") for verdict in results.values())
    if code not in (0, 1) or (code == 1 and not failed):
        problems.append(f"pytest ended with exit code {code}; the log tells why")
    here = {test: verdict for test, verdict in results.items() if device == "cpu" or "[cuda" in test}
    if "PASSED" not in here.values():
        problems.append(f"no test has passed on {device}")
    skipped = [test for test, verdict in here.items() if verdict == "SKIPPED"]
    if device == "cuda" and skipped:
        problems.append(f"{len(skipped)} tests were skipped on {device}, {skipped[0]} the first")
    return problems


def result_of(line: str) -> tuple[str, str] | None:
    """(test, verdict) of a line of `pytest -v`, with or without pytest-xdist; None for other lines."""
    line = line.strip()
    match = _RESULT.match(line) or _RESULT_OF_WORKER.match(line) or (None if "::" in line else _BROKEN_FILE.match(line))
    return (match["test"], match["verdict"]) if match else None


def _tell(found: Findings, results: dict[str, str], test: str) -> None:
    counts = {verdict: sum(v == verdict for v in results.values()) for verdict in _VERDICTS}
    for verdict, count in counts.items():
        found.content["figures"][verdict.lower()] = count
    if results[test] in ("FAILED", "ERROR"):
        found.problem(f"{results[test].lower()}: {test}")
    words = ", ".join(f"{count} {verdict.lower()}" for verdict, count in counts.items() if count)
    found.summary(words)
