"""What may change when a run goes on: the fields of `TrainOptions` say so themselves."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from stylegan_v_ext.config.build import loader_config
from stylegan_v_ext.config.fields import checked, option_name, setting_of
from stylegan_v_ext.config.options import TrainOptions, recorded_fields
from stylegan_v_ext.config.run import RunConfig
from stylegan_v_ext.text import printable

_SCHEDULE = {
    "kimg": "total_kimg",
    "max_hours": "max_hours",
    "snap_state": "snap_state_minutes",
    "tick": "kimg_per_tick",
    "metrics": "metrics",
}
_MACHINE = ("device", "on_bad_frame", "nan_policy")
_BATCH = {"batch_gpu": "per_gpu", "gpus": "num_gpus"}


def go_on(config: RunConfig, changes: Mapping[str, Any], *, run: object = "the run") -> RunConfig:
    """Change the options of a run that goes on.

    Args:
        config: The run as it began.
        changes: Values by the names of `TrainOptions`. All options may be given with the value that they had. Options
            that act only when a run begins, such as "outdir", and "data", which the engine takes by itself, change
            nothing here.
        run: What the message calls the run, such as its folder.

    Returns:
        The run to go on with.

    Raises:
        ValueError: If an option may not change, and has another value than before; if a value is out of bounds.
    """
    changes = _checked_changes(changes)
    _check_allowed(config, changes, run)
    schedule = {field: changes[name] for name, field in _SCHEDULE.items() if name in changes}
    if "snap" in changes:
        schedule |= {"image_snapshot_ticks": changes["snap"], "network_snapshot_ticks": changes["snap"]}
    machine = {name: changes[name] for name in _MACHINE if name in changes}
    if "nobench" in changes:
        machine["cudnn_benchmark"] = not changes["nobench"]
    batch = {field: changes[name] for name, field in _BATCH.items() if name in changes}
    return dataclasses.replace(
        config,
        schedule=dataclasses.replace(config.schedule, **schedule),
        machine=dataclasses.replace(config.machine, **machine),
        batch=dataclasses.replace(config.batch, **batch),
        loader=loader_config(changes["workers"]) if "workers" in changes else config.loader,
    )


def _checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name: field for field in dataclasses.fields(TrainOptions)}
    unknown = next((name for name in changes if name not in known), None)
    if unknown is not None:
        raise ValueError(f"{unknown} is no option of a training; the options are {', '.join(sorted(known))}")
    return {name: checked(known[name], value) for name, value in changes.items()}


def _may_change(field: dataclasses.Field) -> bool:
    facts = setting_of(field)
    return facts.may_change or facts.begins


def _check_allowed(config: RunConfig, changes: Mapping[str, Any], run: object) -> None:
    fixed = {field.name: field for field in recorded_fields() if not _may_change(field)}
    differing = []
    for name in (name for name in changes if name in fixed):
        before, now = config.options.get(name), changes[name]
        if before != now:
            differing.append(f"{option_name(fixed[name])} was {printable(before, 100)}, now {now}")
    if differing:
        raise ValueError(
            f"{run} was started with other options ({'; '.join(differing)}); leave them out to go on, or start a "
            "new run with --resume=SNAPSHOT"
        )
