"""What a user can do if a run cannot go on: sentences for messages."""

import shlex
from pathlib import Path

from stylegan_v_ext.engine.saved_state import load_state

__all__ = ["after_not_finite", "after_out_of_memory"]


def after_not_finite(run_dir: Path) -> str:
    """Return what to do after a loss or a weight became NaN or infinite.

    Args:
        run_dir: Run folder, which holds the last good state.
    """
    kept = load_state(run_dir)["num_steps"]
    return (
        f"; the last good state, of step {kept}, is kept. Start anew from a snapshot with a smaller --glr and "
        "--dlr or another --gamma, or go on over it by "
        f"--resume={shlex.quote(str(run_dir))} --nan-policy=ignore"
    )


def after_out_of_memory(run_dir: Path, batch_size: int, batch_gpu: int) -> str:
    """Return what to do after memory ran out.

    Args:
        run_dir: Run folder.
        batch_size: Clips of a step.
        batch_gpu: Clips of a round.
    """
    smaller = next((part for part in range(batch_gpu // 2, 0, -1) if batch_size % part == 0), 1)
    cure = f"--batch-gpu={smaller}" if batch_gpu > 1 else "smaller --cbase and --cmax"
    return f"out of memory with --batch-gpu={batch_gpu}; go on with --resume={shlex.quote(str(run_dir))} {cure}"
