"""What may be in `training_options.json`, the document that a run goes on from and that a stranger may have written.

Keys and kinds of values are not listed: they are learned from what `build_config` makes of every preset, once with as
little and once with as much as a user can ask for. A key that is in all of these has to be there. Only ranges and
choices are listed, by the last name of the key.
"""

import functools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any

from stylegan_v_ext.classes import check as check_class
from stylegan_v_ext.classes import shown_value
from stylegan_v_ext.config import PRESETS, TrainOptions, build_config, data_kwargs, follow_source
from stylegan_v_ext.engine.augment import AUGMENTATIONS
from stylegan_v_ext.text import printable

SLOT_OF = {
    "training_set_kwargs": "data set", "G_kwargs": "generator", "D_kwargs": "discriminator", "loss_kwargs": "loss",
    "augment_kwargs": "augmentation", "G_opt_kwargs": "optimizer", "D_opt_kwargs": "optimizer",
}  # fmt: skip
"""The slot of `stylegan_v_ext.classes` that an entry of the document describes."""

_ADDED_LATER = {"metrics", "on_bad_frame", "nan_policy", "allow_tf32", "allow_bf16", "snap_state_minutes"}
_LONGEST_TEXT = 4096
_LONGEST_LIST = 2**20
_INFINITY = float("inf")
_DEFAULT_RANGE = (0, 2**31)
_RANGES: dict[str, tuple[float, float]] = {
    "batch_size": (1, 2**16), "batch_gpu": (1, 2**12), "num_gpus": (1, 2**16), "num_workers": (0, 256),
    "prefetch_factor": (1, 16), "num_videos": (1, 2**31), "num_frames": (1, 1024), "max_dist": (1, 2**31),
    "resolution": (8, 8192), "num_classes": (0, 2**16 + 1), "channel_base": (1, 2**20), "channel_max": (1, 2**14),
    "z_dim": (1, 2**14), "w_dim": (2, 2**14), "code_dim": (1, 2**14), "kernel_size": (1, 255), "num_layers": (1, 64),
    "distance": (1, 2**31), "min_period": (1, 1024), "freeze_layers": (0, 2**31), "mbstd_group_size": (1, 2**12),
    "num_fp16_res": (0, 64), "G_reg_interval": (1, 2**20), "D_reg_interval": (1, 2**20), "betas": (0, 1),
    "w_avg_beta": (0, 1), "augment_p": (0, 1), "ada_target": (0, 1), "style_mixing_prob": (0, 1),
    "random_seed": (0, 2**32 - 1), "seed": (0, 2**32 - 1), "tick": (0, _INFINITY), "snap_state": (0, _INFINITY),
    "kimg_per_tick": (1e-9, _INFINITY), "total_kimg": (1e-9, 1e9),
    "ada_kimg": (1e-9, 1e9), "ema_kimg": (0, 1e9), "max_hours": (0, _INFINITY), "snap_state_minutes": (0, _INFINITY),
}  # fmt: skip
_CHOICES = {
    "on_bad_frame": ("stop", "skip"),
    "nan_policy": ("stop", "ignore"),
    "strategy": ("conv", "lstm"),
    "time_conditioning": ("modulate", "project"),
}


def check_options(document: Any) -> None:
    """Raise `ValueError`, naming the entry, for a document that no run of this program could have written.

    Args:
        document: What `training_options.json` holds.
    """
    _check_value(document, _schema(), "")
    for name, slot in SLOT_OF.items():
        if name in document:
            check_class(slot, document[name])
    _check_together(document)


def _check_together(c: dict[str, Any]) -> None:
    """Raise `ValueError` for entries that are right each by itself and wrong together."""
    if c["batch_size"] % c["batch_gpu"]:
        raise ValueError(f"batch_size {c['batch_size']} is not a multiple of batch_gpu {c['batch_gpu']}")
    frames = {name: c[name]["num_frames"] for name in ("training_set_kwargs", "G_kwargs", "D_kwargs")}
    if len(set(frames.values())) > 1:
        raise ValueError("num_frames differs: " + ", ".join(f"{name} {value}" for name, value in frames.items()))
    if c["ada_target"] is not None and not c.get("augment_kwargs"):
        raise ValueError("ada_target is given without augment_kwargs")
    if bool(c["loss_kwargs"]["pl_weight"]) != (c["G_reg_interval"] is not None):
        raise ValueError("G_reg_interval is for a pl_weight above 0, and no other")


@dataclass
class _Kind:
    """What an entry may be: the types seen for it, of an object its keys, of a list the kind of its elements.

    Attributes:
        always: Keys that all objects had.
        elements: `None` if no list with an element was seen.
        length: Of a list, if all had the same and more than one element; otherwise `None`.
    """

    types: set[type] = field(default_factory=set)
    keys: dict[str, "_Kind"] = field(default_factory=dict)
    always: set[str] = field(default_factory=set)
    elements: "_Kind | None" = None
    length: int | None = None


_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _type_of(value: Any) -> type:
    kinds = {bool: bool, int: int, float: float, str: str, dict: dict, list: list, tuple: list}
    return next((kind for one, kind in kinds.items() if isinstance(value, one)), type(value))


