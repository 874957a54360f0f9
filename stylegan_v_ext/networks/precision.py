"""Number types that blocks compute in, and the layout in memory that suits them.

Blocks that may run in 16 bits do so in float16 on CUDA. On CPUs with matrix units for bfloat16 (AMX) that type
takes a fraction of the time; a process switches it on, as it does TF32 on GPUs. Its exponents are those of
float32, so that any network runs in it without bounds on its activations.
"""

from typing import Any

import torch

_bfloat16_on_cpu = False


def has_fast_bfloat16() -> bool:
    """Whether the CPU has matrix units for bfloat16 that this PyTorch knows of."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


def use_bfloat16_on_cpu(wanted: bool) -> None:
    """Have blocks on a CPU compute in bfloat16, from now on in this process, or in float32 as at first."""
    global _bfloat16_on_cpu
    _bfloat16_on_cpu = wanted


def working_dtype(device: torch.device, use_fp16: bool, force_fp32: bool = False) -> torch.dtype:
    """Type that a block computes in.

    Args:
        use_fp16: Of the block, for CUDA.
    """
    if force_fp32:
        return torch.float32
    if device.type == "cpu":
        return torch.bfloat16 if _bfloat16_on_cpu else torch.float32
    return torch.float16 if use_fp16 and device.type == "cuda" else torch.float32


def memory_format_for(x: torch.Tensor) -> torch.memory_format:
    """Layout in which convolutions of this tensor run fastest: channels last on CPUs and in 16 bits."""
    channels_last = x.device.type == "cpu" or x.dtype in (torch.float16, torch.bfloat16)
    return torch.channels_last if channels_last else torch.contiguous_format
