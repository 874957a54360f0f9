"""The low-pass filters of StyleGAN3 (StyleGAN3, appendix C)."""

import numpy as np
import torch

__all__ = ["design_lowpass"]


def design_lowpass(
    taps: int, cutoff: float, width: float, sampling_rate: float, radial: bool = False
) -> torch.Tensor | None:
    """Design a Kaiser low-pass filter.

    The radial filter is the jinc function J1(2 pi f_c r) / (pi r) under the window of the separable filter.

    Args:
        taps: Number of taps along an axis, 1 to 128.
        cutoff: Cutoff f_c, in cycles an image.
        width: Width of the transition band, in cycles an image.
        sampling_rate: Samples an image.
        radial: Whether the filter is radially symmetric.

    Returns:
        The filter: `[taps]`, or `[taps, taps]` if it is radial; None for a single tap.

    Raises:
        ValueError: If there are too many taps.
    """
    import scipy.signal
    import scipy.special

    if taps == 1:
        return None
    if taps > 128:
        raise ValueError(f"a filter of {taps} taps; 128 are the most, and StyleGAN3's have up to 24")
    if not radial:
        return torch.as_tensor(scipy.signal.firwin(taps, cutoff, width=width, fs=sampling_rate), dtype=torch.float32)
    at = (np.arange(taps) - (taps - 1) / 2) / sampling_rate
    radius = np.hypot(at[:, None], at[None, :])
    beta = scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, width / (sampling_rate / 2)))
    window = np.kaiser(taps, beta)
    kernel = scipy.special.j1(2 * np.pi * cutoff * radius) / (np.pi * radius) * np.outer(window, window)
    return torch.as_tensor(kernel / kernel.sum(), dtype=torch.float32)
