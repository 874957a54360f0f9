"""Beginning a run: in a new folder, with the built-in engine or with the training loop of a host."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from stylegan_v_ext import engine, host
from stylegan_v_ext.arguments import check_type, path_of
from stylegan_v_ext.config import RunConfig, TrainOptions
from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.engine.saved_state import OPTIONS_NAME
from stylegan_v_ext.runs.folder import make_run_dir
from stylegan_v_ext.runs.plan import prepare
from stylegan_v_ext.runs.processes import check_alone
from stylegan_v_ext.text import say


def train(options: TrainOptions, *, run_dir: str | Path | None = None) -> Path:
    """Train a new model in this process.

    The data are checked first. A run folder holds `training_options.json`, `training-state-latest.pt`, from which
    `resume` goes on, `network-snapshot-*.pkl`, `log.txt`, `stats.jsonl` and samples. The same options give the same
    numbers as `train.py` does, on a CPU to the bit.

    Args:
        options: What to train. `gpus` has to be 1, except in a host: `train.py --gpus` starts several processes.
        run_dir: Folder of the run, new or empty; None makes a numbered folder in `options.outdir`.

    Returns:
        The last snapshot, whose folder is the run folder.

    Raises:
        ValueError: If the run cannot begin, if another thread of this process trains, or if its numbers become NaN;
            the message names the remedy.
        OSError: If the run folder cannot be written.
        StoppedBySignal: If a signal such as Ctrl-C ended the run, after everything was saved.
    """
    check_type("options", options, TrainOptions)
    _check_new(options)
    if options.host is None:
        check_alone("train", options.gpus)
    with inside(options.host) as checkout:
        plan = prepare(replace(options, host=checkout))
        say(*plan.notes)
        return start(plan.config, options.outdir, run_dir=run_dir, host=checkout)


def _check_new(options: TrainOptions) -> None:
    """Raise `ValueError` if the options ask to go on with a run, which is the work of `resume`."""
    source = options.resume
    if source == "latest" or (source is not None and (Path(source) / OPTIONS_NAME).exists()):
        raise ValueError(
            f"resume={source!r} goes on with a run: call resume(run_dir) for that, or name a snapshot to start a new "
            "run from its networks"
        )


def start(
    config: RunConfig,
    outdir: str | Path,
    *,
    run_dir: str | Path | None = None,
    host: str | None = None,
    processes: Processes = ALONE,
) -> Path:
    """Train in a new run folder.

    Args:
        config: The run, from `prepare`.
        outdir: Folder of the run folders.
        run_dir: Folder of the run, new or empty; None makes a numbered folder in `outdir`.
        host: Folder of a checkout whose training loop is used; None uses the built-in engine.
        processes: All processes of the run.

    Returns:
        The last snapshot.

    Raises:
        ValueError: If the run cannot begin, or its numbers become NaN.
        OSError: If the run folder cannot be written.
        StoppedBySignal: If a signal ended the run, after everything was saved.
    """
    folder = path_of("run_dir", run_dir) if run_dir is not None else None
    if folder is None:
        folder = processes.from_leader(lambda: make_run_dir(outdir, config.name))
    say(f"Run folder: {folder}")
    try:
        if host is not None:
            from stylegan_v_ext.host.train import train as train_in_host

            return train_in_host(config, folder, host)
        return engine.train(config, folder, processes)
    finally:
        if run_dir is None:
            with contextlib.suppress(OSError):
                folder.rmdir()  # an empty folder is left if nothing came of the run


@contextlib.contextmanager
def inside(path: str | None) -> Iterator[str | None]:
    """Enter a host for the block.

    Args:
        path: Folder of a checkout; None enters nothing.

    Yields:
        Absolute path of the checkout, or None.

    Raises:
        ValueError: If the checkout cannot be entered.
    """
    if path is None:
        yield None
        return
    with host.entered(path) as checkout:
        yield str(checkout.path)
