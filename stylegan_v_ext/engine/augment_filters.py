"""Filters of the augmentation pipe: wavelets of the symlet family, and octave bands made of them.

The wavelets are from Daubechies, Ten Lectures on Wavelets.
"""

import torch
import torch.nn.functional as F

__all__ = ["BAND_POWER", "SYM2", "SYM6", "filter_each", "octave_bands"]

SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
"""Low-pass filter of the symlet wavelet of order 6."""

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
"""Low-pass filter of the symlet wavelet of order 2."""

BAND_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Share of each octave in the power of a natural image, from low to high frequencies."""


def octave_bands() -> torch.Tensor:
    """Make the filters of four octave bands, which add up to the identity (StyleGAN2-ADA, appendix B).

    P = h * reversed(h) is a half-band low-pass filter. P(z), P(z)P(z^2) and P(z)P(z^2)P(z^4) keep a half, a quarter and
    an eighth of the spectrum. The bands are their differences.

    Returns:
        Zero-phase taps `[4, T]`, from low to high frequencies.
    """
    h = torch.tensor(SYM2, dtype=torch.float64)
    h = h / h.sum()
    half_band = _convolve_taps(h, h.flip(0))
    lows, low = [], torch.ones(1, dtype=torch.float64)
    for octave in range(3):
        spread = torch.zeros((len(half_band) - 1) * 2**octave + 1, dtype=torch.float64)
        spread[:: 2**octave] = half_band
        low = _convolve_taps(low, spread)
        lows.append(low)
    size = len(low)
    identity = F.pad(torch.ones(1, dtype=torch.float64), [size // 2] * 2)
    half, quarter, eighth = (F.pad(taps, [(size - len(taps)) // 2] * 2) for taps in lows)
    return torch.stack([eighth, quarter - eighth, half - quarter, identity - half]).float()


def _convolve_taps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.conv1d(a[None, None], b.flip(0)[None, None], padding=len(b) - 1)[0, 0]


def filter_each(x: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Filter each picture along both axes by its own filter; pictures are reflected at their borders.

    Args:
        x: Pictures `[N, C, H, W]`.
        taps: Filters `[N, T]`.

    Returns:
        Pictures `[N, C, H, W]`.
    """
    n, channels, height, width = x.shape
    reach = taps.shape[1] // 2
    rows = _reflected_index(height, reach, x.device)
    columns = _reflected_index(width, reach, x.device)
    kernels = taps.repeat_interleave(channels, dim=0)[:, None]
    x = x.reshape(1, n * channels, height, width)
    x = F.conv2d(x[:, :, rows], kernels[..., None], groups=n * channels)
    x = F.conv2d(x[:, :, :, columns], kernels[:, :, None], groups=n * channels)
    return x.reshape(n, channels, height, width)


def _reflected_index(size: int, reach: int, device: torch.device) -> torch.Tensor:
    """Return the indices -reach ... size - 1 + reach, mirrored into range however small the picture is."""
    index = torch.arange(-reach, size + reach, device=device) % (2 * size - 2)
    return torch.where(index < size, index, 2 * size - 2 - index)
