"""What is trained, saved and restored.

Random generators are not in it: what a step draws is a function of the seed, the step and the round (`step.GanStep`),
and what an item of the data draws is a function of its position (`batches`).
"""

from dataclasses import dataclass, field
from typing import Any

import torch

from stylegan_v_ext.engine.augment import AugmentPipe
from stylegan_v_ext.engine.loss import StyleGAN2Loss
from stylegan_v_ext.networks.generator import VideoGenerator
from torch_utils.training_stats import Collector, Statistics

NETWORKS = ("G", "D", "G_ema")
OPTIMIZERS = {"G_opt": "G", "D_opt": "D"}
"""Optimizers, and the network that each moves."""


@dataclass
class Progress:
    """Where a run is in its ticks.

    Attributes:
        next_tick: Number of clips at which the next tick ends.
        collector: Statistics since the last tick.
        tick: Number of ticks so far.
        seconds: Seconds of training so far.
        maintenance: Seconds of writing files at the last tick; not saved.
    """

    next_tick: float
    collector: Collector = field(default_factory=Collector)
    tick: int = 0
    seconds: float = 0.0
    maintenance: float = 0.0

    def is_at(self, every: int) -> bool:
        """Return whether something is due that happens every so many ticks; 0 is never."""
        return every > 0 and self.tick % every == 0

    def state_dict(self) -> dict[str, Any]:
        """Return the values for a state file."""
        return dict(
            tick=self.tick, next_tick=self.next_tick, seconds=self.seconds, collector=self.collector.state_dict()
        )

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from the values of a state file."""
        self.tick, self.next_tick, self.seconds = saved["tick"], saved["next_tick"], saved["seconds"]
        self.collector.load_state_dict(saved["collector"])


@dataclass
class TrainingState:
    """Networks, optimizers and all numbers that training moves.

    Attributes:
        G: Generator.
        D: Discriminator.
        G_ema: Moving average of the generator, which generates after training.
        augment_pipe: Augmentation of what D sees; None for no augmentation.
        loss: Loss of both networks. It holds the probability of the augmentation and the mean path length.
        G_opt: Optimizer of the generator.
        D_opt: Optimizer of the discriminator.
        progress: Where the run is in its ticks.
        statistics: Sums of everything that the run reported.
        ada_stats: Signs of the logits of real clips since the probability of the augmentation last moved.
        num_clips: Real clips seen so far.
        num_steps: Steps so far.
    """

    G: VideoGenerator
    D: torch.nn.Module
    G_ema: VideoGenerator
    augment_pipe: AugmentPipe | None
    loss: StyleGAN2Loss
    G_opt: torch.optim.Optimizer
    D_opt: torch.optim.Optimizer
    progress: Progress
    statistics: Statistics
    ada_stats: Collector = field(default_factory=lambda: Collector(regex="Loss/signs/real"))
    num_clips: int = 0
    num_steps: int = 0

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return self.loss.pl_mean.device

    @property
    def augment_p(self) -> float:
        """Probability of the augmentation, 0 ... 1."""
        return self.loss.augment_p

    @augment_p.setter
    def augment_p(self, p: float) -> None:
        self.loss.augment_p = p
        if self.augment_pipe is not None:
            self.augment_pipe.p.fill_(p)

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """All networks by the names that they have in files."""
        return {"G": self.G, "D": self.D, "G_ema": self.G_ema}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """All optimizers by the names that they have in files."""
        return {"G_opt": self.G_opt, "D_opt": self.D_opt}

    def state_dict(self) -> dict[str, Any]:
        """Return everything for a state file; all processes have to call it."""
        return dict(
            num_clips=self.num_clips,
            num_steps=self.num_steps,
            networks={name: network.state_dict() for name, network in self.networks.items()},
            optimizers={name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            augment_p=self.augment_p,
            pl_mean=self.loss.pl_mean,
            ada_stats=self.ada_stats.state_dict(),
            statistics=self.statistics.state_dict(),
            progress=self.progress.state_dict(),
        )

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from the content of a state file that fits (`state_check.check_fit`)."""
        self.num_clips, self.num_steps = saved["num_clips"], saved["num_steps"]
        for name, network in self.networks.items():
            network.load_state_dict(saved["networks"][name])
        for name, optimizer in self.optimizers.items():
            own = optimizer.state_dict()["param_groups"]  # the run's options give settings, the state moments
            optimizer.load_state_dict({"state": saved["optimizers"][name]["state"], "param_groups": own})
        self.augment_p = float(saved["augment_p"])
        self.loss.pl_mean.copy_(saved["pl_mean"])
        self.statistics.load_state_dict(saved["statistics"])
        self.ada_stats.load_state_dict(saved["ada_stats"])
        self.progress.load_state_dict(saved["progress"])
