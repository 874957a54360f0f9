"""Statistics of motion, for faults that FVD barely sees: frozen, flickering, looping and drifting videos.

Each clip is turned into a few numbers, without optical flow and without a network. Two sets of clips are then compared
by the distributions of these numbers. Clips are converted to grey pictures of at most 32 px, with levels 0 ... 255.

- speed: mean absolute difference of a frame and the next frame, in levels. 0 for a frozen video.
- flicker: mean square of the second differences in time, divided by the mean square of the first differences,
  |x[t+1] - 2 x[t] + x[t-1]|^2 / |x[t+1] - x[t]|^2. 0 for steady change, 3 for independent frames, 4 for a picture that
  alternates.
- recurrence: how far the clip returns to an earlier state: the largest value of 1 - D(k) / max(D(j), j < k) over the
  lags k, if D(k) is the mean square of x[t+k] - x[t]. 0 if differences only grow with the lag, 1 for a loop.
- drift: mean absolute difference of the mean pictures of the first and the last quarter, in levels.
- spectrum: power of pixels over temporal frequencies (Hann window), in decibels, one number for each frequency.

The distance of speed, flicker, recurrence and drift between two sets is the Wasserstein-1 distance of their
distributions over clips, in the unit of the statistic. The distance of the spectrum is the root mean square over
frequencies of the difference of mean decibels.
"""

import numpy as np
import scipy.stats
import torch
import torch.nn.functional as F

STATISTICS = ("speed", "flicker", "recurrence", "drift")
_SIDE = 32
_LUMA = (0.299, 0.587, 0.114)
_FLOOR = 1e-2  # power in squared levels that counts as silence; one level of 8 bits is far above it


def motion_statistics(clips: torch.Tensor) -> torch.Tensor:
    """Compute the statistics of clips.

    Args:
        clips: Clips uint8 `[N, 3, T, H, W]`, T >= 4.

    Returns:
        Numbers float64 `[N, 4 + T // 2]`: `STATISTICS`, then the spectrum.
    """
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
    """Return grey levels float64 `[N, T, P]` of the P pixels of clips uint8 `[N, 3, T, H, W]`."""
    luma = torch.tensor(_LUMA, dtype=torch.float32, device=clips.device)
    grey = torch.einsum("ncthw,c->nthw", clips.float(), luma)
    if grey.shape[-1] > _SIDE:
        grey = F.adaptive_avg_pool2d(grey, _SIDE)
    return grey.flatten(2).double()


def _spectrum(x: torch.Tensor) -> torch.Tensor:
    """Return the power over frequencies above zero, in decibels `[N, T // 2]`, of grey levels `[N, T, P]`."""
    length = x.shape[1]
    window = torch.hann_window(length, periodic=False, dtype=x.dtype, device=x.device)
    window = window / window.square().mean().sqrt()
    waves = torch.fft.rfft((x - x.mean(1, keepdim=True)) * window[:, None], dim=1) / length
    power = waves.abs().square().mean(2)[:, 1:]
    return 10 * torch.log10(power + _FLOOR)


def compare_motion(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Compare two sets of clips.

    Args:
        real: Result of `motion_statistics` for real clips, `[N, 4 + T // 2]`.
        fake: The same for generated clips.

    Returns:
        The distance of each statistic by its name, `spectrum_db`, and the means of both sides as `speed_real` and so
        on.
    """
    size = len(STATISTICS)
    spectra = fake[:, size:].mean(0) - real[:, size:].mean(0)
    result = {"spectrum_db": float(np.sqrt(np.square(spectra).mean()))}
    for number, name in enumerate(STATISTICS):
        a, b = real[:, number], fake[:, number]
        result[name] = float(scipy.stats.wasserstein_distance(a, b))
        result[f"{name}_real"], result[f"{name}_fake"] = float(a.mean()), float(b.mean())
    return result
