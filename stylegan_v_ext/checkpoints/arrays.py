"""NumPy arrays out of a pickle: stand-ins for the functions that make them, and the arrays themselves."""

import re
from typing import Any, cast

import numpy as np

from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.tensors import is_shape
from stylegan_v_ext.checkpoints.values import Instance, brief

_ARRAY_TYPE = re.compile(r"[<>|=]?([fiu][1248]|b1)")

Raw = bytes | memoryview | str
"""Bytes of the file, or text that stands for them in pickles of Python 2."""


def make_dtype(args: tuple[Any, ...], budget: Budget) -> Instance:
    """Stand in for `numpy.dtype`; see `tensors.rebuild_tensor` for the arguments."""
    return Instance("numpy", "dtype", args)


def _dtype(instance: object) -> np.dtype:
    """Return the number type that an inert `numpy.dtype` names by its code, and by the byte order in its state."""
    if not isinstance(instance, Instance) or instance.name != "dtype":
        raise CheckpointError("an array of an unknown type")
    code = instance.args[0] if instance.args else ""
    if not isinstance(code, str) or not _ARRAY_TYPE.fullmatch(code):
        raise CheckpointError(f"an array of type {brief(code)}, which is no plain number")
    order = instance.state[1] if isinstance(instance.state, tuple) and len(instance.state) > 1 else "="
    return np.dtype(code).newbyteorder(">" if order == ">" else "<")


def make_scalar(args: tuple[Any, ...], budget: Budget) -> int | float | bool:
    """Stand in for NumPy's `scalar(dtype, bytes)`; see `tensors.rebuild_tensor` for the arguments."""
    dtype, raw = args
    return np.frombuffer(_raw(raw), _dtype(dtype), count=1)[0].item()


def make_array(args: tuple[Any, ...], budget: Budget) -> Instance:
    """Stand in for NumPy's `_reconstruct`; see `tensors.rebuild_tensor` for the arguments."""
    return Instance("numpy", "ndarray")


def array_from_buffer(args: tuple[Any, ...], budget: Budget) -> Instance:
    """Stand in for `numpy.core.numeric._frombuffer(buffer, dtype, shape, order)` of pickles of protocol 5."""
    raw, dtype, shape, order = args
    array = Instance("numpy", "ndarray")
    array.state = (1, shape, dtype, order == "F", raw)
    return array


def _raw(raw: Raw) -> bytes | memoryview:
    return raw.encode("latin-1") if isinstance(raw, str) else raw


def array_bytes(instance: Instance) -> Raw:
    """Return the bytes of an inert `numpy.ndarray`, or the text that stands for them.

    Args:
        instance: The array as data.

    Returns:
        Bytes or text of the file, not copied.

    Raises:
        CheckpointError: If it has neither.
    """
    state = instance.state
    raw = state[4] if isinstance(state, tuple) and len(state) == 5 else None
    if not isinstance(raw, (str, bytes, memoryview)):
        raise CheckpointError("a damaged array")
    return raw


def as_array(instance: Instance) -> np.ndarray:
    """Make the array of an inert `numpy.ndarray`.

    Args:
        instance: The array as data.

    Returns:
        The array, in its own memory.

    Raises:
        CheckpointError: If the array is damaged, or if its elements are no numbers.
    """
    try:
        _, shape, dtype, fortran, raw = cast("tuple[Any, ...]", instance.state)
        if not is_shape(shape):
            raise CheckpointError("an array of an unknown layout")
        return np.frombuffer(_raw(raw), _dtype(dtype)).reshape(shape, order="F" if fortran else "C").copy()
    except (TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError("a damaged array") from None
