"""The device tests of the suite: `pytest -m device` on a GPU, their quick twins without one."""

import importlib.util
import re
import subprocess
import sys

from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import ROOT, Settings

_WORKERS = 8  # processes that share the GPU
_ABOUT_DEVICES = re.compile(r"\bmark\.device\b|[(, ]device[,)]")  # in a test file, of which others may not import here
_VERDICTS = ("PASSED", "FAILED", "ERROR", "SKIPPED")
_ANY = "|".join(_VERDICTS)
_RESULT = re.compile(rf"^(?P<test>\S+::.+?) (?P<verdict>{_ANY})\b")
_RESULT_OF_WORKER = re.compile(rf"^\[gw\d+\].*? (?P<verdict>{_ANY}) (?P<test>\S+::.+)$")  # pytest-xdist


def run(settings: Settings, found: Findings) -> None:
    chosen = ["-m", "device and quick"] if settings.rehearse else ["-m", "device", "-k", "cuda"]
    files = [str(path) for path in sorted(ROOT.glob("tests/**/test_*.py")) if _ABOUT_DEVICES.search(path.read_text())]
    command = [sys.executable, "-m", "pytest", "-vv", *chosen, "-p", "no:cacheprovider", "--tb=short",
               "--continue-on-collection-errors", *files]  # fmt: skip
    if not settings.rehearse and importlib.util.find_spec("xdist"):
        command += ["-n", str(_WORKERS)]
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
    if process.returncode not in (0, 1):
        found.problem(f"pytest ended with exit code {process.returncode}")
    if not any(verdict == "PASSED" for verdict in results.values()):
        found.problem("no test has passed")


def result_of(line: str) -> tuple[str, str] | None:
    """(test, verdict) of a line of `pytest -v`, with or without pytest-xdist; None for other lines."""
    match = _RESULT.match(line.strip()) or _RESULT_OF_WORKER.match(line.strip())
    return (match["test"], match["verdict"]) if match else None


def _tell(found: Findings, results: dict[str, str], test: str) -> None:
    counts = {verdict: sum(v == verdict for v in results.values()) for verdict in _VERDICTS}
    for verdict, count in counts.items():
        found.content["figures"][verdict.lower()] = count
    if results[test] in ("FAILED", "ERROR"):
        found.problem(f"{results[test].lower()}: {test}")
    words = ", ".join(f"{count} {verdict.lower()}" for verdict, count in counts.items() if count)
    found.summary(words)
