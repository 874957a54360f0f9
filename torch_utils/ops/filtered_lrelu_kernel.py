"""Which variant of the filtered_lrelu kernel serves a call, and its launch."""

import ctypes

import torch

from torch_utils import custom_ops
from torch_utils.custom_ops import Variant
from torch_utils.ops.bias_act_kernel import accumulation_dtype

THREADS = 256
NO_SIGNS, WRITE_SIGNS, READ_SIGNS = range(3)  # the macro SIGNS
_FACTORS = (1, 2, 4)
_MAX_TAPS = 32
_SHARED_NBYTES = 72 * 1024  # a block's share of a multiprocessor, so that several fit
_RUN = 4


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
    """Whether one kernel does it all: separable filters of moderate size, factors 1, 2 and 4."""
    return (
        fu.ndim == fd.ndim == 1
        and up in _FACTORS
        and down in _FACTORS
        and max(len(fu), len(fd)) <= _MAX_TAPS
        and x.numel() > 0
    )


def output_size(size: int, up: int, down: int, taps_u: int, taps_d: int, pad: tuple[int, int]) -> int:
    """Pixels along an axis after upsampling, padding and both filters."""
    return (size * up + pad[0] + pad[1] - taps_u - taps_d + 1) // down + 1


def sign_shape(y_shape: tuple[int, ...], down: int, taps_d: int) -> list[int]:
    """Of the uint8 tensor that holds two bits for each pixel of the large image: `[N, C, H, bytes]`."""
    return [*y_shape[:2], (y_shape[2] - 1) * down + taps_d, ((y_shape[3] - 1) * down + taps_d + 3) // 4]


def shared_nbytes(variant: Variant) -> int:
    """`sizeof(Tile)` of filtered_lrelu.cu."""
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
    sign_at: tuple[int, int] = (0, 0),
) -> tuple[Variant, Params]:
    """Variant and parameters without pointers.

    Args:
        sign_size: (height, width in pixels, bytes a row).
    """
    step = max(_RUN, up)  # a multiple of both, as all are powers of two
    for out_w, out_h in ((64, 32), (32, 32), (32, 16), (16, 16), (8, 8), (4, 4)):
        sizes = [
            min(max(most, step), -(-size // step) * step)
            for most, size in zip((out_w, out_h), (out_shape[1], out_shape[0]), strict=True)
        ]
        variant = Variant.of(
            "filtered_lrelu",
            SCALAR=custom_ops.SCALARS[x.dtype],
            UP=up,
            DOWN=down,
            TAPS_U=len(fu),
            TAPS_D=len(fd),
            PHASE_X=-pad_x % up,
            PHASE_Y=-pad_y % up,
            OUT_W=sizes[0],
            OUT_H=sizes[1],
            SIGNS=signs,
            CLAMPED=int(clamp is not None),
            HAS_BIAS=int(has_bias),
            THREADS=THREADS,
        )
        if shared_nbytes(variant) <= _SHARED_NBYTES:
            break
    tiles_x, tiles_y = -(-out_shape[1] // sizes[0]), -(-out_shape[0] // sizes[1])
    params = Params(
        *[None] * 6,
        *x.stride(),
        x.shape[1],
        *x.shape[2:],
        *out_shape,
        pad_x,
        pad_y,
        int(flip),
        int(flip),
        sign_size[0],
        sign_size[1],
        sign_size[2],
        sign_at[0],
        sign_at[1],
        tiles_x,
        tiles_y,
        up_gain,
        gain,
        slope,
        clamp or 0,
    )
    return variant, params


def run(
    x: torch.Tensor,
    y: torch.Tensor,
    fu: torch.Tensor,
    fd: torch.Tensor,
    bias: torch.Tensor | None,
    signs: torch.Tensor,
    up: int,
    down: int,
    padding: list[int],
    up_gain: float,
    gain: float,
    slope: float,
    clamp: float | None,
    flip: bool,
    mode: int,
    sign_at: tuple[int, int],
    sign_width: int,
) -> None:
    """Launch, filling y.

    Args:
        signs: Written or read as `mode` says.

    Raises:
        KernelUnavailable: .
    """
    sign_size = signs.shape[2], sign_width, signs.shape[3]
    variant, params = plan(
        x,
        (y.shape[2], y.shape[3]),
        fu,
        fd,
        up,
        down,
        padding[0],
        padding[2],
        up_gain,
        gain,
        slope,
        clamp,
        flip,
        bias is not None,
        mode,
        sign_size,
        sign_at,
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
