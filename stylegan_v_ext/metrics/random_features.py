"""A fixed random convolutional network as a feature extractor for frames.

It needs no download and is the same everywhere, so its Frechet distance tells whether training goes
the right way. Its figures compare only with themselves: they are neither FID nor FVD.
"""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F

from stylegan_v_ext.metrics.frechet import frechet_distance, mean_and_covariance

_CHANNELS = (24, 32, 48)


def random_frame_features(frames: np.ndarray) -> np.ndarray:
    """Features `[N, D]` of frames uint8 `[N, 3, H, W]`: pooled pixels and the mean and spread of random filters."""
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
    """Frechet distance of random features between two streams of frame batches, uint8 `[N, 3, H, W]`."""
    stats = [mean_and_covariance(np.concatenate([random_frame_features(b) for b in frames])) for frames in (real, fake)]
    return frechet_distance(*stats[0], *stats[1])
