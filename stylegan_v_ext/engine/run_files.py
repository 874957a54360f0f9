"""Snapshots and states that a run writes into its folder; what happens if there is no room for them."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stylegan_v_ext import checkpoints
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.engine.health import Health
from stylegan_v_ext.engine.saved_state import STATE_NAME, save_state
from stylegan_v_ext.engine.state import TrainingState
from stylegan_v_ext.engine.state_check import VERSION
from stylegan_v_ext.text import printable
from torch_utils import misc

__all__ = ["RunFiles"]


class RunFiles:
    """Writes the networks and the state of a run, in the leading process. All processes have to call each method.

    Args:
        run_dir: Run folder.
        state: Networks and numbers of the run.
        dataset: Training set.
        dataset_kwargs: Arguments of the training set, which a snapshot records.
        fingerprint: Fingerprint of the training set (`data.fingerprint`).
        health: Check of losses and weights before they are saved; None for no check.
        processes: This process among all.
    """

    def __init__(
        self,
        run_dir: Path,
        state: TrainingState,
        dataset: SparseVideoDataset,
        *,
        dataset_kwargs: dict[str, Any],
        fingerprint: dict[str, str],
        health: Health | None,
        processes: Processes,
    ) -> None:
        self.run_dir, self.state, self.dataset = run_dir, state, dataset
        self.dataset_kwargs, self.fingerprint = dataset_kwargs, fingerprint
        self.health, self.processes = health, processes

    def find_snapshot(self) -> Path:
        """Return the path of the last snapshot; write a snapshot if somebody has removed all of them."""
        try:
            return checkpoints.find_snapshot(self.run_dir)
        except checkpoints.CheckpointError:
            return self.save_snapshot()

    def save_snapshot(self) -> Path:
        """Write `network-snapshot-{kimg:06d}.pkl` and return its path. Raise `OSError` if there is no room."""
        state = self.state
        path = self.run_dir / f"network-snapshot-{state.num_clips // 1000:06d}.pkl"
        if self.processes.count > 1:
            for network in state.networks.values():
                misc.check_ddp_consistency(network)
        if not self.processes.leads:
            return path
        content: dict[str, Any] = {
            key: None if network is None else copy.deepcopy(network).eval().requires_grad_(requires_grad=False).cpu()
            for key, network in {**state.networks, "augment_pipe": state.augment_pipe}.items()
        }
        content["training_set_kwargs"] = self.dataset_kwargs
        checkpoints.save_snapshot(path, content)
        return path

    def save_state(self) -> Path:
        """Write `training-state-latest.pt` and return its path. Raise `OSError` if there is no room."""
        content = {
            "version": VERSION,
            "num_clips": self.state.num_clips,
            "num_steps": self.state.num_steps,
            "num_items": len(self.dataset),
            "data": {"path": self.dataset.path, "fingerprint": self.fingerprint},
        }
        content |= self.state.state_dict()
        return save_state(self.run_dir, content) if self.processes.leads else self.run_dir / STATE_NAME

    def try_snapshot(self, *, last: bool) -> Path | None:
        """Write a snapshot and return its path; without room say so and return None, except at the last try."""
        return self._try(self.save_snapshot, "the snapshot", last=last)

    def try_state(self, *, last: bool) -> Path | None:
        """Write the state as `try_snapshot` does, if its numbers are finite: the state on disk is always a good state.

        Args:
            last: Whether there is no next try.

        Raises:
            NotFinite: If a loss or a weight is NaN or infinite.
            OSError: If there is no room at the last try.
        """
        self.check_health()
        return self._try(self.save_state, "the state", last=last)

    def check_health(self) -> None:
        """Raise `NotFinite` if a loss or a weight is NaN or infinite; do nothing in a run without a check."""
        if self.health:
            self.health.check([self.state.G, self.state.D])

    def _try(self, write: Callable[[], Path], what: str, *, last: bool) -> Path | None:
        """Return what `write` returns; without room say so and return None: the next try may find room."""
        try:
            return write()
        except OSError as error:
            if last:
                raise OSError(error.errno, f"{what} could not be written ({error.strerror})", error.filename) from None
            reason = error.strerror or type(error).__name__
            print(
                f"{what.capitalize()} could not be written ({reason}). The one before is kept and training goes on; "
                f"make room in {printable(self.run_dir)}.",
                flush=True,
            )
            return None
