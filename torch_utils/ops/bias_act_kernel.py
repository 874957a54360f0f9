"""Which variant of the bias_act kernel serves a call, and its launch."""

import ctypes

import torch

from torch_utils import custom_ops
from torch_utils.custom_ops import Divisor, Variant, divisor

THREADS = 256
ACTS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")  # the macro ACT, from 1
_POINTERS = ("x", "dy", "second", "bias", "scale", "after", "noise", "y", "sums")
_LOAD_NBYTES = 16
_STRETCHES = (1024, 512, 256, 128)  # pixels of an image that a block sums
_BLOCKS = 1024  # so many fill a large GPU


class Params(ctypes.Structure):
    """`BiasActParams` of bias_act.cu."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in _POINTERS),
        *((name, ctypes.c_double) for name in ("alpha", "gain", "clamp")),
        ("packs", ctypes.c_uint32),
        *((name, Divisor) for name in ("by_inner", "by_outer", "by_frames", "by_stretches")),
        *((name, ctypes.c_uint32) for name in ("channels", "pixels", "noise_rows", "stretch")),
    ]


def accumulation_dtype(x: torch.Tensor) -> torch.dtype:
    """Type of biases, scales and noise beside x."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def is_channels_last(x: torch.Tensor) -> bool:
    """Whether the channels of a dense `[N, C, H, W]` are innermost."""
    return x.shape[2] * x.shape[3] == 1 or (
        x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    )


def dense(x: torch.Tensor) -> torch.Tensor:
    """x, copied unless its elements lie in one of the two layouts without gaps."""
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def _aligned(x: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    x = x.contiguous(memory_format=layout)
    return x.clone() if x.data_ptr() % _LOAD_NBYTES else x


def _stretch(x: torch.Tensor) -> int:
    """Pixels of an image that a block sums: many, so that sums are few, unless that leaves a GPU half empty."""
    n, _, height, width = x.shape
    return next((pixels for pixels in _STRETCHES if n * -(-height * width // pixels) >= _BLOCKS), _STRETCHES[-1])


def _pack(inner: int, itemsize: int) -> int:
    """Elements of one load."""
    return next(w for w in (8, 4, 2, 1) if w * itemsize <= _LOAD_NBYTES and inner % w == 0)


def plan(
    x: torch.Tensor,
    order: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    bias: torch.Tensor | None = None,
    scale: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
    after: torch.Tensor | None = None,
    from_output: bool = False,
    sums: bool = False,
) -> tuple[Variant, Params]:
    """Variant and parameters, with the pointers of `x` and its small companions left out.

    Args:
        x: Dense `[N, C, H, W]`, aligned to 16 bytes, as is all that goes with it.
    """
    n, channels, height, width = x.shape
    channels_last = is_channels_last(x)
    inner = channels if channels_last else height * width
    pack = _pack(inner, x.element_size())
    if x.numel() // pack >= 2**31:
        raise custom_ops.KernelUnavailable(f"a tensor of {list(x.shape)} is too large for one launch")
    rows = next((len(rows) for rows in (scale, after) if rows is not None), None)
    if rows is None:
        rows = len(noise) if noise is not None and len(noise) > 1 else n
    variant = Variant.of(
        "bias_act",
        SCALAR=custom_ops.SCALARS[x.dtype],
        WIDTH=pack,
        CHANNELS_LAST=int(channels_last),
        ORDER=order,
        ACT=ACTS.index(act) + 1,
        HAS_BIAS=int(bias is not None),
        HAS_SCALE=int(scale is not None),
        HAS_NOISE=int(noise is not None),
        HAS_AFTER=int(after is not None),
        CLAMPED=int(clamp is not None),
        FROM_OUTPUT=int(from_output),
        SUMS=int(sums),
        CHANNELS=channels if sums else 0,
        THREADS=THREADS,
    )
    outer = height * width if channels_last else channels
    stretch = _stretch(x)
    params = Params(
        *[None] * len(_POINTERS),
        alpha,
        gain,
        clamp or 0,
        x.numel() // pack,
        divisor(inner // pack),
        divisor(outer),
        divisor(max(n // max(rows, 1), 1)),
        divisor(-(-height * width // stretch)),
        channels,
        height * width,
        1 if noise is None else len(noise),
        stretch,
    )
    return variant, params


def can_sum(x: torch.Tensor) -> bool:
    """Whether the gradient's kernel sums over pixels as well: channels innermost, and not too many."""
    channels, pixels = x.shape[1], x.shape[2] * x.shape[3]
    few = channels // _pack(channels, x.element_size()) <= THREADS
    return pixels > 1 and is_channels_last(x) and few and x.numel() > 0


def run(
    order: int,
    x: torch.Tensor,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    dy: torch.Tensor | None = None,
    second: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    scale: torch.Tensor | None = None,
    noise: torch.Tensor | None = None,
    after: torch.Tensor | None = None,
    from_output: bool = False,
    sums: torch.Tensor | None = None,
) -> torch.Tensor:
    """Launch.

    Args:
        x: `[N, C, H, W]`; dy and second like it.
        sums: As `empty_sums`.

    Raises:
        KernelUnavailable: . bias `[C]`; scale and after `[clips, C]`; noise `[1 or clips, H, W]`: in
            `accumulation_dtype(x)`.
    """
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    x = _aligned(x, layout)
    dy = None if dy is None else _aligned(dy, layout)
    second = None if second is None else _aligned(second, layout)
    y = torch.empty_like(x, memory_format=layout)
    if x.numel() == 0:
        return y
    small = {
        name: _aligned(rows, torch.contiguous_format)
        for name, rows in (("bias", bias), ("scale", scale), ("noise", noise), ("after", after))
        if rows is not None
    }
    variant, params = plan(x, order, act, alpha, gain, clamp, from_output=from_output, sums=sums is not None, **small)
    kernel = custom_ops.kernel(variant, x.device.index)
    params.x, params.y = x.data_ptr(), y.data_ptr()
    for name, tensor in (("dy", dy), ("second", second), ("sums", sums), *small.items()):
        setattr(params, name, None if tensor is None else tensor.data_ptr())
    blocks = -(-params.packs // THREADS) if sums is None else x.shape[0] * params.by_stretches.d
    kernel(params, blocks, THREADS, x.device.index)
    return y


def empty_sums(x: torch.Tensor) -> torch.Tensor:
    """Where a launch writes its sums: `[N, stretches, 3, C]`."""
    n, channels, height, width = x.shape
    return x.new_empty([n, -(-height * width // _stretch(x)), 3, channels], dtype=accumulation_dtype(x))
