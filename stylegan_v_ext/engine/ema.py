"""Exponential moving average (EMA) of the generator, whose samples are better than the generator's own samples."""

import torch

__all__ = ["ExponentialMovingAverage"]


class ExponentialMovingAverage:
    """Moves an average of a network's weights towards the weights (Progressive GAN, section 4; StyleGAN2-ADA, D).

    Args:
        kimg: Half-life of the average, in thousand clips.
        rampup: Bound on the half-life, as a share of the clips so far; None for no bound.
        batch_size: Clips of a step.
    """

    def __init__(self, *, kimg: float, rampup: float | None, batch_size: int) -> None:
        self.kimg, self.rampup, self.batch_size = kimg, rampup, batch_size

    @torch.no_grad()
    def update(self, average: torch.nn.Module, network: torch.nn.Module, num_clips: int) -> None:
        """Move the average by one step: beta average + (1 - beta) weights, beta = 0.5^(batch size / half-life).

        Args:
            average: Network that holds the average; it gets the buffers of the other network.
            network: Network that is trained.
            num_clips: Clips that were seen before this step.
        """
        half_life = self.kimg * 1000
        if self.rampup is not None:
            half_life = min(half_life, num_clips * self.rampup)
        beta = 0.5 ** (self.batch_size / max(half_life, 1e-8))
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - beta)
        torch._foreach_copy_(list(average.buffers()), list(network.buffers()))
