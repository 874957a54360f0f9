"""Several processes: the flat sum of gradients by NCCL and by gloo, beside sums in float64."""

import json
import subprocess
import sys

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
            found.note("one GPU: NCCL ran with one process, which it needs a GPU of its own for; gloo with two")
    for backend, count in cases:
        with found.attempt(f"{count} processes with {backend}"):
            _compare(settings, found, backend, count)


def _compare(settings: Settings, found: Findings, backend: str, count: int) -> None:
    out = settings.folder / f"{backend}.json"
    request = {"backend": backend, "device": settings.device, "rehearse": settings.rehearse, "out": str(out)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", "-m",
               "benchmarks.gpu.agree", json.dumps(request)]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True, timeout=max(settings.seconds_left(keep=2), 1))
    seen = json.loads(out.read_text(encoding="utf-8"))
    found.row("Sums of gradients over processes", ["", "processes", "gradients", "largest error", "one sum takes"], [
        backend, count, f"{seen['numbers'] / 1e6:.1f} M", f"{seen['error']:.1e}", f"{seen['ms']:.2f} ms",
    ])  # fmt: skip
    found.figure(f"{backend}_error", seen["error"])
    if not seen["error"] < _TOLERANCE:
        found.problem(f"the sums by {backend} are off by {seen['error']:.1e}, more than {_TOLERANCE:g}")
    told = f"{backend}: {count} {'processes agree' if count > 1 else 'process agrees'} to {seen['error']:.0e}"
    found.summary("; ".join(filter(None, [found.content["summary"], told])))
