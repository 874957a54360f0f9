"""What may change when a run goes on: the fields of `TrainOptions` say so themselves."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from stylegan_v_ext.config.build import loader_config
from stylegan_v_ext.config.fields import check_bounds, option_name, setting_of
from stylegan_v_ext.config.kinds import check_kind, kind_of
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
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    _check_changes(config, changes, run)
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


def _check_changes(config: RunConfig, changes: Mapping[str, Any], run: object) -> None:
    recorded = {field.name: field for field in recorded_fields()}
    known = {field.name for field in dataclasses.fields(TrainOptions)}
    unknown = next((name for name in changes if name not in known), None)
    if unknown is not None:
        raise ValueError(f"{unknown} is no option of a training; the options are {', '.join(sorted(known))}")
    differing = []
    for name, value in changes.items():
        if name not in recorded:
            continue
        field, before = recorded[name], config.options.get(name)
        check_kind(option_name(field), value, kind_of(field.type))
        check_bounds(option_name(field), value, setting_of(field))
        if not setting_of(field).may_change and before != value:
            differing.append(f"{option_name(field)} was {printable(before, 100)}, now {value}")
    if differing:
        raise ValueError(
            f"{run} was started with other options ({'; '.join(differing)}); leave them out to go on, or start a "
            "new run with --resume=SNAPSHOT"
        )
