"""TensorBoard files of a run."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_v_ext.text import printable

if TYPE_CHECKING:
    from torch.utils import tensorboard


class Board:
    """Writes scalars for TensorBoard if it is installed, until writing fails; the run goes on then.

    Args:
        run_dir: Run folder.
        first_step: First step of this part of the run: TensorBoard hides earlier values from there on. None for a new
            run.
    """

    def __init__(self, run_dir: Path, first_step: int | None = None) -> None:
        self.writer: tensorboard.SummaryWriter | None = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(run_dir), purge_step=first_step)
        except ImportError:
            pass
        except Exception as error:
            self._give_up(error)

    def add(self, values: dict[str, float], step: int) -> None:
        """Add scalars.

        Args:
            values: Scalars by name.
            step: Number under which TensorBoard shows them.
        """
        if self.writer is None:
            return
        try:
            for name, value in values.items():
                self.writer.add_scalar(name, value, global_step=step)
            self.writer.flush()
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            with contextlib.suppress(Exception):  # at most the last values are lost
                self.writer.close()

    def _give_up(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or printable(error) or type(error).__name__
        print(f"TensorBoard files are no longer written ({reason}). Training goes on.", flush=True)
        self.close()
        self.writer = None
