"""The name of `networks.anchor_noise` in version 0.1.0: the code inside snapshots of that version imports it."""

from stylegan_v_ext.networks.anchor_noise import (
    NoiseSource,
    fresh_noise,
    given_noise,
    looped_noise,
    recorded_noise,
    seeded_noise,
    seeds_from_latents,
)

__all__ = [
    "NoiseSource",
    "fresh_noise",
    "given_noise",
    "looped_noise",
    "recorded_noise",
    "seeded_noise",
    "seeds_from_latents",
]
