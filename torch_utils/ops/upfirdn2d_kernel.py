"""Which variant of the upfirdn2d kernel serves a call, and its launch."""

import ctypes
from dataclasses import dataclass

import torch

from torch_utils import custom_ops
from torch_utils.custom_ops import Divisor, Variant, divisor

THREADS = 256
_UNROLLED_TAPS = 64  # a filter up to this size is kept in registers


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
    """A variant and its parameters, pointers left out."""

    variant: Variant
    params: Params

    @property
    def blocks(self) -> int:
        return -(-self.params.total // THREADS)


def output_size(
    x: torch.Tensor, f: torch.Tensor, up: list[int], down: list[int], padding: list[int]
) -> tuple[int, int]:
    """(height, width) of the result."""
    taps = f.shape[0], f.shape[-1]
    height, width = (
        (x.shape[2 + axis] * up[1 - axis] + sum(padding[2 - 2 * axis : 4 - 2 * axis]) - taps[axis]) // down[1 - axis]
        + 1
        for axis in range(2)
    )
    return height, width


def tile(channels_last: bool, up: int, down: int, taps: int, across: bool) -> int:
    """Outputs of a thread along an axis;

    Args:
        across: Along x.
    """
    if across:
        return up if up > 1 or channels_last else 1
    rows = 4 if channels_last or down > 1 else 8
    return rows if rows * down % up == 0 else up


def plan(
    x: torch.Tensor,
    y: torch.Tensor,
    f: torch.Tensor,
    up: list[int],
    down: list[int],
    padding: list[int],
    flip_filter: bool,
    gain: float,
) -> Plan:
    """f: `[taps_y, taps_x]`. y: where the result goes, in the layout of x."""
    channels = x.shape[1]
    channels_last = channels > 1 and x.stride(1) == 1 and y.stride(1) == 1
    unrolled = f.numel() <= _UNROLLED_TAPS
    width = 1
    if channels_last and unrolled:
        width = max(w for w in (1, 2, 4, 8) if w * x.element_size() <= 16 and _packs(x, w) and _packs(y, w))
    tiles = [tile(channels_last, up[i], down[i], f.shape[1 - i], i == 0) if unrolled else up[i] for i in range(2)]
    variant = Variant.of(
        "upfirdn2d",
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
    height, wide = y.shape[2:]
    columns, rows = -(-wide // tiles[0]), -(-height // tiles[1])
    total = x.shape[0] * (channels // width) * columns * rows
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
        wide,
        padding[0],
        padding[2],
        int(flip_filter),
        gain,
        total,
        divisor(channels // width),
        divisor(columns),
        divisor(rows),
    )
    return Plan(variant, params)


def _packs(x: torch.Tensor, width: int) -> bool:
    """Whether channels may be read `width` at a time."""
    strides = [x.stride(axis) for axis in (0, 2, 3) if x.shape[axis] > 1]
    aligned = x.data_ptr() % (width * x.element_size()) == 0
    return aligned and x.shape[1] % width == 0 and all(stride % width == 0 for stride in strides)


def run(
    x: torch.Tensor, f: torch.Tensor, up: list[int], down: list[int], padding: list[int], flip_filter: bool, gain: float
) -> torch.Tensor:
    """Launch.

    Args:
        f: Float32 on the device of x, `[taps_y, taps_x]`.

    Raises:
        KernelUnavailable: .
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
    """`[N, C, *size]`, channels innermost where they are in x."""
    channels_last = x.shape[1] > 1 and x.stride(1) == 1
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty([*x.shape[:2], *size], dtype=x.dtype, device=x.device, memory_format=layout)
