"""`stylegan-v doctor`, and how long all kernels of a training step take to compile."""

import os
import subprocess
import sys
import tempfile
import time

from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import Settings


def run(settings: Settings, found: Findings) -> None:
    with found.attempt("stylegan-v doctor"):
        seconds, checked = _doctor(found)
        found.summary(f"{checked}, {seconds:.1f} s")
    with found.attempt("compiling the kernels", needed=settings.device == "cuda"):
        kernels, seconds = _compile_all(settings)
        found.figure("kernels", kernels)
        found.figure("compile_seconds", seconds)
        found.summary(f"{found.content['summary']}; {kernels} kernels of a training step compiled in {seconds:.1f} s")


def _doctor(found: Findings) -> tuple[float, str]:
    """(seconds, what it says in short)."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "stylegan_v_ext.cli.main", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="", flush=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith("FIX")]
    for line in lines:
        found.row("stylegan-v doctor", ["", "what", "state"], [line[:3].strip(), line[4:27].strip(), line[27:].strip()])
    if done.returncode not in (0, 1):
        found.problem(f"stylegan-v doctor ended with exit code {done.returncode}")
    for line in wrong:
        found.problem(f"stylegan-v doctor: {' '.join(line.split())}")
    return time.perf_counter() - started, f"{len(lines) - len(wrong)} of {len(lines)} lines in order"


def _compile_all(settings: Settings) -> tuple[int, float]:
    """(number of kernels, seconds), with an empty cache."""
    import torch

    from benchmarks import first_use
    from torch_utils import custom_ops

    asked = first_use.variants(first_use.stylegan3_layers) if settings.rehearse else first_use.variants()
    major, minor = torch.cuda.get_device_capability() if settings.device == "cuda" else (9, 0)
    kept = os.environ["DNNLIB_CACHE_DIR"]
    with tempfile.TemporaryDirectory() as empty:
        os.environ["DNNLIB_CACHE_DIR"] = empty
        started = time.perf_counter()
        try:
            for variant in asked:
                custom_ops.compiled(variant, major * 10 + minor)
        finally:
            os.environ["DNNLIB_CACHE_DIR"] = kept
    return len(asked), time.perf_counter() - started
