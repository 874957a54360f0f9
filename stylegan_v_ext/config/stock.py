"""The dictionaries of stock training loops and of `training_options.json`, which no other module knows.

A row of the table joins an entry of the document, such as `G_kwargs.z_dim`, with a field of `RunConfig`, such as
`generator.z_dim`. From the rows come both directions and the check of a document by a stranger.
"""

import dataclasses
import functools
from dataclasses import Field
from typing import Any, TypeVar

from stylegan_v_ext.classes import RENAMED
from stylegan_v_ext.classes import check as check_class
from stylegan_v_ext.config.augmentations import TRANSFORMS
from stylegan_v_ext.config.document import Entries, Leaf, check_value, leaf_of
from stylegan_v_ext.config.kinds import kind_of
from stylegan_v_ext.config.options import recorded_fields
from stylegan_v_ext.config.run import RunConfig

_Part = TypeVar("_Part")
SLOT_OF = {
    "training_set_kwargs": "data set",
    "G_kwargs": "generator",
    "D_kwargs": "discriminator",
    "loss_kwargs": "loss",
    "augment_kwargs": "augmentation",
    "G_opt_kwargs": "optimizer",
    "D_opt_kwargs": "optimizer",
}
"""The slot of `stylegan_v_ext.classes` that an entry of the document describes."""

_EVERY = "in every document"
_NEWER = "absent from documents of earlier versions, which meant the default"
_IF_SET = "absent while the value is None, False or empty"
_WITH_PART = "absent, like all entries beside it, while the part of the configuration is None"
_OR_NULL = "null while the part of the configuration is None"

