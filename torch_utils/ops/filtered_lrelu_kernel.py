"""The variant of the filtered_lrelu kernel that serves a call, and its launch."""

import ctypes
from collections.abc import Sequence

import torch

from torch_utils import custom_ops
from torch_utils.custom_ops import Variant
from torch_utils.ops.bias_act_kernel import accumulation_dtype

THREADS = 256
NO_SIGNS, WRITE_SIGNS, READ_SIGNS = range(3)  # values of the macro SIGNS
_FACTORS = (1, 2, 4)
_MAX_TAPS = 32
_SHARED_NBYTES = 72 * 1024  # shared memory of a block, so that several blocks fit on a multiprocessor
_TILES = ((64, 32), (32, 32), (32, 16), (16, 16), (8, 8), (4, 4))  # largest outputs (width, height) of a block
_RUN = 4  # RUN_D of the kernel


class Params(ctypes.Structure):
    """`FilteredLreluParams` of filtered_lrelu.cu."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("x", "fu", "fd", "bias", "signs", "y")),
        *((f"x_{axis}", ctypes.c_int64) for axis in "nchw"),
        *(
            (name, ctypes.c_int32)
            for name in (
                "channels",
                "in_h",
                "in_w",
                "out_h",
                "out_w",
                "pad_x",
                "pad_y",
                "flip_u",
                "flip_d",
                "sign_h",
                "sign_w",
                "sign_bytes",
                "sign_x",
                "sign_y",
                "tiles_x",
                "tiles_y",
            )
        ),
        *((name, ctypes.c_double) for name in ("up_gain", "gain", "slope", "clamp")),
    ]


def supports(x: torch.Tensor, fu: torch.Tensor, fd: torch.Tensor, up: int, down: int) -> bool:
    """Return whether the kernel can serve a call: separable filters of moderate size, factors 1, 2 or 4."""
    return (
        fu.ndim == fd.ndim == 1
        and up in _FACTORS
        and down in _FACTORS
        and max(len(fu), len(fd)) <= _MAX_TAPS
        and x.numel() > 0
    )


def output_size(size: int, up: int, down: int, taps_u: int, taps_d: int, pad: Sequence[int]) -> int:
    """Return the number of pixels along an axis after upsampling, padding and both filters."""
    return (size * up + pad[0] + pad[1] - taps_u - taps_d + 1) // down + 1


def sign_shape(y_shape: Sequence[int], down: int, taps_d: int) -> list[int]:
    """Return the shape `[N, C, H, bytes]` of the uint8 tensor with two bits for each pixel of the large image."""
    return [*y_shape[:2], (y_shape[2] - 1) * down + taps_d, ((y_shape[3] - 1) * down + taps_d + 3) // 4]


def shared_nbytes(variant: Variant) -> int:
    """Compute `sizeof(Tile)` of filtered_lrelu.cu."""
    up, down, taps_u, taps_d = (variant[key] for key in ("UP", "DOWN", "TAPS_U", "TAPS_D"))
    run = 4 * up
    big_w, big_h = (-(-(variant[key] * down - down + taps_d) // run) * run for key in ("OUT_W", "OUT_H"))
    in_w, in_h = (
        (big - run) // up + (variant[phase] + run + taps_u - 2) // up + 1
        for big, phase in ((big_w, "PHASE_X"), (big_h, "PHASE_Y"))
    )
    read_h = variant["OUT_H"] * down - down + taps_d
    first = max(in_h * (in_w | 1), big_h * (big_w | 1))
    second = max(in_h * (big_w | 1), read_h * (variant["OUT_W"] | 1))
    itemsize = 8 if variant["SCALAR"] == 3 else 4
    flags = big_h * (big_w | 1) if variant["SIGNS"] == WRITE_SIGNS else 0
    return -(-((first + second) * itemsize + flags) // itemsize) * itemsize


def plan(
    x: torch.Tensor,
    out_shape: tuple[int, int],
    fu: torch.Tensor,
    fd: torch.Tensor,
    up: int,
    down: int,
    pad_x: int,
    pad_y: int,
    up_gain: float,
    gain: float,
    slope: float,
    clamp: float | None,
    flip: bool,
    has_bias: bool,
    signs: int,
    sign_size: tuple[int, int, int] = (0, 0, 0),
    sign_at: Sequence[int] = (0, 0),
) -> tuple[Variant, Params]:
    """Choose the variant for a call and fill in the parameters, except for the pointers.

    The arguments are those of `run`, and these: `out_shape` is the (height, width) of the output, `pad_x` and `pad_y`
    are the padding before each axis, `signs` is NO_SIGNS, WRITE_SIGNS or READ_SIGNS, and `sign_size` is the height of
    the signs, their width in pixels and the bytes of a row.
    """
    macros = dict(
        SCALAR=custom_ops.SCALARS[x.dtype],
        UP=up,
        DOWN=down,
        TAPS_U=len(fu),
        TAPS_D=len(fd),
        PHASE_X=-pad_x % up,
        PHASE_Y=-pad_y % up,
        SIGNS=signs,
        CLAMPED=int(clamp is not None),
        HAS_BIAS=int(has_bias),
        THREADS=THREADS,
    )
    variant, tile = _largest_that_fits(macros, out_shape)
    tiles = -(-out_shape[1] // tile[0]), -(-out_shape[0] // tile[1])
    pointers = [None] * 6
    sizes = (*x.stride(), x.shape[1], *x.shape[2:], *out_shape, pad_x, pad_y)
    flips = int(flip), int(flip)
    params = Params(*pointers, *sizes, *flips, *sign_size, *sign_at, *tiles, up_gain, gain, slope, clamp or 0)
    return variant, params


def _largest_that_fits(macros: dict[str, int], out_shape: tuple[int, int]) -> tuple[Variant, tuple[int, int]]:
    """Return the variant with the largest tile that fits into shared memory, and the tile (width, height).

    If no tile fits, take the smallest tile.
    """
    step = max(_RUN, macros["UP"])  # a multiple of both, because both are powers of two
    for out_w, out_h in _TILES:
        width, height = (
            min(max(most, step), -(-size // step) * step)
            for most, size in zip((out_w, out_h), (out_shape[1], out_shape[0]), strict=True)
        )
        variant = Variant.of("filtered_lrelu", OUT_W=width, OUT_H=height, **macros)
        if shared_nbytes(variant) <= _SHARED_NBYTES:
            break
    return variant, (width, height)


def run(
    x: torch.Tensor,
    y: torch.Tensor,
    fu: torch.Tensor,
    fd: torch.Tensor,
    bias: torch.Tensor | None,
    signs: torch.Tensor,
    up: int,
    down: int,
    padding: Sequence[int],
    up_gain: float,
    gain: float,
    slope: float,
    clamp: float | None,
    flip: bool,
    mode: int,
    sign_at: Sequence[int],
    sign_width: int,
) -> None:
    """Launch the kernel, which fills y and, if the mode is WRITE_SIGNS, the signs.

    Args:
        x: Images `[N, C, H, W]`.
        y: Tensor for the result `[N, C, H', W']`.
        fu: Filter of the upsampling `[taps]`, float32.
        fd: Filter of the downsampling `[taps]`, float32.
        bias: `[C]`; None is no bias.
        signs: Two bits for each pixel of the large image, in the shape `sign_shape`.
        up: Upsampling factor.
        down: Downsampling factor.
        padding: Upsampled pixels (x before, x after, y before, y after).
        up_gain: Gain of the upsampling filter.
        gain: Factor after the leaky ReLU.
        slope: Slope of the negative half.
        clamp: Largest absolute value; None is no bound.
        flip: False computes convolutions, True correlations.
        mode: WRITE_SIGNS, or READ_SIGNS to take the activation's derivative from `signs`.
        sign_at: Position (x, y) of the large image's first pixel in `signs`.
        sign_width: Width of the signs in pixels.

    Raises:
        KernelUnavailable: If the kernel cannot be compiled, loaded or launched.
    """
    shape, pads = (y.shape[2], y.shape[3]), (padding[0], padding[2])
    gains = up_gain, gain, slope
    sign_size = signs.shape[2], sign_width, signs.shape[3]
    variant, params = plan(
        x, shape, fu, fd, up, down, *pads, *gains, clamp, flip, bias is not None, mode, sign_size, sign_at
    )
    blocks = params.tiles_x * params.tiles_y * x.shape[0] * x.shape[1]
    shared = shared_nbytes(variant)
    if blocks >= 2**31:
        raise custom_ops.KernelUnavailable(f"images of {list(x.shape)} are too many for one launch")
    kernel = custom_ops.kernel(variant, x.device.index, shared)
    bias = None if bias is None else bias.to(accumulation_dtype(x)).contiguous()
    for name, tensor in (("x", x), ("fu", fu), ("fd", fd), ("bias", bias), ("signs", signs), ("y", y)):
        setattr(params, name, None if tensor is None else tensor.data_ptr())
    kernel(params, blocks, THREADS, x.device.index, shared)
