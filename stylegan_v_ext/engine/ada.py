"""Adaptive discriminator augmentation (StyleGAN2-ADA, section 3)."""

import numpy as np

from torch_utils.training_stats import Collector

__all__ = ["AdaptiveAugmentation"]

_INTERVAL = 4  # steps between two moves of p


class AdaptiveAugmentation:
    """Moves the probability p of the augmentation until D calls the wanted share of real clips real.

    Args:
        target: Wanted mean of the signs of D's logits on real clips, 0 ... 1 (r_t of the paper).
        kimg: Training in which p may move from 0 to 1, in thousand clips.
        batch_size: Clips of a step.
    """

    def __init__(self, *, target: float, kimg: float, batch_size: int) -> None:
        self.target = target
        self.step = batch_size * _INTERVAL / (kimg * 1000)

    def is_due(self, num_steps: int) -> bool:
        """Return whether p moves after this number of steps."""
        return num_steps % _INTERVAL == 0

    def next_p(self, p: float, signs: Collector) -> float:
        """Return p + step sign(r_t - target), clipped to 0 ... 1; r_t = E[sign(D(x))]. All processes have to call it.

        Args:
            p: Probability so far.
            signs: Collector of the signs of the logits of real clips.
        """
        signs.update()
        direction = np.sign(signs["Loss/signs/real"] - self.target)
        return float(np.clip(p + direction * self.step, 0, 1))