_NETWORK = ("channel_base", "channel_max", "num_fp16_res", "conv_clamp")
_ADAM = ("class_name", "lr", "betas", "eps")
_ROWS: tuple[tuple[str, str, str], ...] = (
    *((f"G_kwargs.{name}", f"generator.{name}", _EVERY) for name in ("class_name", "z_dim", "w_dim", "num_frames")),
    ("G_kwargs.mapping_kwargs.num_layers", "generator.mapping.num_layers", _EVERY),
    ("G_kwargs.mapping_kwargs.lr_multiplier", "generator.mapping.lr_multiplier", _IF_SET),
    ("G_kwargs.mapping_kwargs.w_avg_beta", "generator.mapping.w_avg_beta", _IF_SET),
    ("G_kwargs.use_noise", "generator.use_noise", _EVERY),
    *((f"G_kwargs.{name}", f"generator.{name}", _EVERY) for name in _NETWORK),
    *(
        (f"G_kwargs.motion_kwargs.{name}", f"generator.motion.{name}", _WITH_PART)
        for name in ("z_dim", "code_dim", "distance", "min_period", "amplitude", "strategy")
    ),
    ("G_kwargs.motion_kwargs.kernel_size", "generator.motion.kernel_size", _IF_SET),
    *(
        (f"D_kwargs.{name}", f"discriminator.{name}", _EVERY)
        for name in ("class_name", "num_frames", "time_conditioning")
    ),
    ("D_kwargs.block_kwargs.freeze_layers", "discriminator.freeze_layers", _EVERY),
    ("D_kwargs.mapping_kwargs.num_layers", "discriminator.mapping.num_layers", _EVERY),
    ("D_kwargs.mapping_kwargs.lr_multiplier", "discriminator.mapping.lr_multiplier", _IF_SET),
    ("D_kwargs.epilogue_kwargs.mbstd_group_size", "discriminator.mbstd_group_size", _EVERY),
    *((f"D_kwargs.{name}", f"discriminator.{name}", _EVERY) for name in _NETWORK),
    ("G_reg_interval", "generator_optimizer.reg_interval", _EVERY),
    ("D_reg_interval", "discriminator_optimizer.reg_interval", _EVERY),
    *((f"G_opt_kwargs.{name}", f"generator_optimizer.{name}", _EVERY) for name in _ADAM),
    *((f"D_opt_kwargs.{name}", f"discriminator_optimizer.{name}", _EVERY) for name in _ADAM),
    *(
        (f"loss_kwargs.{name}", f"loss.{name}", _EVERY)
        for name in ("class_name", "r1_gamma", "style_mixing_prob", "pl_weight")
    ),
    ("loss_kwargs.compiled", "loss.compiled", _IF_SET),
    *(
        (f"training_set_kwargs.{name}", f"data.{name}", _EVERY)
        for name in (
            "class_name",
            "path",
            "use_labels",
            "xflip",
            "num_frames",
            "max_dist",
            "exclude",
            "resolution",
            "num_classes",
        )
    ),
    ("data_loader_kwargs.num_workers", "loader.num_workers", _EVERY),
    ("data_loader_kwargs.prefetch_factor", "loader.prefetch_factor", _IF_SET),
    ("augment_kwargs.class_name", "augmentation.class_name", _WITH_PART),
    ("augment_kwargs.*", "augmentation.strengths", _WITH_PART),
    ("augment_p", "ada.p", _EVERY),
    ("ada_target", "ada.target", _EVERY),
    ("ada_kimg", "ada.kimg", _EVERY),
    ("ema_kimg", "average.kimg", _EVERY),
    ("ema_rampup", "average.rampup", _EVERY),
    ("resume_pkl", "start.path", _OR_NULL),
    ("batch_size", "batch.size", _EVERY),
    ("batch_gpu", "batch.per_gpu", _EVERY),
    ("num_gpus", "batch.num_gpus", _EVERY),
    ("total_kimg", "schedule.total_kimg", _EVERY),
    ("kimg_per_tick", "schedule.kimg_per_tick", _EVERY),
    ("max_hours", "schedule.max_hours", _EVERY),
    ("snap_state_minutes", "schedule.snap_state_minutes", _NEWER),
    ("image_snapshot_ticks", "schedule.image_snapshot_ticks", _EVERY),
    ("network_snapshot_ticks", "schedule.network_snapshot_ticks", _EVERY),
    ("metrics", "schedule.metrics", _NEWER),
    ("on_bad_frame", "machine.on_bad_frame", _NEWER),
    ("nan_policy", "machine.nan_policy", _NEWER),
    ("random_seed", "machine.random_seed", _EVERY),
    ("cudnn_benchmark", "machine.cudnn_benchmark", _EVERY),
    ("allow_tf32", "machine.allow_tf32", _NEWER),
    ("allow_bf16", "machine.allow_bf16", _NEWER),
    ("device", "machine.device", _EVERY),
    ("run_desc", "name", _EVERY),
    ("num_videos", "num_videos", _IF_SET),
    ("resume_trusted", "start.trusted", _IF_SET),
    ("resume_allow_nan", "start.allow_nan", _IF_SET),
    ("options", "options", _IF_SET),
    ("launch", "launch", _IF_SET),
)
_PARTS = {
    "G_kwargs.motion_kwargs": "generator.motion",
    "augment_kwargs": "augmentation",
    "resume_pkl": "start",
}
"""Entries that are absent or null while a part of the configuration is None."""


def to_stock(config: RunConfig) -> dict[str, Any]:
    """Return a run as the dictionaries of stock training loops, as plain JSON values.

    Args:
        config: The run.

    Returns:
        The document that `training_options.json` holds.
    """
    document: dict[str, Any] = {}
    for entry, place, presence in _ROWS:
        part, _, name = place.rpartition(".")
        owner = _part(config, part)
        if owner is None and presence != _OR_NULL:
            continue
        value = None if owner is None else getattr(owner, name)
        if presence == _IF_SET and (value is None or value is False or value == {}):
            continue
        _put(document, entry, list(value) if isinstance(value, tuple) else value)
    return document


