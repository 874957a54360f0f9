"""Statistics of motion, for what FVD barely sees: frozen, flickering, looping and drifting videos.

Each clip is turned into a few numbers, without optical flow and without a network; two sets of clips are
then compared by the distributions of these numbers. Clips are taken as grey pictures of 32 px at most, in
levels of 0 ... 255.

- speed: mean absolute difference of a frame and the next, in levels. Frozen: 0.
- flicker: mean square of second differences in time over that of first ones, |x[t+1] - 2 x[t] + x[t-1]|^2 /
  |x[t+1] - x[t]|^2. 0 for steady change, 3 for independent frames, 4 for a picture that alternates.
- recurrence: how far the clip comes back to an earlier state, 1 - D(k) / max of D(j), j < k, at the lag k where
  this is largest; D(k) is the mean square of x[t+k] - x[t]. 0 where differences only grow with the lag, 1 for
  a loop.
- drift: mean absolute difference of the first and the last quarter's mean pictures, in levels.
- spectrum: power of pixels over temporal frequencies (Hann window), in decibels, a number a frequency.

The distance of speed, flicker, recurrence and drift between two sets is the Wasserstein-1 distance of their
distributions over clips, in their unit; that of spectrum the root mean square over frequencies of the difference
of mean decibels.
"""

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F

STATISTICS = ("speed", "flicker", "recurrence", "drift")
_SIDE = 32
_LUMA = (0.299, 0.587, 0.114)
_FLOOR = 1e-2  # of power in squared levels: less is silence, far below a level of 8 bits


def motion_statistics(clips: torch.Tensor) -> torch.Tensor:
    """Clips uint8 `[N, 3, T, H, W]`, T >= 4 -> float64 `[N, 4 + T // 2]`: `STATISTICS`, then the spectrum."""
    x = _grey(clips)
    count, length = x.shape[:2]
    first = x.diff(dim=1)
    moved = first.square().flatten(1).mean(1)
    speed = first.abs().flatten(1).mean(1)
    flicker = first.diff(dim=1).square().flatten(1).mean(1) / moved.clamp(min=1e-12)
    by_lag = torch.stack([(x[:, k:] - x[:, :-k]).square().flatten(1).mean(1) for k in range(1, length // 2 + 1)], dim=1)
    highest = by_lag.cummax(dim=1).values[:, :-1]
    comes_back = (1 - by_lag[:, 1:] / highest.clamp(min=1e-12)).clamp(min=0).amax(1)
    quarter = max(length // 4, 1)
    drift = (x[:, -quarter:].mean(1) - x[:, :quarter].mean(1)).abs().flatten(1).mean(1)
    frozen = moved < 1e-9
    scalars = [speed, flicker.masked_fill(frozen, 0), comes_back.masked_fill(frozen, 0), drift]
    return torch.cat([torch.stack(scalars, dim=1), _spectrum(x)], dim=1)


def _grey(clips: torch.Tensor) -> torch.Tensor:
    """`[N, T, P]` float64 levels of pixels."""
    luma = torch.tensor(_LUMA, dtype=torch.float32, device=clips.device)
    grey = torch.einsum("ncthw,c->nthw", clips.float(), luma)
    if grey.shape[-1] > _SIDE:
        grey = F.adaptive_avg_pool2d(grey, _SIDE)
    return grey.flatten(2).double()


def _spectrum(x: torch.Tensor) -> torch.Tensor:
    """Power over frequencies above zero in decibels, `[N, T // 2]`."""
    length = x.shape[1]
    window = torch.hann_window(length, periodic=False, dtype=x.dtype, device=x.device)
    window = window / window.square().mean().sqrt()
    waves = torch.fft.rfft((x - x.mean(1, keepdim=True)) * window[:, None], dim=1) / length
    power = waves.abs().square().mean(2)[:, 1:]
    return 10 * torch.log10(power + _FLOOR)


def compare_motion(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Distances between two sets of `motion_statistics`, and the means of either."""
    size = len(STATISTICS)
    spectra = fake[:, size:].mean(0) - real[:, size:].mean(0)
    result = {"spectrum_db": float(np.sqrt(np.square(spectra).mean()))}
    for number, name in enumerate(STATISTICS):
        a, b = real[:, number], fake[:, number]
        result[name] = float(scipy.stats.wasserstein_distance(a, b))
        result[f"{name}_real"], result[f"{name}_fake"] = float(a.mean()), float(b.mean())
    return result
