"""Division of whole numbers by multiplication, for the index arithmetic of kernels."""

import ctypes
from functools import lru_cache

__all__ = ["Divisor", "divisor"]


class Divisor(ctypes.Structure):
    """Division by d as a multiplication and a shift, exact below 2^31 (`Divisor` in common.cuh)."""

    _fields_ = [("d", ctypes.c_uint32), ("multiplier", ctypes.c_uint32), ("shift", ctypes.c_uint32)]


@lru_cache(4096)
def divisor(d: int) -> Divisor:
    """Compute the multiplier and the shift that divide by a number (Granlund and Montgomery 1994, section 4).

    Args:
        d: The number, 1 <= d < 2^31.

    Returns:
        The divisor.
    """
    shift = (d - 1).bit_length()
    return Divisor(d, ((1 << 32) * ((1 << shift) - d)) // d + 1, shift)