def from_stock(document: object) -> RunConfig:
    """Read a run from a document, which a stranger or an earlier version may have written.

    Args:
        document: What `training_options.json` holds.

    Returns:
        The run. Classes have their names of today.

    Raises:
        ValueError: If no run of this program could have written the document; the message names the entry.
    """
    checked = _checked(document)
    values: dict[str, Any] = {}
    for entry, place, presence in _ROWS:
        found, value = _find(checked, entry)
        if not found and presence == _IF_SET:
            found, value = True, _unset(_field(place))
        if found:
            _put(values, place, _restored(_field(place), value))
    for entry, place in _PARTS.items():
        found, value = _find(checked, entry)
        if not found or value is None:
            _put(values, place, None)
    return _made(RunConfig, values)


def _checked(document: object) -> dict[str, Any]:
    """Check a document by a stranger.

    Args:
        document: What `training_options.json` holds.

    Returns:
        The document itself.

    Raises:
        ValueError: If no run of this program could have written the document; the message names the entry.
    """
    check_value(document, _expected())
    assert isinstance(document, dict)
    for name, slot in SLOT_OF.items():
        if name in document:
            check_class(slot, document[name])
    return document


def _put(target: dict[str, Any], path: str, value: object) -> None:
    """Put a value into nested dictionaries; `*` stands for all names of a dictionary."""
    *parents, last = path.split(".")
    for name in parents:
        target = target.setdefault(name, {})
    if last == "*":
        assert isinstance(value, dict)
        target.update(value)
    else:
        target[last] = value


def _find(document: dict[str, Any], path: str) -> tuple[bool, Any]:
    """Return whether nested dictionaries have an entry, and its value; `*` is all entries but the class."""
    value: Any = document
    for name in path.split("."):
        if name == "*":
            return True, {key: entry for key, entry in value.items() if key != "class_name"}
        if name not in value:
            return False, None
        value = value[name]
    return True, value


def _part(config: RunConfig, path: str) -> object:
    """Return the part of a run at a path such as "generator.motion"; None if it, or what holds it, is None."""
    part: object = config
    for name in path.split(".") if path else []:
        part = None if part is None else getattr(part, name)
    return part


@functools.cache
def _field(path: str) -> Field:
    """Return the field of the configuration at a path such as "generator.z_dim"."""
    owner: type = RunConfig
    *parents, last = path.split(".")
    for name in parents:
        owner = kind_of(_fields(owner)[name].type).base
    return _fields(owner)[last]


def _fields(part: type) -> dict[str, Field]:
    return {field.name: field for field in dataclasses.fields(part)}  # type: ignore[arg-type]


def _unset(field: Field) -> object:
    """Return the value that an absent entry stands for."""
    kind = kind_of(field.type)
    return None if kind.optional else kind.base()


def _restored(field: Field, value: object) -> object:
    """Return the value of a field from the value of its entry in a document."""
    if kind_of(field.type).base is bool:
        return bool(value)
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, str) and field.name == "class_name":
        return RENAMED.get(value, value)
    return value


def _made(part: type[_Part], values: dict[str, Any]) -> _Part:
    """Make a part of the configuration from nested dictionaries."""
    bases = {name: kind_of(field.type).base for name, field in _fields(part).items()}
    return part(
        **{
            name: _made(bases[name], value) if dataclasses.is_dataclass(bases[name]) and value is not None else value
            for name, value in values.items()
        }
    )


@functools.cache
def _expected() -> Entries:
    """Return what a document may hold, from the fields that its entries stand for."""
    top = Entries()
    for entry, place, presence in _ROWS:
        *parents, last = entry.split(".")
        inside = top
        for name in parents:
            if presence == _EVERY:
                inside.always.add(name)
            inside = _inside(inside, name)
        if last == "*":
            inside.keys |= {name: Leaf(types={float}) for name in TRANSFORMS}
            continue
        if presence in (_EVERY, _WITH_PART, _OR_NULL):
            inside.always.add(last)
        leaf = leaf_of(_field(place))
        inside.keys[last] = dataclasses.replace(leaf, types=leaf.types | {type(None)}) if presence == _OR_NULL else leaf
    top.keys["options"] = Entries(keys={field.name: leaf_of(field) for field in recorded_fields()})
    return top


def _inside(entries: Entries, name: str) -> Entries:
    found = entries.keys.setdefault(name, Entries())
    assert isinstance(found, Entries)
    return found
