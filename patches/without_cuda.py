"""Machines without an NVIDIA GPU: the stock code asks for CUDA devices, events and pinned memory."""

import torch

from patches.patch import Edit, Patch

_ANY = "*.py"

PATCH = Patch(
    name="without_cuda",
    symptom="AssertionError: Torch not compiled with CUDA enabled; RuntimeError: Found no NVIDIA driver",
    versions="machines where torch.cuda.is_available() is False",
    reason="everything runs on the CPU as well, without the timings of phases",
    needed=lambda: not torch.cuda.is_available(),
    edits=(
        Edit(_ANY, r"torch\.device\((['\"])cuda\1(?:, \w+)?\)", "torch.device('cpu')"),
        Edit(_ANY, r"torch\.cuda\.Event\(enable_timing=True\)", "None"),
        Edit(_ANY, r"torch\.cuda\.reset_peak_memory_stats\(\)", "None"),
        Edit(_ANY, r"\.pin_memory\(\)", ""),
        Edit(_ANY, r"\bpin_memory=True\b", "pin_memory=False"),
        Edit(_ANY, r"\bdevice_ids=\[device\], ", ""),
        Edit(_ANY, r"backend=(['\"])nccl\1", "backend='gloo'"),
    ),
)
