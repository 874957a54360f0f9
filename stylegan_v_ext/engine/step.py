"""One step of training: generator, discriminator, their lazy regularisers, EMA, augmentation.

All that is random in a round follows from the seed, the step and the number of the round: neither a stop nor the number
of processes changes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.engine.ada import AdaptiveAugmentation
from stylegan_v_ext.engine.batches import Batches
from stylegan_v_ext.engine.ema import ExponentialMovingAverage
from stylegan_v_ext.engine.health import Health
from stylegan_v_ext.engine.state import TrainingState

__all__ = ["GanStep"]

_PHASES = ("G", "G reg", "D", "D reg")


class GanStep:
    """Takes a batch and moves a training state by one step.

    A batch is `batch_size / batch_gpu` rounds, which the processes deal out among themselves.

    Args:
        state: Networks and numbers that the step moves.
        batches: This process's share of every batch: strips uint8 on the device, labels on the CPU.
        dataset: Training set, whose labels the generated clips have.
        batch_size: Clips of a step, over all processes.
        batch_gpu: Clips of a round.
        rounds: Numbers of this process's rounds.
        g_reg_interval: Steps between two path length steps; None for no path lengths.
        d_reg_interval: Steps between two R1 steps; None for no R1.
        ema: Moving average of the generator.
        ada: Rule that moves the probability of the augmentation; None keeps the probability.
        health: Check of every loss; None for no check.
        seed: Seed of everything that is random.
        processes: This process among all that train together.
    """

    def __init__(
        self,
        state: TrainingState,
        batches: Batches,
        dataset: SparseVideoDataset,
        *,
        batch_size: int,
        batch_gpu: int,
        rounds: range,
        g_reg_interval: int | None,
        d_reg_interval: int | None,
        ema: ExponentialMovingAverage,
        ada: AdaptiveAugmentation | None,
        health: Health | None,
        seed: int,
        processes: Processes,
    ) -> None:
        self.state, self.batches, self.dataset = state, batches, dataset
        self.batch_size, self.batch_gpu, self.rounds = batch_size, batch_gpu, rounds
        self.g_reg_interval, self.d_reg_interval = g_reg_interval or 0, d_reg_interval or 0
        self.ema, self.ada, self.health = ema, ada, health
        self.seed, self.processes = seed, processes
        self._gain = batch_gpu / batch_size  # weight of a round in the mean over the batch

    def __call__(self) -> None:
        """Take a step."""
        state = self.state
        real, real_c = self._next_batch()
        averages = state.G.mapping.w_avg.clone(), state.loss.pl_mean.clone()
        self.generator_phase()
        if self._is_due(self.g_reg_interval):
            self.path_length_phase()
        self.discriminator_phase(real, real_c)
        if self._is_due(self.d_reg_interval):
            self.r1_phase(real, real_c)
        self._join_averages(*averages)
        if self.health:
            self.health.after_step()
        self.ema.update(state.G_ema, state.G, state.num_clips)
        state.num_clips += self.batch_size
        state.num_steps += 1
        if self.ada and self.ada.is_due(state.num_steps):
            state.augment_p = self.ada.next_p(state.augment_p, state.ada_stats)

    def generator_phase(self) -> None:
        """Train G to make clips that D calls real."""
        with self._optimizing(self.state.G, self.state.G_opt):
            for _ in self._seeded_rounds("G"):
                self._watch(self.state.loss.generator_step(*self._latents(), self._gain))

    def path_length_phase(self) -> None:
        """Train G to keep the sizes of its gradients alike; the weight makes up for the steps without it."""
        with self._optimizing(self.state.G, self.state.G_opt):
            for _ in self._seeded_rounds("G reg"):
                self._watch(self.state.loss.path_length_step(*self._latents(), self._gain * self.g_reg_interval))

    def discriminator_phase(self, real: list[torch.Tensor], real_c: list[torch.Tensor]) -> None:
        """Train D to tell real clips from generated clips.

        Args:
            real: Real strips of each round `[N, 3, F*H, W]` with colours of -1 ... 1.
            real_c: Labels of each round `[N, K + F]`.
        """
        with self._optimizing(self.state.D, self.state.D_opt):
            for here in self._seeded_rounds("D"):
                loss = self.state.loss.discriminator_step(real[here], real_c[here], *self._latents(), self._gain)
                self._watch(loss)

    def r1_phase(self, real: list[torch.Tensor], real_c: list[torch.Tensor]) -> None:
        """Train D to have small gradients at real clips; the weight makes up for the steps without it.

        Args:
            real: Real strips of each round `[N, 3, F*H, W]` with colours of -1 ... 1.
            real_c: Labels of each round `[N, K + F]`.
        """
        with self._optimizing(self.state.D, self.state.D_opt):
            for here in self._seeded_rounds("D reg"):
                self._watch(self.state.loss.r1_step(real[here], real_c[here], self._gain * self.d_reg_interval))

    def _next_batch(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return real strips with colours of -1 ... 1 and their labels, for each round of this process."""
        strips, labels = next(self.batches)
        real = [part.to(torch.float32) / 127.5 - 1 for part in strips.split(self.batch_gpu)]
        return real, list(labels.split(self.batch_gpu))

    def _is_due(self, interval: int) -> bool:
        """Return whether a lazy phase is part of this step; an interval of 0 is never due."""
        return interval > 0 and self.state.num_steps % interval == 0

    def _watch(self, loss: torch.Tensor) -> None:
        if self.health:
            self.health.watch(self.state.num_steps, loss)

    def _join_averages(self, w_avg: torch.Tensor, pl_mean: torch.Tensor) -> None:
        """Make the running averages, which each process has moved by its own rounds, the same in all processes.

        Args:
            w_avg: Average of w before this step.
            pl_mean: Mean path length before this step.
        """
        mapping, loss, regularised = self.state.G.mapping, self.state.loss, self._is_due(self.g_reg_interval)
        rounds = len(self.rounds)
        self.processes.join_averages(w_avg, mapping.w_avg, mapping.w_avg_beta, rounds * (2 + regularised))
        self.processes.join_averages(pl_mean, loss.pl_mean, 1 - loss.pl_decay, rounds * regularised)

    def _seeded_rounds(self, phase: str) -> Iterator[int]:
        """Yield 0, 1, ... for the rounds of this process, the random generators seeded for each."""
        for here, number in enumerate(self.rounds):
            np.random.seed([self.seed, self.state.num_steps, _PHASES.index(phase), number])
            torch.manual_seed(int.from_bytes(np.random.bytes(7), "little"))
            yield here

    def _latents(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw latents, on the device, and labels, whose timestamps stay on the CPU, for a round."""
        count = len(self.dataset)
        labels = [self.dataset.get_label(np.random.randint(count)) for _ in range(self.batch_gpu)]
        z = torch.randn([self.batch_gpu, self.state.G.z_dim], device=self.state.device)
        return z, torch.from_numpy(np.stack(labels))

    @contextmanager
    def _optimizing(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Sum the gradients of the block over processes, replace NaN and infinities in them, and apply them."""
        optimizer.zero_grad(set_to_none=True)
        yield
        self.processes.sum_gradients(network.parameters())
        for parameter in network.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        optimizer.step()
