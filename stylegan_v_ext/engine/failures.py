"""What a user can do if a run cannot go on: sentences for messages."""

import shlex
from pathlib import Path

from stylegan_v_ext.config.run import BatchConfig
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


def after_out_of_memory(run_dir: Path, batch: BatchConfig) -> str:
    """Return what to do after memory ran out.

    Args:
        run_dir: Run folder.
        batch: Sizes of a batch.
    """
    smaller = next((part for part in range(batch.per_gpu // 2, 0, -1) if batch.size % part == 0), 1)
    cure = f"--batch-gpu={smaller}" if batch.per_gpu > 1 else "smaller --cbase and --cmax"
    return f"out of memory with --batch-gpu={batch.per_gpu}; go on with --resume={shlex.quote(str(run_dir))} {cure}"
