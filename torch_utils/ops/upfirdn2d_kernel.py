"""The variant of the upfirdn2d kernel that serves a call, and its launch."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from torch_utils import custom_ops
from torch_utils.custom_ops import Variant
from torch_utils.divisor import Divisor, divisor

THREADS = 256
_UNROLLED_TAPS = 64  # the kernel keeps a filter of up to this many taps in registers


class Params(ctypes.Structure):
    """`UpfirdnParams` of upfirdn2d.cu."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("x", "f", "y")),
        *((f"{tensor}_{axis}", ctypes.c_int64) for tensor in "xy" for axis in "nchw"),
        *((name, ctypes.c_int32) for name in ("in_h", "in_w", "out_h", "out_w", "pad_x", "pad_y", "flip")),
        ("gain", ctypes.c_double),
        ("total", ctypes.c_uint32),
        *((name, Divisor) for name in ("by_channels", "by_columns", "by_rows")),
    ]


@dataclass
class Plan:
    """A variant and its parameters, without the pointers.

    Attributes:
        variant: The kernel.
        params: The parameters of the launch.
    """

    variant: Variant
    params: Params

    @property
    def blocks(self) -> int:
        """Number of blocks of `THREADS` threads."""
        return -(-self.params.total // THREADS)


def output_size(
    x: torch.Tensor, f: torch.Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int]
) -> tuple[int, int]:
    """Return the (height, width) of the result; factors are (x, y), padding is (x0, x1, y0, y1)."""
    taps = f.shape[0], f.shape[-1]
    height, width = (
        (x.shape[2 + axis] * up[1 - axis] + sum(padding[2 - 2 * axis : 4 - 2 * axis]) - taps[axis]) // down[1 - axis]
        + 1
        for axis in range(2)
    )
    return height, width


def tile(channels_last: bool, up: int, down: int, across: bool) -> int:
    """Choose how many outputs a thread computes along an axis.

    Args:
        channels_last: Whether the channels are innermost in memory.
        up: Upsampling factor of the axis.
        down: Downsampling factor of the axis.
        across: True for the x axis, False for the y axis.

    Returns:
        The number of outputs; times `down` it is a multiple of `up`.
    """
    if across:
        return up if up > 1 or channels_last else 1
    rows = 4 if channels_last or down > 1 else 8
    return rows if rows * down % up == 0 else up


def plan(
    x: torch.Tensor,
    y: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip_filter: bool,
    gain: float,
) -> Plan:
    """Choose the variant for a call and fill in the parameters.

    Args:
        x: Images `[N, C, H, W]`.
        y: Tensor for the result, in the layout of x.
        f: Filter `[taps_y, taps_x]`.
        up: Upsampling factors (x, y).
        down: Downsampling factors (x, y).
        padding: Upsampled pixels (x before, x after, y before, y after).
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the result.

    Returns:
        The plan.

    Raises:
        KernelUnavailable: If there are too many images for one launch.
    """
    macros = _macros(x, y, f, up, down, padding)
    channel_packs = x.shape[1] // macros["WIDTH"]
    height, width = y.shape[2:]
    columns, rows = -(-width // macros["TILE_X"]), -(-height // macros["TILE_Y"])
    total = x.shape[0] * channel_packs * columns * rows
    if total >= 2**31:
        raise custom_ops.KernelUnavailable(f"images of {list(x.shape)} are too many for one launch")
    params = Params(
        None,
        None,
        None,
        *x.stride(),
        *y.stride(),
        *x.shape[2:],
        height,
        width,
        padding[0],
        padding[2],
        int(flip_filter),
        gain,
        total,
        *(divisor(count) for count in (channel_packs, columns, rows)),
    )
    return Plan(Variant.of("upfirdn2d", **macros), params)


def _macros(
    x: torch.Tensor, y: torch.Tensor, f: torch.Tensor, up: Sequence[int], down: Sequence[int], padding: Sequence[int]
) -> dict[str, int]:
    channels_last = x.shape[1] > 1 and x.stride(1) == 1 and y.stride(1) == 1
    unrolled = f.numel() <= _UNROLLED_TAPS
    width = 1
    if channels_last and unrolled:
        width = max(w for w in (1, 2, 4, 8) if w * x.element_size() <= 16 and _packs(x, w) and _packs(y, w))
    tiles = [tile(channels_last, up[i], down[i], i == 0) if unrolled else up[i] for i in range(2)]
    return dict(
        SCALAR=custom_ops.SCALARS[x.dtype],
        WIDTH=width,
        CHANNELS_LAST=int(channels_last),
        UP_X=up[0],
        UP_Y=up[1],
        DOWN_X=down[0],
        DOWN_Y=down[1],
        TAPS_X=f.shape[1],
        TAPS_Y=f.shape[0],
        PHASE_X=-padding[0] % up[0],
        PHASE_Y=-padding[2] % up[1],
        TILE_X=tiles[0],
        TILE_Y=tiles[1],
        UNROLL_TAPS=int(unrolled),
        THREADS=THREADS,
    )


def _packs(x: torch.Tensor, width: int) -> bool:
    """Return whether a thread may read `width` channels at a time."""
    strides = [x.stride(axis) for axis in (0, 2, 3) if x.shape[axis] > 1]
    aligned = x.data_ptr() % (width * x.element_size()) == 0
    return aligned and x.shape[1] % width == 0 and all(stride % width == 0 for stride in strides)


def run(
    x: torch.Tensor,
    f: torch.Tensor,
    up: Sequence[int],
    down: Sequence[int],
    padding: Sequence[int],
    flip_filter: bool,
    gain: float,
) -> torch.Tensor:
    """Launch the kernel.

    Args:
        x: Images `[N, C, H, W]`.
        f: Filter `[taps_y, taps_x]`, float32 on the device of x.
        up: Upsampling factors (x, y).
        down: Downsampling factors (x, y).
        padding: Upsampled pixels (x before, x after, y before, y after).
        flip_filter: False computes a convolution, True a correlation.
        gain: Factor of the result.

    Returns:
        Images `[N, C, H', W']`.

    Raises:
        KernelUnavailable: If the kernel cannot be compiled, loaded or launched.
    """
    y = empty_like_layout(x, output_size(x, f, up, down, padding))
    if y.numel() == 0:
        return y
    call = plan(x, y, f, up, down, padding, flip_filter, gain)
    kernel = custom_ops.kernel(call.variant, x.device.index)
    call.params.x, call.params.f, call.params.y = x.data_ptr(), f.data_ptr(), y.data_ptr()
    kernel(call.params, call.blocks, THREADS, x.device.index)
    return y


def empty_like_layout(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return an empty tensor `[N, C, *size]` whose channels are innermost in memory if those of x are."""
    channels_last = x.shape[1] > 1 and x.stride(1) == 1
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty([*x.shape[:2], *size], dtype=x.dtype, device=x.device, memory_format=layout)
