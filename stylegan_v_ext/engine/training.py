"""A whole run in its folder: a new run, or a run that goes on."""

import errno
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dnnlib
from stylegan_v_ext.config.run import RunConfig
from stylegan_v_ext.config.stock import from_stock, to_stock
from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.engine import records
from stylegan_v_ext.engine.folder import held
from stylegan_v_ext.engine.going_on import check_going_on
from stylegan_v_ext.engine.saved_state import load_state, record_data, save_options
from stylegan_v_ext.engine.trainer import Trainer

__all__ = ["resume", "train"]

_lock = threading.Lock()


@contextmanager
def _only_training() -> Iterator[None]:
    """Raise `ValueError` if this process is training already; random states and the log belong to the process."""
    if not _lock.acquire(blocking=False):
        raise ValueError("this process is training already; wait for the other training, or start another process")
    try:
        yield
    finally:
        _lock.release()


@_only_training()
def train(config: RunConfig, run_dir: str | Path, processes: Processes = ALONE) -> Path:
    """Train a new run in a new or empty folder, with a log.

    Args:
        config: Configuration of the run (`config.build_config`).
        run_dir: Run folder; it is made if it is not there.
        processes: This process among all that train together (`distributed.join`).

    Returns:
        Path of the last snapshot.

    Raises:
        StoppedBySignal: If a signal ended the run; everything is saved.
        FileExistsError: If the folder holds files already.
        ValueError: If the run could not go on later with this configuration, if another thread trains, or as
            `trainer.Trainer.run` says.
    """
    run_dir = Path(run_dir)
    from_stock(to_stock(config))
    trainer = Trainer(config, run_dir, None, processes)  # before the folder is made: options that fail leave no folder
    if processes.leads:
        run_dir.mkdir(parents=True, exist_ok=True)
    with held(run_dir, processes):
        if processes.leads:
            if any(run_dir.iterdir()):
                raise FileExistsError(errno.EEXIST, "it holds files already", str(run_dir))
            save_options(run_dir, config)
        return _run(trainer)


def resume(config: RunConfig, run_dir: str | Path, processes: Processes = ALONE, data: str | None = None) -> Path:
    """Go on with a run from its `training-state-latest.pt`, and add to its files.

    Args:
        config: Configuration of the run (`saved_state.load_options`), perhaps with another length.
        run_dir: Run folder. It is held from before the state is read until everything is written.
        processes: This process among all that train together (`distributed.join`).
        data: Place of the run's data now; None for the place that the configuration names.

    Returns:
        Path of the last snapshot.

    Raises:
        StoppedBySignal: If a signal ended the run; everything is saved.
        ValueError: If the state or the data do not fit, if another thread trains, or as `trainer.Trainer.run` says.
    """
    run_dir = Path(run_dir)
    with held(run_dir, processes), _only_training():
        state = load_state(run_dir)
        config = check_going_on(config, run_dir, state, data)
        trainer = Trainer(config, run_dir, state, processes)
        if processes.leads:
            record_data(run_dir, config.data.path)
        return _run(trainer)


def _run(trainer: Trainer) -> Path:
    """Train, in the leading process with a log; end the data workers."""
    with closing(trainer.gan_step.batches):
        if not trainer.processes.leads:
            return trainer.run()
        if trainer.resumed:
            state = trainer.state
            records.rewind(trainer.run_dir, state.progress.tick, state.num_clips, trainer.config.schedule.metrics)
        with dnnlib.util.Logger(str(trainer.run_dir / "log.txt"), file_mode="a"):
            return trainer.run()