def _learn(values: list[Any]) -> _Kind:
    objects = [value for value in values if isinstance(value, dict)]
    lists = [value for value in values if isinstance(value, (list, tuple))]
    elements = [element for value in lists for element in value]
    lengths = {len(value) for value in lists}
    names = {name for entry in objects for name in entry}
    return _Kind(
        {_type_of(value) for value in values},
        {name: _learn([entry[name] for entry in objects if name in entry]) for name in names},
        {name for name in names if all(name in entry for entry in objects)},
        _learn(elements) if elements else None,
        lengths.pop() if len(lengths) == 1 and max(lengths) > 1 else None,
    )


@functools.cache
def _schema() -> _Kind:
    schema = _learn(list(_examples()))
    schema.always -= _ADDED_LATER
    schema.keys["launch"].types.add(type(None))  # torchrun gives no name
    schema.keys["options"].always.clear()  # what a user left out is not recorded
    return schema


def _examples() -> Iterator[dict[str, Any]]:
    """Documents with everything that a run may write, and some with as little as possible."""
    for cfg in PRESETS:
        frames = 1 if cfg == "stylegan2" else 3
        yield _example(TrainOptions(outdir="", cfg=cfg, data="", aug="noaug", workers=0, num_frames=frames), [])
        for augpipe in AUGMENTATIONS:
            full = TrainOptions(
                outdir="",
                cfg=cfg,
                data="",
                batch=1,
                gamma=0.5,
                aug="ada",
                augpipe=augpipe,
                p=0.5,
                ada_kimg=0.5,
                target=0.5,
                resume="-",
                glr=0.5,
                dlr=0.5,
                num_frames=frames,
                min_period=0.5,
                style_mixing=0.5,
                pl_weight=0.5,
                metrics=[""],
                kimg=0.5,
                max_hours=0.5,
                snap_state=0.5,
                tick=0.5,
                compile=True,
                batch_gpu=1,
                cbase=1,
                motion_distance=1,
                desc="",
                device="cuda",
            )
            yield _example(full, [""])


def _example(options: TrainOptions, exclude: list[str]) -> dict[str, Any]:
    opened = SimpleNamespace(resolution=8, name="", num_frames=options.num_frames, motion_distance=None)
    config = build_config(options, opened, data_kwargs(options, "", exclude))
    config.training_set_kwargs |= {"resolution": 8, "num_classes": 0}
    if options.resume is None:
        return config
    config |= {"num_videos": 1, "launch": "", "options": asdict(options)}
    config |= {"resume_trusted": True, "resume_allow_nan": True}
    mapping = {"num_layers": 2, "lr_multiplier": 0.5, "w_avg_beta": 0.5}
    motion = {"z_dim": 1, "code_dim": 1, "kernel_size": 11}
    source = {
        "c_dim": options.num_frames,
        "num_frames": options.num_frames,
        "use_noise": True,
        "conv_clamp": 0.5,
        "motion_kwargs": motion,
        "mapping_kwargs": mapping,
        "z_dim": 1,
        "w_dim": 1,
        "channel_base": 1,
        "channel_max": 1,
    }
    follow_source(config, source, None, set())
    return config


def _check_value(value: Any, kind: _Kind, path: str) -> None:
    """Raise `ValueError` unless a value is of a kind.

    Args:
        path: Its names from the top, with dots between them.
    """
    where, name, seen = path or "the document", path.rpartition(".")[2], _type_of(value)
    as_float = seen is int and float in kind.types
    as_bool = seen is int and bool in kind.types and value in (0, 1)
    if not (seen in kind.types or as_float or as_bool):
        expected = " or ".join(_NAMES[one] for one in _NAMES if one in kind.types)
        raise ValueError(f"{where} is {shown_value(value)}, expected {expected}")
    if seen is dict:
        _check_keys(value, kind, path)
    elif seen is list:
        if len(value) > _LONGEST_LIST or len(value) != (kind.length or len(value)):
            raise ValueError(f"{where} has {len(value)} elements, expected {kind.length or f'{_LONGEST_LIST} at most'}")
        for element in value:
            _check_value(element, kind.elements or _Kind(), path)
    elif seen is str:
        _check_text(value, where, name)
    elif seen in (int, float):
        low, high = _RANGES.get(name, _DEFAULT_RANGE)
        if not low <= value <= high:  # NaN is in no range
            raise ValueError(f"{where} is {shown_value(value)}, which is not in {low} ... {high}")


def _check_keys(value: dict[str, Any], kind: _Kind, path: str) -> None:
    prefix = f"{path}." if path else ""
    unknown = next((key for key in value if key not in kind.keys), None)
    if unknown is not None:
        raise ValueError(f"{prefix}{printable(unknown, 100)} is an unknown entry")
    missing = min(kind.always - set(value), default=None)
    if missing is not None:
        raise ValueError(f"{prefix}{missing} is missing")
    for key, entry in value.items():
        _check_value(entry, kind.keys[key], prefix + key)


def _check_text(value: str, where: str, name: str) -> None:
    if len(value) > _LONGEST_TEXT or "\0" in value:
        raise ValueError(f"{where} is {shown_value(value)}, a text of {len(value)} characters that nothing here has")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{where} is {shown_value(value)}, which is not one of {', '.join(_CHOICES[name])}")
