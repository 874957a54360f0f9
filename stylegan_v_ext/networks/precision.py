"""Number types that blocks of a network compute in, and the layout in memory that suits them.

Blocks that may run in 16 bits do so in float16 on CUDA. On CPUs with matrix units for bfloat16 (AMX) that type takes a
fraction of the time; `execution` switches it on for a training or a sampler, as it does TF32 on GPUs. bfloat16 has the
same exponents as float32, so any network runs in it without bounds on its activations.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_bfloat16_on_cpu = False


def has_fast_bfloat16() -> bool:
    """Return whether the CPU has matrix units for bfloat16 and this PyTorch knows of them."""
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


@contextmanager
def bfloat16_on_cpu(wanted: bool) -> Iterator[None]:
    """Choose the type in which blocks on a CPU compute inside a `with` block, and restore the choice before it.

    Args:
        wanted: True for bfloat16, False for float32.
    """
    global _bfloat16_on_cpu
    before, _bfloat16_on_cpu = _bfloat16_on_cpu, wanted
    try:
        yield
    finally:
        _bfloat16_on_cpu = before


def working_dtype(device: torch.device, use_fp16: bool, force_fp32: bool = False) -> torch.dtype:
    """Return the type that a block computes in.

    Args:
        device: Device of the block.
        use_fp16: Whether the block computes in float16 on CUDA.
        force_fp32: Whether the caller asks for float32 on any device.
    """
    if force_fp32:
        return torch.float32
    if device.type == "cpu":
        return torch.bfloat16 if _bfloat16_on_cpu else torch.float32
    return torch.float16 if use_fp16 and device.type == "cuda" else torch.float32


def memory_format_for(x: torch.Tensor) -> torch.memory_format:
    """Return the layout in which convolutions of this tensor run fastest: channels last on CPUs and in 16 bits."""
    channels_last = x.device.type == "cpu" or x.dtype in (torch.float16, torch.bfloat16)
    return torch.channels_last if channels_last else torch.contiguous_format
