"""Several processes: the flat sum of gradients by NCCL and by gloo, beside sums in float64."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import ROOT, Settings

_TOLERANCE = 1e-5


def run(settings: Settings, found: Findings) -> None:
    cases = [("gloo", 2)]
    if settings.device == "cuda":
        import torch

        cards = min(torch.cuda.device_count(), 2)
        cases.insert(0, ("nccl", cards))
        if cards == 1:
            found.note("NCCL needs one GPU for each process, so it ran with one process: it starts and runs")
    started = [(backend, count, _start(settings, backend, count)) for backend, count in cases]
    for backend, count, process in started:
        with found.attempt(f"{count} processes with {backend}"):
            code = process.wait(max(settings.seconds_left(keep=2), 1))
            if code:
                raise RuntimeError(f"exit code {code}; the log tells why")
            _tell(settings, found, backend, count)


def _answer(settings: Settings, backend: str) -> Path:
    return settings.folder / f"{backend}.json"


def _start(settings: Settings, backend: str, count: int) -> subprocess.Popen:
    request = {"backend": backend, "device": settings.device, "rehearse": settings.rehearse,
               "out": str(_answer(settings, backend))}  # fmt: skip
    # The address, because asking for the machine's name can take long without a network.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1",
               f"--nproc-per-node={count}", "-m", "benchmarks.gpu.agree", json.dumps(request)]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT)


def _tell(settings: Settings, found: Findings, backend: str, count: int) -> None:
    seen = json.loads(_answer(settings, backend).read_text(encoding="utf-8"))
    found.row("Sums of gradients over processes", ["", "processes", "gradients", "largest error", "one sum takes"], [
        backend, count, f"{seen['numbers'] / 1e6:.1f} M", f"{seen['error']:.1e}", f"{seen['ms']:.2f} ms",
    ])  # fmt: skip
    found.figure(f"{backend}_error", seen["error"])
    if not seen["error"] < _TOLERANCE:
        found.problem(f"the sums by {backend} are off by {seen['error']:.1e}, more than {_TOLERANCE:g}")
    told = f"{backend}: {count} processes agree to {seen['error']:.0e}" if count > 1 else f"{backend} runs"
    found.summary("; ".join(filter(None, [found.content["summary"], told])))
