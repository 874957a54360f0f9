"""The strip contract: how F frames and their timestamps travel through code that knows images and labels.

A *strip* `[N, 3, F*H, W]` holds the frames of a clip below one another. A *label* `[N, K + F]` holds the class (one-hot
of K classes) and then the F timestamps, in frames from the start of the video.
"""

import torch

__all__ = ["pack_strip", "sanitise_label", "split_label", "unpack_strip"]


def pack_strip(frames: torch.Tensor) -> torch.Tensor:
    """Put the frames of clips below one another.

    Args:
        frames: Frames `[N, F, C, H, W]`.

    Returns:
        Strips `[N, C, F*H, W]`, frame f in the rows f*H ... (f+1)*H - 1.
    """
    n, f, c, h, w = frames.shape
    return frames.transpose(1, 2).reshape(n, c, f * h, w)


def unpack_strip(strip: torch.Tensor) -> torch.Tensor:
    """Take strips of square frames apart.

    Args:
        strip: Strips `[N, C, F*W, W]`.

    Returns:
        Frames `[N, F, C, W, W]`.

    Raises:
        ValueError: If the height is not a multiple of the width.
    """
    n, c, height, width = strip.shape
    if height % width:
        raise ValueError(f"a strip of height {height} does not divide into square frames of width {width}")
    return strip.reshape(n, c, height // width, width, width).transpose(1, 2)


def split_label(c: torch.Tensor, num_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Split labels into classes and timestamps.

    Args:
        c: Labels `[N, K + F]`.
        num_classes: K.

    Returns:
        (class part `[N, K]`, timestamps `[N, F]`).
    """
    return c[:, :num_classes], c[:, num_classes:]


def sanitise_label(c: torch.Tensor, num_classes: int, max_num_frames: int) -> torch.Tensor:
    """Make labels finite, because training loops pass labels without values when they print a summary of the networks.

    Args:
        c: Labels `[N, K + F]`.
        num_classes: K.
        max_num_frames: Number of frames of the longest video.

    Returns:
        Labels with 0 in place of NaN and infinities, and with timestamps clamped to `[0, max_num_frames - 1]`.
    """
    c = torch.nan_to_num(c, nan=0.0, posinf=0.0, neginf=0.0)
    classes, timestamps = split_label(c, num_classes)
    return torch.cat([classes, timestamps.clamp(0, max_num_frames - 1)], dim=1)
