"""TensorBoard files of a run."""

import contextlib
from pathlib import Path
from typing import Any

from stylegan_v_ext.text import printable


class Board:
    """Writes scalars for TensorBoard if it is installed, until it fails; that is said once, and the run goes on."""

    def __init__(self, run_dir: Path, first_step: int | None = None) -> None:
        """first_step: what earlier parts of the run wrote from that step on is not to be shown; None for a new run."""
        self.writer: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(run_dir), purge_step=first_step)
        except ImportError:
            pass
        except Exception as error:
            self._give_up(error)

    def add(self, values: dict[str, float], step: int) -> None:
        """Add scalars by name at a step."""
        if self.writer is None:
            return
        try:
            for name, value in values.items():
                self.writer.add_scalar(name, value, global_step=step)
            self.writer.flush()
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        if self.writer is not None:
            with contextlib.suppress(Exception):  # the last values, at most
                self.writer.close()

    def _give_up(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or printable(error) or type(error).__name__
        print(f"TensorBoard files are no longer written ({reason}). Training goes on.", flush=True)
        self.close()
        self.writer = None
