"""The variant of the bias_act kernel that serves a call, and its launch."""

import ctypes

import torch

from torch_utils import custom_ops
from torch_utils.custom_ops import Variant
from torch_utils.divisor import Divisor, divisor

THREADS = 256
ACTS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")  # values of ACT, from 1
_POINTERS = ("x", "dy", "second", "bias", "scale", "after", "noise", "y", "sums")
_BESIDE = {"bias": "HAS_BIAS", "scale": "HAS_SCALE", "noise": "HAS_NOISE", "after": "HAS_AFTER"}
_LOAD_NBYTES = 16
_STRETCHES = (1024, 512, 256, 128)  # pixels of an image that a block sums
_BLOCKS = 1024  # number of blocks that fills a large GPU


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
    """Return the type that the kernel reads biases, scales and noise in."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def is_channels_last(x: torch.Tensor) -> bool:
    """Return whether the channels of a dense `[N, C, H, W]` are innermost in memory."""
    return x.shape[2] * x.shape[3] == 1 or (
        x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    )


def dense(x: torch.Tensor) -> torch.Tensor:
    """Return x itself if it lies in memory without gaps, in one of the two layouts; else a copy."""
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def _aligned(x: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    x = x.contiguous(memory_format=layout)
    return x.clone() if x.data_ptr() % _LOAD_NBYTES else x


def _stretch(x: torch.Tensor) -> int:
    """Choose how many pixels of an image a block sums: many give few sums, but there must be blocks for a whole GPU."""
    n, _, height, width = x.shape
    return next((pixels for pixels in _STRETCHES if n * -(-height * width // pixels) >= _BLOCKS), _STRETCHES[-1])


def _pack(inner: int, itemsize: int) -> int:
    """Return the number of elements of one load."""
    return next(w for w in (8, 4, 2, 1) if w * itemsize <= _LOAD_NBYTES and inner % w == 0)


def plan(
    x: torch.Tensor,
    order: int,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    *,
    from_output: bool = False,
    sums: bool = False,
    **beside: torch.Tensor,
) -> tuple[Variant, Params]:
    """Choose the variant for a call and fill in the parameters, except for the pointers.

    Args:
        x: Dense images `[N, C, H, W]`. They and all other tensors are aligned to 16 bytes.
        order: 0 for the op, 1 for its gradient, 2 for the second derivative.
        act: A key of `activation_funcs`.
        alpha: Slope of `lrelu`.
        gain: Factor after the activation.
        clamp: Largest absolute value; None is no bound.
        from_output: Whether `x` is the output of the op.
        sums: Whether the kernel also sums the gradient over pixels.
        beside: Those of `bias`, `scale`, `noise` and `after` that the call has, as for `run`.

    Returns:
        The variant and its parameters.

    Raises:
        KernelUnavailable: If the tensor is too large for one launch.
    """
    n, channels, height, width = x.shape
    channels_last = is_channels_last(x)
    inner, outer = (channels, height * width) if channels_last else (height * width, channels)
    pack = _pack(inner, x.element_size())
    if x.numel() // pack >= 2**31:
        raise custom_ops.KernelUnavailable(f"a tensor of {list(x.shape)} is too large for one launch")
    variant = Variant.of(
        "bias_act",
        SCALAR=custom_ops.SCALARS[x.dtype],
        WIDTH=pack,
        CHANNELS_LAST=int(channels_last),
        ORDER=order,
        ACT=ACTS.index(act) + 1,
        **{macro: int(name in beside) for name, macro in _BESIDE.items()},
        CLAMPED=int(clamp is not None),
        FROM_OUTPUT=int(from_output),
        SUMS=int(sums),
        CHANNELS=channels if sums else 0,
        THREADS=THREADS,
    )
    stretch = _stretch(x)
    frames = max(n // max(_num_clips(n, beside), 1), 1)
    counts = inner // pack, outer, frames, -(-height * width // stretch)
    noise_rows = len(beside["noise"]) if "noise" in beside else 1
    pointers = [None] * len(_POINTERS)
    scalars = alpha, gain, clamp or 0, x.numel() // pack
    params = Params(*pointers, *scalars, *map(divisor, counts), channels, height * width, noise_rows, stretch)
    return variant, params


def _num_clips(n: int, beside: dict[str, torch.Tensor]) -> int:
    """Return how many clips the n images belong to, by the rows of scale, `after` or noise."""
    for name in ("scale", "after"):
        if name in beside:
            return len(beside[name])
    return len(beside["noise"]) if len(beside.get("noise", ())) > 1 else n


def can_sum(x: torch.Tensor) -> bool:
    """Return whether the gradient's kernel can also sum over pixels: the channels are innermost, and not too many."""
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
    *,
    dy: torch.Tensor | None = None,
    second: torch.Tensor | None = None,
    from_output: bool = False,
    sums: torch.Tensor | None = None,
    **beside: torch.Tensor | None,
) -> torch.Tensor:
    """Launch the kernel.

    Args:
        order: 0 for the op, 1 for its gradient, 2 for the second derivative.
        x: Images `[N, C, H, W]`.
        act: A key of `activation_funcs`.
        alpha: Slope of `lrelu`.
        gain: Factor after the activation.
        clamp: Largest absolute value; None is no bound.
        dy: Gradient of the output, in the shape of x, for orders 1 and 2.
        second: Gradient of the gradient, in the shape of x, for order 2.
        from_output: Whether `x` is the output of the op.
        sums: Tensor for the sums, from `empty_sums`; None computes no sums.
        beside: Tensors of the type `accumulation_dtype(x)`, each of them may be None: `bias` `[C]`, `scale` and `after`
            `[clips, C]`, `noise` `[1 or clips, H, W]`.

    Returns:
        The result, in the shape of x.

    Raises:
        KernelUnavailable: If the kernel cannot be compiled, loaded or launched.
    """
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    x = _aligned(x, layout)
    dy = None if dy is None else _aligned(dy, layout)
    second = None if second is None else _aligned(second, layout)
    y = torch.empty_like(x, memory_format=layout)
    if x.numel() == 0:
        return y
    small = {name: _aligned(rows, torch.contiguous_format) for name, rows in beside.items() if rows is not None}
    variant, params = plan(x, order, act, alpha, gain, clamp, from_output=from_output, sums=sums is not None, **small)
    kernel = custom_ops.kernel(variant, x.device.index)
    params.x, params.y = x.data_ptr(), y.data_ptr()
    for name, tensor in (("dy", dy), ("second", second), ("sums", sums), *small.items()):
        setattr(params, name, None if tensor is None else tensor.data_ptr())
    blocks = -(-params.packs // THREADS) if sums is None else x.shape[0] * params.by_stretches.d
    kernel(params, blocks, THREADS, x.device.index)
    return y


def empty_sums(x: torch.Tensor) -> torch.Tensor:
    """Return a tensor for the sums of a launch, `[N, stretches, 3, C]`."""
    n, channels, height, width = x.shape
    return x.new_empty([n, -(-height * width // _stretch(x)), 3, channels], dtype=accumulation_dtype(x))
