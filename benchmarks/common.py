"""Timing and tables."""

import platform
import statistics
import time
from contextlib import ExitStack

import torch

CLIPS, FRAMES = 4, 3
PROCESS = ExitStack()
"""Settings that last as long as the process, which times one side alone."""
CHANNELS = dict(channel_base=4096, channel_max=128)


def precision(fp32=False):
    """Arguments of networks, as train.py would give them here. fp32: leave out mixed precision."""
    mixed = torch.cuda.is_available() and not fp32
    return dict(num_fp16_res=4, conv_clamp=256) if mixed else dict(num_fp16_res=0, conv_clamp=None)


def use_training_settings():
    """Set PyTorch as the training loops of all these codebases, and ours, set it by default."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def median_ms(functions, repeats=7):
    """Median milliseconds of each function, taken in turn so that drifts of the machine hit all alike."""
    for function in functions:
        function()
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, row in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            row.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(row) for row in times]


def print_table(header, rows):
    print(f"\n{machine()}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


def machine():
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device}, {capability}, Python {platform.python_version()}, PyTorch {torch.__version__}"
