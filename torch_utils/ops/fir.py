"""FIR filters, and the forms in which callers give factors and padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["Padding", "Pair", "Scaling", "Sides", "filter_size", "parse_padding", "parse_scaling", "setup_filter"]

Scaling = int | Sequence[int]
"""A factor for both axes, or `[x, y]`."""

Padding = int | Sequence[int]
"""Pixels on all sides, `[x, y]`, or `[x before, x after, y before, y after]`; negative numbers crop."""

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def setup_filter(
    f: torch.Tensor | np.ndarray | Sequence[Any] | float | None,
    device: torch.device | str | None = None,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1,
    separable: bool | None = None,
) -> torch.Tensor:
    """Make a filter for the functions of `upfirdn2d`.

    Taps in one dimension give a separable filter `[taps]`. If they are fewer than 8, or if `separable` is False, the
    result is their outer product `[taps, taps]`.

    Args:
        f: Taps in 1 or 2 dimensions; None is the identity.
        device: Device of the result; None is the device of `f`, or PyTorch's default.
        normalize: Whether to scale the taps so that their sum is 1.
        flip_filter: Whether to turn the filter round.
        gain: Gain of the image. Each axis of a separable filter takes the square root of it.
        separable: Whether the result has one dimension; None decides by the number of taps.

    Returns:
        The filter, float32.

    Raises:
        ValueError: If `f` has no taps or more than 2 dimensions, or if a 2-dimensional filter shall be separable.
    """
    taps = torch.as_tensor(1.0 if f is None else f, dtype=torch.float32)
    device = taps.device if device is None else device
    if taps.ndim > 2 or taps.numel() == 0:
        raise ValueError(f"a filter has 1 or 2 dimensions and at least one tap, not shape {list(taps.shape)}")
    taps = taps.reshape(1) if taps.ndim == 0 else taps
    if separable is None:
        separable = taps.ndim == 1 and taps.numel() >= 8
    if separable and taps.ndim == 2:
        raise ValueError("a two-dimensional filter cannot be made separable; give its one-dimensional taps")
    if taps.ndim == 1 and not separable:
        taps = torch.outer(taps, taps)
    if normalize:
        taps = taps / taps.sum()
    if flip_filter:
        taps = taps.flip(tuple(range(taps.ndim)))
    return (taps * gain ** (taps.ndim / 2)).to(device)


def parse_scaling(scaling: Scaling) -> Pair:
    """Return the factors (x, y).

    Args:
        scaling: A factor for both axes, or `[x, y]`.

    Returns:
        The factors (x, y).

    Raises:
        ValueError: If there are not one or two factors of at least 1.
    """
    pair = [scaling, scaling] if isinstance(scaling, (int, np.integer)) else list(scaling)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"a scaling factor is an int >= 1 or a pair of them, not {scaling!r}")
    return int(pair[0]), int(pair[1])


def parse_padding(padding: Padding) -> Sides:
    """Return the padding of all four sides.

    Args:
        padding: Pixels on all sides, `[x, y]`, or `[x before, x after, y before, y after]`.

    Returns:
        (x before, x after, y before, y after).

    Raises:
        ValueError: If the padding is not a number, two numbers or four numbers.
    """
    four = [padding] * 4 if isinstance(padding, (int, np.integer)) else list(padding)
    if len(four) == 2:
        four = [four[0], four[0], four[1], four[1]]
    if len(four) != 4:
        raise ValueError(f"padding is an int, a pair or four ints, not {padding!r}")
    return int(four[0]), int(four[1]), int(four[2]), int(four[3])


def filter_size(f: torch.Tensor | None) -> Pair:
    """Return the size of a filter.

    Args:
        f: Filter `[taps]` or `[taps_y, taps_x]`; None is the identity.

    Returns:
        (width, height) in taps.
    """
    return (1, 1) if f is None else (int(f.shape[-1]), int(f.shape[0]))
