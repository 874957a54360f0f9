"""The kernels at training shapes: share of a copy's bandwidth, and time beside a stock checkout's kernels."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import ROOT, Settings
from benchmarks.ops import OPS

_STOCK = "stylegan3"
_COMPARED = ("bias_act", "upfirdn2d")  # filtered_lrelu takes minutes to compile there
_HEADER = ["", "ours", "bandwidth", "of a copy", "stock", "ours / stock"]


def run(settings: Settings, found: Findings) -> None:
    ours: dict[str, Any] = {}
    stock: dict[str, Any] = {}
    with found.attempt("measuring the ops"):
        _measure(settings, ROOT, OPS, ours, lambda: _tell(found, ours, stock))
    checkout = settings.reference(_STOCK)
    if checkout is None:
        found.note(f"no stock kernels beside ours: no checkout references/{_STOCK} in the carried folder")
        return
    with found.attempt("measuring the stock ops", needed=False):
        _measure(settings, checkout, _COMPARED, stock, lambda: _tell(found, ours, stock))


def _measure(
    settings: Settings, root: Path, ops: Sequence[str], results: dict[str, Any], tell: Callable[[], None]
) -> None:
    """Fill `results` with name -> (bytes that must move, milliseconds, whether memory bounds it), one by one."""
    size = ["--small"] if settings.rehearse else []
    command = [sys.executable, "-m", "benchmarks.ops", "--work", str(root), "--device", settings.device, *size]
    command += ["--ops", *ops]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("RESULT "):
                name, *values = json.loads(line.removeprefix("RESULT "))
                results[name] = values
                tell()
            else:
                print(line, end="", flush=True)
    if process.returncode:
        raise RuntimeError(f"the ops of {root.name} ended with exit code {process.returncode}; the log tells why")


def _tell(found: Findings, ours: dict[str, Any], stock: dict[str, Any]) -> None:
    if len(ours) < 2:
        return
    copied, copy_ms, _ = ours["copy"]
    copy = copied / copy_ms / 1e6
    rows, shares, ratios = [], {}, {}
    for name, (moved, ms, bound_by_memory) in ours.items():
        bandwidth = moved / ms / 1e6
        if bound_by_memory:
            shares[name] = bandwidth / copy
        if name in stock and name != "copy":
            ratios[name] = ms / stock[name][1]
        beside = [f"{stock[name][1]:.3f} ms", f"{ms / stock[name][1]:.2f}"] if name in stock else ["", ""]
        rows.append([name, f"{ms:.3f} ms", f"{bandwidth:.0f} GB/s", f"{bandwidth / copy:.0%}", *beside])
    found.table("Ops at training shapes", _HEADER, rows)
    found.figure("copy_gb_per_second", copy)
    found.figure("shares_of_copy", shares)
    if shares:
        found.figure("least_share_of_copy", min(shares.values()))
    if ratios:
        found.figure("over_stock", ratios)
        found.figure("most_over_stock", max(ratios.values()))
    slowest = min(shares, key=shares.__getitem__) if shares else ""
    found.summary(f"{len(ours) - 1} ops, copy {copy:.0f} GB/s"
                  + (f", slowest {slowest} at {shares[slowest]:.0%}" if shares else "")
                  + (f", at most {max(ratios.values()):.2f} of the stock kernels' time" if ratios else ""))  # fmt: skip
