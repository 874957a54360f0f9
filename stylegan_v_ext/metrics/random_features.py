"""Fixed random convolutional networks as feature extractors, for frames and for clips.

They need no download and are the same on every machine, so their Frechet distance tells whether training makes
progress. Their figures compare only with each other: they are neither FID nor FVD.
"""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F

from stylegan_v_ext.metrics.frechet import frechet_distance, mean_and_covariance

_CHANNELS = (24, 32, 48)


def random_frame_features(frames: np.ndarray) -> np.ndarray:
    """Return pooled pixels and the mean and spread of random filters.

    Args:
        frames: Frames uint8 `[N, 3, H, W]`.

    Returns:
        Features `[N, D]`.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.from_numpy(np.ascontiguousarray(frames)).float() / 127.5 - 1
    x = F.interpolate(x, size=(64, 64), mode="bilinear", align_corners=False, antialias=True)
    features = [F.adaptive_avg_pool2d(x, 4).flatten(1)]
    for channels in _CHANNELS:
        weight = torch.randn([channels, x.shape[1], 3, 3], generator=generator) / (9 * x.shape[1]) ** 0.5
        x = F.leaky_relu(F.conv2d(x, weight, padding=1), 0.2) * 2**0.5
        features += [x.mean([2, 3]), x.std([2, 3])]
        x = F.avg_pool2d(x, 2)
    return torch.cat(features, dim=1).numpy()


def random_frame_distance(real: Iterable[np.ndarray], fake: Iterable[np.ndarray]) -> float:
    """Return the Frechet distance of random features between two streams of frame batches.

    Args:
        real: Batches uint8 `[N, 3, H, W]`.
        fake: Batches uint8 `[N, 3, H, W]`.

    Returns:
        The distance.
    """
    stats = [mean_and_covariance(np.concatenate([random_frame_features(b) for b in frames])) for frames in (real, fake)]
    return frechet_distance(*stats[0], *stats[1])


class RandomClipFeatures(torch.nn.Module):
    """A fixed random 3-D convolutional network: clips uint8 `[N, 3, T, H, W]` -> features `[N, 256]`.

    Frames are scaled to 32 px. Three layers of 3 x 3 x 3 filters follow, and each layer halves space and time. The
    features are the mean and spread of every filter, and coarse pixels. Its figures (`rfvd…`) compare only with each
    other.
    """

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        inputs = 3
        for number, channels in enumerate(_CHANNELS):
            weight = torch.randn([channels, inputs, 3, 3, 3], generator=generator) / (27 * inputs) ** 0.5
            self.register_buffer(f"weight{number}", weight)
            inputs = channels

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Return features `[N, 256]` of clips uint8 `[N, 3, T, H, W]`."""
        count, _, length = clips.shape[:3]
        frames = clips.transpose(1, 2).flatten(0, 1).float() / 127.5 - 1
        frames = F.interpolate(frames, size=(32, 32), mode="bilinear", align_corners=False, antialias=True)
        x = frames.unflatten(0, [count, length]).transpose(1, 2)
        features = [F.adaptive_avg_pool3d(x, (1, 4, 4)).flatten(1)]
        for number in range(len(_CHANNELS)):
            weight = getattr(self, f"weight{number}")
            x = F.leaky_relu(F.conv3d(x, weight, padding=1), 0.2) * 2**0.5
            features += [x.mean([2, 3, 4]), x.std([2, 3, 4])]
            x = F.avg_pool3d(x, [min(2, x.shape[2]), 2, 2])
        return torch.cat(features, dim=1)
