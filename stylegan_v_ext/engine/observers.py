"""What watches a run: lines of progress, statistics, TensorBoard, sheets of samples, metrics of snapshots.

A run goes on if one of them fails, for example because of a full disk, ffmpeg, a picture of the data or memory.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.engine.evaluation import SnapshotMetrics
from stylegan_v_ext.engine.logs import RunLog
from stylegan_v_ext.engine.samples import SampleSheets
from stylegan_v_ext.engine.state import TrainingState
from stylegan_v_ext.text import printable, say
from torch_utils import misc

__all__ = ["Observers"]


class Observers:
    """Watches a run. Processes that do not lead take part in measuring, and do nothing else here.

    Args:
        run_dir: Run folder.
        state: Networks and numbers of the run.
        dataset: Training set.
        metrics: Metrics of snapshots.
        seed: Seed of the choice of real videos for a sheet.
        leads: Whether this process writes files and speaks.
    """

    def __init__(
        self,
        run_dir: Path,
        state: TrainingState,
        dataset: SparseVideoDataset,
        metrics: SnapshotMetrics,
        *,
        seed: int,
        leads: bool,
    ) -> None:
        self.run_dir, self.state, self.dataset, self.metrics = run_dir, state, dataset, metrics
        self.leads = leads
        self.sheets = SampleSheets(run_dir, dataset, seed) if leads else None
        self.log: RunLog | None = None
        self._said: set[tuple[str, type]] = set()  # complaints about previews

    def introduce(self, batch_gpu: int, origin: str) -> None:
        """Show the networks of a new run, and draw its first sheets.

        Args:
            batch_gpu: Clips of a round, for the shapes in the table.
            origin: Lines about the networks that the run starts from; "" for random weights.
        """
        if self.sheets:
            _print_summary(self.state, self.dataset, batch_gpu)
            say(*(origin.split("\n") if origin else []))
            self._preview(self.sheets.save_reals, "the real samples")
            self.samples("fakes_init")

    def say_started(self, total_kimg: float) -> None:
        """Say that a new run trains.

        Args:
            total_kimg: Length of the run, in thousand clips.
        """
        if self.leads:
            say(f"Training for {total_kimg:g} kimg (thousand clips) on {self.state.device} ...", "")

    def say_resumed(self, total_kimg: float) -> None:
        """Say from which step a run goes on.

        Args:
            total_kimg: Length of the run, in thousand clips.
        """
        if self.leads:
            kimg = self.state.num_clips / 1000
            say(
                f"Going on exactly from kimg {kimg:.3f}, step {self.state.num_steps}, in {self.run_dir}",
                f"Training to {total_kimg:g} kimg (thousand clips) on {self.state.device} ...",
                "",
            )

    def start(self, total_kimg: float, *, resumed: bool) -> None:
        """Start the clock and open the files of statistics.

        Args:
            total_kimg: Length of the run, in thousand clips.
            resumed: Whether there were earlier parts of the run.
        """
        if self.leads:
            progress, kimg = self.state.progress, self.state.num_clips / 1000
            self.log = RunLog(
                self.run_dir,
                total_kimg,
                progress.collector,
                seconds=progress.seconds,
                kimg=kimg,
                resumed=resumed,
            )

    def step(self) -> None:
        """Show that a step is done."""
        if self.log:
            self.log.progress(self.state.num_clips / 1000)
            self.state.progress.seconds = self.log.seconds

    def tick(self) -> None:
        """Print the line of a tick and write its statistics, which are collected already."""
        if self.log:
            state, progress = self.state, self.state.progress
            kimg = state.num_clips / 1000
            self.log.tick(progress.tick, kimg, progress.maintenance, state.augment_p, state.device)

    def samples(self, name: str) -> None:
        """Write a sheet of samples.

        Args:
            name: Name of the files without ending.
        """
        sheets, state = self.sheets, self.state
        if sheets:
            self._preview(lambda: sheets.save_fakes(state.G_ema, state.device, name), "the samples")

    def measure(self, snapshot: Path) -> None:
        """Measure the run's metrics at a snapshot, after everything was saved.

        Args:
            snapshot: Path of the snapshot.
        """
        started = time.monotonic()
        for name, values in self.metrics.measure(self.state.G_ema, snapshot):
            if self.log:
                self.log.figures(name, values, self.state.num_clips)
        self.state.progress.maintenance += time.monotonic() - started

    def close(self) -> None:
        """Close the files of statistics."""
        if self.log:
            self.log.close()

    def _preview(self, show: Callable[[], None], what: str) -> None:
        """Make a preview; if that fails, say so once for each kind of error."""
        try:
            show()
        except Exception as error:
            kind = what, type(error)
            if kind not in self._said:
                self._said.add(kind)
                reason = getattr(error, "strerror", None) or printable(error) or type(error).__name__
                print(f"{what.capitalize()} could not be written ({reason}). Training goes on.", flush=True)


def _print_summary(state: TrainingState, dataset: SparseVideoDataset, batch_gpu: int) -> None:
    """Print the layers of both networks, with shapes."""
    z = torch.zeros([batch_gpu, state.G.z_dim], device=state.device)
    c = torch.zeros([batch_gpu, dataset.label_dim])
    state.G.eval()  # in training its average w would move
    with torch.no_grad():
        strip = misc.print_module_summary(state.G, [z, c])
        misc.print_module_summary(state.D, [strip, c])
    state.G.train()
