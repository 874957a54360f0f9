"""Checkpoints by construction: no file takes long or much memory, runs anything, or ends in a traceback."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.pickle_worker import SECONDS

_ROOT = Path(__file__).resolve().parents[2]
_MEGABYTES = 500


def _open(first: int, count: int) -> list[dict]:
    """What each of these files cost, in two processes of their own."""
    half = (count + 1) // 2
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.pickle_worker", str(start), str(size)], cwd=_ROOT, text=True,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"},
        )
        for start, size in ((first, half), (first + half, count - half))
    ]  # fmt: skip
    reports = [worker.communicate()[0] for worker in workers]
    for worker, report in zip(workers, reports, strict=True):
        assert worker.returncode == 0, f"the process ended with {worker.returncode} after {report[-200:]}"
    return [json.loads(line) for report in reports for line in report.splitlines()]


def _check(cases: list[dict], count: int) -> None:
    assert len(cases) == count
    outcomes = Counter(case["outcome"] for case in cases)
    assert set(outcomes) <= {"opened", "refused", "empty"}, outcomes
    assert outcomes["opened"] > count / 20 and outcomes["refused"] > count / 5, outcomes
    slowest, largest = max(cases, key=lambda case: case["seconds"]), max(cases, key=lambda case: case["megabytes"])
    assert slowest["seconds"] < SECONDS and largest["megabytes"] < _MEGABYTES, (slowest, largest)
    print(f"{outcomes}; at most {slowest['seconds']:.2f} s ({slowest}), {largest['megabytes']:.0f} MB ({largest})")


def test_hostile_checkpoints_cost_little_and_run_nothing():
    _check(_open(0, 60), 60)


@pytest.mark.nightly
def test_ten_thousand_hostile_checkpoints_cost_little_and_run_nothing():
    _check(_open(60, 9_940), 9_940)
