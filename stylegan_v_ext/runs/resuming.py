"""Resume: going on with a run in its folder, exactly where it stopped."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_v_ext import engine
from stylegan_v_ext.arguments import path_of, whole
from stylegan_v_ext.config import RunConfig, TrainOptions, go_on
from stylegan_v_ext.config.fields import setting_of
from stylegan_v_ext.data.remote import absolute
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.engine.evaluation import check_run_metrics
from stylegan_v_ext.engine.going_on import check_going_on
from stylegan_v_ext.engine.saved_state import load_options, load_state
from stylegan_v_ext.networks import precision
from stylegan_v_ext.runs.demo_data import is_demo_data
from stylegan_v_ext.runs.folder import latest_run
from stylegan_v_ext.runs.plan import launch_name
from stylegan_v_ext.runs.processes import check_alone, restarted
from stylegan_v_ext.text import say


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """The next part of a run.

    Attributes:
        run_dir: Folder of the run.
        config: The run, with the changes for this part.
        data: Place of its data now; None if they are where they were.
        notes: Sentences that the user should read before the run goes on.
    """

    run_dir: Path
    config: RunConfig
    data: str | None = None
    notes: tuple[str, ...] = ()


def resume(run_dir: str | Path, **changes: object) -> Path:
    """Go on with a run in this process, as if it had never stopped: on a CPU with the same numbers to the bit.

    Args:
        run_dir: Folder of the run.
        changes: Options that may change when a run goes on, such as `kimg=200`, by the names of `TrainOptions`; `data`
            says where the data moved to, and `device` is "auto" unless it is given.

    Returns:
        The last snapshot.

    Raises:
        ValueError: If the run cannot go on, or if another thread of this process trains; the message names the remedy.
        OSError: If the run folder cannot be written.
        StoppedBySignal: If a signal such as Ctrl-C ended the run, after everything was saved.
    """
    check_alone("resume", whole("gpus", changes.get("gpus", 1), low=1))
    _check_changes(changes)
    part = reopen(run_dir, changes)
    say(f"Run folder: {part.run_dir}", *part.notes)
    return train_on(part)


def _check_changes(changes: Mapping[str, object]) -> None:
    """Raise `ValueError` for options that would change nothing."""
    idle = [field.name for field in dataclasses.fields(TrainOptions) if setting_of(field).begins]
    useless = next((name for name in changes if name in idle), None)
    if useless is not None:
        raise ValueError(f"{useless}={changes[useless]!r} has an effect only when a run begins; leave it out")


def reopen(
    run_dir: str | Path,
    changes: Mapping[str, Any],
    *,
    device: str | None = None,
    processes: Processes = ALONE,
) -> Continuation:
    """Read the options of a run, and change what the user wants to change.

    Args:
        run_dir: Folder of the run.
        changes: Options by the names of `TrainOptions`.
        device: Device of this process; None chooses the device in `changes`, or "auto".
        processes: All processes of the run.

    Returns:
        The next part of the run.

    Raises:
        ValueError: If the folder holds no run, or an option may not change.
    """
    run_dir = path_of("run_dir", run_dir)
    if not run_dir.is_dir():
        raise ValueError(f"{run_dir} is no folder; name the folder of a run, such as runs/00000-stylegan-v-clips")
    if device is None:
        device = str(pick_device(str(changes.get("device", "auto"))))
    here = {"device": device, "gpus": processes.count}
    config = go_on(load_options(run_dir), {**changes, **here}, run=run_dir)
    processes.from_leader(lambda: check_run_metrics(config.schedule.metrics, config.data.num_frames))
    notes = []
    if device == "cpu" and config.machine.allow_bf16 and not precision.has_fast_bfloat16():
        notes.append(
            "Note: this CPU has no matrix units for bfloat16, which the run began with; it goes on in float32."
        )
    return Continuation(
        run_dir=run_dir, config=config, data=_new_place(changes.get("data"), config), notes=tuple(notes)
    )


def check(part: Continuation) -> None:
    """Check whether a run can go on, without doing it.

    Args:
        part: What `reopen` returned.

    Raises:
        ValueError: If the state cannot be read, or nothing is left to train.
    """
    check_going_on(part.config, part.run_dir, load_state(part.run_dir), part.data)


def train_on(part: Continuation, processes: Processes = ALONE) -> Path:
    """Train the next part of a run.

    Args:
        part: What `reopen` returned.
        processes: All processes of the run.

    Returns:
        The last snapshot.

    Raises:
        ValueError: If the state or the data do not fit the run, or its numbers become NaN.
        OSError: If the run folder cannot be written.
        StoppedBySignal: If a signal ended the run, after everything was saved.
    """
    return engine.resume(part.config, part.run_dir, processes, data=part.data)


def run_to_go_on(resume: str | None, outdir: str, processes: Processes = ALONE) -> Path | None:
    """Find the run folder that a command goes on with.

    Args:
        resume: Value of --resume: a run folder, "latest", a checkpoint, or None.
        outdir: Folder of the run folders.
        processes: All processes of the run; they have to call this function together.

    Returns:
        The folder that `resume` names, or that all processes began before torchrun started them again; None for a new
        run.

    Raises:
        ValueError: If there is no latest run.
    """
    again = restarted(processes)
    return processes.from_leader(lambda: _run_to_go_on(resume, outdir, again=again))


def _run_to_go_on(resume: str | None, outdir: str, *, again: bool) -> Path | None:
    if resume is None and again:
        run_dir = latest_run(outdir)
        # The latest run may belong to another launch; these processes must not go on with it.
        return run_dir if run_dir is not None and load_options(run_dir).launch == launch_name() else None
    if resume == "latest":
        run_dir = latest_run(outdir)
        if run_dir is None:
            raise ValueError(f"--resume=latest: no run folder in {outdir} holds a state to go on from; check --outdir")
        return run_dir
    return Path(resume) if resume is not None and Path(resume).is_dir() else None


def _new_place(data: str | None, config: RunConfig) -> str | None:
    """Return the new place of the data; None if they are where they were."""
    if data is None:
        return None
    if data != "demo":
        return absolute(data)
    if not is_demo_data(config.data.path):
        raise ValueError(f"--data=demo: the run's data are {config.data.path}; leave --data out to go on")
    return None
