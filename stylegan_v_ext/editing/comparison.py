"""Similarity of two videos: of their pictures, and of their movements."""

import math

import numpy as np


def psnr(video: np.ndarray, reference: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB; infinity if the videos are equal.

    Args:
        video: Frames uint8 `[T, H, W, C]`.
        reference: Frames uint8 `[T, H, W, C]`.
    """
    error = np.square(video.astype(np.float64) - reference).mean()
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def motion_profile(video: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of each frame to the next frame, `[T - 1]`: how much moves, and when.

    Args:
        video: Frames `[T, H, W, C]`.
    """
    frames = video.astype(np.float32)
    return np.array([np.abs(later - earlier).mean() for earlier, later in zip(frames, frames[1:], strict=False)])


def profile_correlation(video: np.ndarray, reference: np.ndarray) -> float:
    """Return the Pearson correlation of the motion profiles of two videos, -1 to 1; 0 if a profile is level.

    Args:
        video: Frames uint8 `[T, H, W, C]`.
        reference: Frames uint8 `[T, H, W, C]`.
    """
    profiles = [profile - profile.mean() for profile in (motion_profile(video), motion_profile(reference))]
    norms = [np.linalg.norm(profile) for profile in profiles]
    return float(profiles[0] @ profiles[1] / (norms[0] * norms[1])) if all(norms) else 0.0
