"""Noise at the anchors of a video: eps_k ~ N(0, I), one vector for every anchor k (StyleGAN-V, section 3).

At inference eps_k is a pure function of (motion seed, k), so that any time is reached without the past before it. In
training it is drawn anew, only for the anchors that a clip needs.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch

__all__ = [
    "NoiseSource",
    "fresh_noise",
    "given_noise",
    "looped_noise",
    "recorded_noise",
    "seeded_noise",
    "seeds_from_latents",
]

NoiseSource = Callable[[torch.Tensor], torch.Tensor]
"""A function that returns eps `[N, M, z_dim]` for anchors k, int64 `[N, M]` on any device."""

_MASK64 = 2**64 - 1


def seeded_noise(seeds: Sequence[int], z_dim: int) -> NoiseSource:
    """Make the noise of motion seeds: float64 on the CPU, the same on every machine.

    Args:
        seeds: N motion seeds, one for each video.
        z_dim: Size of a noise vector.

    Returns:
        The noise source. It raises `ValueError` for another number of videos.
    """

    def source(anchors: torch.Tensor) -> torch.Tensor:
        if anchors.shape[0] != len(seeds):
            raise ValueError(f"{len(seeds)} motion seeds for {anchors.shape[0]} videos; give one each")
        rows = [[_normal(seed, k, z_dim) for k in row] for seed, row in zip(seeds, anchors.tolist(), strict=True)]
        return torch.from_numpy(np.array(rows))

    return source


def _normal(seed: int, k: int, size: int) -> np.ndarray:
    """Return `size` standard normal values for one anchor, by a counter-based generator and Box and Muller's method."""
    counter = np.array([0, k & _MASK64, 0, 0], dtype=np.uint64)
    generator = np.random.Philox(key=int(seed) & _MASK64, counter=counter)
    bits = generator.random_raw(2 * ((size + 1) // 2)) >> np.uint64(11)
    uniform = (bits.astype(np.float64) + 0.5) * 2.0**-53
    radius = np.sqrt(-2 * np.log(uniform[::2]))
    angle = 2 * np.pi * uniform[1::2]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]


def fresh_noise(z_dim: int, device: torch.device) -> NoiseSource:
    """Make new random noise, float32. Equal anchors within a clip get equal noise.

    Args:
        z_dim: Size of a noise vector.
        device: Device of the noise, whose random generator is used.

    Returns:
        The noise source.
    """

    def source(anchors: torch.Tensor) -> torch.Tensor:
        ordered, order = anchors.sort(dim=1)
        rank = torch.zeros_like(anchors)
        rank[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).cumsum(1)
        index = torch.empty_like(rank).scatter_(1, order, rank).to(device, non_blocking=True)
        table = torch.randn([*anchors.shape, z_dim], device=device)
        return table.gather(1, index[:, :, None].expand(-1, -1, z_dim))

    return source


def given_noise(motion_z: torch.Tensor) -> NoiseSource:
    """Make the noise that a tensor holds.

    Args:
        motion_z: Noise `[N, K, z_dim]`, row k for anchor k from t = 0 on.

    Returns:
        The noise source. It raises `ValueError` for anchors outside the tensor.
    """

    def source(anchors: torch.Tensor) -> torch.Tensor:
        if int(anchors.min()) < 0 or int(anchors.max()) >= motion_z.shape[1]:
            raise ValueError(
                f"anchors {int(anchors.min())} to {int(anchors.max())} are needed, motion_z holds 0 to "
                f"{motion_z.shape[1] - 1}; give more rows or earlier timestamps"
            )
        index = anchors.to(motion_z.device)[:, :, None].expand(-1, -1, motion_z.shape[2])
        return motion_z.gather(1, index)

    return source


def recorded_noise(table: torch.Tensor, first_anchor: int, seed: int) -> NoiseSource:
    """Make the noise of one video that is given for some anchors; other anchors have the noise of a motion seed.

    Args:
        table: Noise `[K, z_dim]` for the anchors first_anchor ... first_anchor + K - 1; gradients reach it.
        first_anchor: Anchor of the first row.
        seed: Motion seed of the other anchors.

    Returns:
        The noise source.
    """
    others = seeded_noise([seed], table.shape[1])

    def source(anchors: torch.Tensor) -> torch.Tensor:
        index = anchors[0].to(table.device) - first_anchor
        outside = (index < 0) | (index >= len(table))
        if not len(table):
            return others(anchors).to(table)
        eps = table[index.clamp(0, len(table) - 1)]
        if outside.any():
            eps = torch.where(outside[:, None], others(anchors)[0].to(table), eps)
        return eps[None]

    return source


def looped_noise(source: NoiseSource, num_anchors: int) -> NoiseSource:
    """Make noise that repeats after `num_anchors` anchors.

    Args:
        source: The noise of the first `num_anchors` anchors.
        num_anchors: Length of the loop.

    Returns:
        The noise source.
    """
    return lambda anchors: source(anchors % num_anchors)


def seeds_from_latents(z: torch.Tensor) -> list[int]:
    """Return a motion seed for every latent, a pure function of the latent's float32 values.

    Args:
        z: Latents `[N, z_dim]`.

    Returns:
        N seeds from 0 to 2^64 - 1.
    """
    rows = z.detach().to(device="cpu", dtype=torch.float32).numpy()
    return [int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little") for row in rows]
