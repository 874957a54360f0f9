"""Whether a run can go on from a state: every entry is looked at before any of them is used.

A state may come from a stranger, or from another program under the same name. What is refused is named.
"""

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

import torch

from stylegan_v_ext.classes import shown_value
from stylegan_v_ext.data.fingerprint import PARTS
from stylegan_v_ext.engine.state import NETWORKS, OPTIMIZERS, TrainingState
from stylegan_v_ext.text import printable

__all__ = ["VERSION", "check_fit", "check_layout"]

VERSION = 1
_REQUIRED = (
    "version",
    "num_clips",
    "num_steps",
    "num_items",
    "networks",
    "optimizers",
    "augment_p",
    "pl_mean",
    "ada_stats",
    "statistics",
    "progress",
)
_MOST_STEPS = 2**31  # all random draws of a step are seeded with its number
_MOST_CLIPS = 2**33
_MOST_STATISTICS = 1000
_LARGEST_SUM = 1e100  # far above the squares of any float32
_ADAM = {"step", "exp_avg", "exp_avg_sq"}
_OF_THE_DEVICE = {"params", "foreach", "fused", "capturable", "differentiable"}  # entries of an optimizer's group


def check_layout(content: object) -> None:
    """Check that a state has the entries of its version, each of its kind and in its range.

    Args:
        content: Content of a file; anything.

    Raises:
        ValueError: If an entry is missing, unknown or wrong; the message names it.
    """
    state = _keys(content, "the state", {"version"}, free=True)
    if type(state["version"]) is not int or state["version"] != VERSION:
        raise ValueError(f"it is of version {shown_value(state['version'])}, this program reads {VERSION}")
    _keys(state, "the state", _REQUIRED, {"data"})
    for name, most in (("num_clips", _MOST_CLIPS), ("num_steps", _MOST_STEPS), ("num_items", _MOST_CLIPS)):
        _whole(state[name], name, most)
    _number(state["augment_p"], "augment_p", 1)
    _tensor(state["pl_mean"], "pl_mean", torch.float32, [], finite=False)
    _keys(state["networks"], "networks", NETWORKS)
    for name in NETWORKS:
        _table(state["networks"][name], f"networks.{name}", str)
    _keys(state["optimizers"], "optimizers", OPTIMIZERS)
    for name in OPTIMIZERS:
        _optimizer(state["optimizers"][name], f"optimizers.{name}")
    totals = _totals(state["statistics"], "statistics")
    _collector(state["ada_stats"], "ada_stats", totals)
    _progress(state["progress"], totals)
    if "data" in state:
        _data(state["data"])


def check_fit(state: dict[str, Any], fresh: TrainingState, *, batch_size: int, finite: bool) -> None:
    """Check that a run can go on from a state.

    Args:
        state: Content of a file, of the layout that `check_layout` wants.
        fresh: Training state at the start of a run with the run's own options.
        batch_size: Clips of a step.
        finite: Whether all weights and moments have to be finite.

    Raises:
        ValueError: If an entry does not fit; the message names it.
    """
    if state["num_clips"] != state["num_steps"] * batch_size:
        raise ValueError(f"{state['num_clips']} clips are not {state['num_steps']} steps of {batch_size}")
    for name, network in fresh.networks.items():
        _same_tensors(state["networks"][name], network.state_dict(), f"networks.{name}")
    for name, optimizer in fresh.optimizers.items():
        parameters = list(fresh.networks[OPTIMIZERS[name]].parameters())
        _fits_optimizer(state["optimizers"][name], optimizer, parameters, state["num_steps"], name)
    if finite:
        _finite(state)


def _keys(
    value: object, where: str, required: Collection[str], optional: Collection[str] = (), *, free: bool = False
) -> dict[str, Any]:
    """Return a value that is a dictionary of these keys. Raise `ValueError` for any other value.

    Args:
        value: Anything.
        where: Name of the value for messages.
        required: Keys that have to be there.
        optional: Keys that may be there.
        free: Whether other keys may be there, too.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{where} is a {type(value).__name__}, expected a dictionary")
    missing = next((key for key in required if key not in value), None)
    if missing is not None:
        raise ValueError(f"{where} has no {missing}")
    unknown = next((key for key in value if key not in required and key not in optional), None)
    if unknown is not None and not free:
        raise ValueError(f"{where} has an unknown entry {printable(unknown, 100)}")
    return value


def _whole(value: object, where: str, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{where} is {shown_value(value)}, expected a whole number of 0 ... {most}")


def _number(value: object, where: str, most: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{where} is {shown_value(value)}, expected a number of 0 ... {most}")


def _tensor(
    value: object, where: str, dtype: torch.dtype, shape: Collection[int], *, finite: bool = True
) -> torch.Tensor:
    """Return a value that is a tensor of this type and shape. Raise `ValueError` for any other value."""
    if not isinstance(value, torch.Tensor):
        raise ValueError(f"{where} is a {type(value).__name__}, expected a tensor")
    if value.dtype != dtype or list(value.shape) != list(shape):
        raise ValueError(f"{where} is a tensor {list(value.shape)} of {value.dtype}, expected {list(shape)} of {dtype}")
    if finite and not torch.isfinite(value).all():
        raise ValueError(f"{where} is NaN or infinite")
    return value


def _table(value: object, where: str, key_type: type) -> dict[str, torch.Tensor]:
    """Return a value that is a dictionary of tensors. Raise `ValueError` for any other value."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is a {type(value).__name__}, expected a dictionary")
    for key, entry in value.items():
        if type(key) is not key_type:
            raise ValueError(f"{where} has a {type(key).__name__} for a name")
        if not isinstance(entry, torch.Tensor):
            raise ValueError(f"{where}.{printable(key, 100)} is a {type(entry).__name__}, expected a tensor")
    return value


def _optimizer(content: object, where: str) -> None:
    value = _keys(content, where, {"state", "param_groups"})
    groups = value["param_groups"]
    if not isinstance(groups, list) or len(groups) != 1 or not isinstance(groups[0], dict):
        raise ValueError(f"{where}.param_groups is not a list of one dictionary")
    if not isinstance(value["state"], dict):
        raise ValueError(f"{where}.state is a {type(value['state']).__name__}, expected a dictionary")
    for number, entry in value["state"].items():
        _whole(number, f"a parameter's number in {where}.state", _MOST_CLIPS)
        _keys(entry, f"{where}.state.{number}", _ADAM)
        _table(entry, f"{where}.state.{number}", str)


def _totals(content: object, where: str) -> dict[str, torch.Tensor]:
    """Return content that is count, sum and sum of squares by name. Raise `ValueError` for any other content."""
    value = _table(content, where, str)
    if len(value) > _MOST_STATISTICS:
        raise ValueError(f"{where} has {len(value)} entries, more than {_MOST_STATISTICS}")
    for name, moments in value.items():
        if printable(name, 200) != name:
            raise ValueError(f"{where} has the name {printable(name, 60)}, which cannot be shown")
        _tensor(moments, f"{where}.{name}", torch.float64, [3])
        if moments.abs().max() > _LARGEST_SUM:
            raise ValueError(f"{where}.{name} has sums above {_LARGEST_SUM:g}")
        if moments[0] < 0 or moments[2] < 0 or moments[0] != moments[0].round():
            raise ValueError(f"{where}.{name} is no count, sum and sum of squares")
    return value


def _collector(content: object, where: str, totals: dict[str, torch.Tensor]) -> None:
    value = _keys(content, where, {"seen", "change"})
    _totals(value["change"], f"{where}.change")
    for name, moments in _totals(value["seen"], f"{where}.seen").items():
        if name not in totals or moments[0] > totals[name][0]:
            raise ValueError(f"{where}.seen.{name} is more than there was")


def _progress(content: object, totals: dict[str, torch.Tensor]) -> None:
    value = _keys(content, "progress", {"tick", "next_tick", "seconds", "collector"})
    _whole(value["tick"], "progress.tick", _MOST_STEPS)
    _number(value["next_tick"], "progress.next_tick", math.inf)
    _number(value["seconds"], "progress.seconds", 1e12)
    _collector(value["collector"], "progress.collector", totals)


def _data(content: object) -> None:
    value = _keys(content, "data", {"path", "fingerprint"})
    if not isinstance(value["path"], str) or "\0" in value["path"] or len(value["path"]) > 4096:
        raise ValueError(f"data.path is {shown_value(value['path'])}, expected a path")
    _keys(value["fingerprint"], "data.fingerprint", set(PARTS) - {"checksums"}, {"checksums"})
    for name, digest in value["fingerprint"].items():
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError(f"data.fingerprint.{name} is {shown_value(digest)}, expected a SHA-256")


def _same_tensors(found: dict[str, torch.Tensor], own: dict[str, torch.Tensor], where: str) -> None:
    """Raise `ValueError` unless tensors have the names, shapes and types of a network's tensors.

    Args:
        found: Tensors of a file.
        own: Tensors of the network.
        where: Name of the tensors for messages.
    """
    for name in found.keys() ^ own.keys():
        kind = "an unknown entry" if name in found else "no"
        raise ValueError(f"{where} has {kind} {printable(name, 100)}")
    for name, tensor in own.items():
        _tensor(found[name], f"{where}.{name}", tensor.dtype, tensor.shape, finite=False)


def _fits_optimizer(
    found: dict[str, Any],
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[torch.Tensor],
    num_steps: int,
    where: str,
) -> None:
    group, own = found["param_groups"][0], optimizer.param_groups[0]
    for name in own.keys() - _OF_THE_DEVICE:
        if name in group and not _close(group[name], own[name]):
            raise ValueError(f"optimizers.{where} has another {name} than the run's options")
    if group.get("params") != list(range(len(parameters))):
        raise ValueError(f"optimizers.{where} does not number the {len(parameters)} parameters of its network")
    expected = set(range(len(parameters))) if num_steps else set()
    if found["state"].keys() != expected:
        raise ValueError(f"optimizers.{where} has moments of {len(found['state'])} of {len(expected)} parameters")
    for number, entry in found["state"].items():
        shape, at = parameters[number].shape, f"optimizers.{where}.state.{number}"
        _tensor(entry["step"], f"{at}.step", torch.float32, [])
        if not 0 < entry["step"] <= 2 * num_steps or entry["step"] != entry["step"].round():
            raise ValueError(f"{at}.step is {float(entry['step']):g} after {num_steps} steps")
        for name in ("exp_avg", "exp_avg_sq"):
            _tensor(entry[name], f"{at}.{name}", parameters[number].dtype, shape, finite=False)
        if (entry["exp_avg_sq"] < 0).any():
            raise ValueError(f"{at}.exp_avg_sq has squares below 0")


def _close(one: object, other: object) -> bool:
    """Return whether two settings are equal, to the rounding of another machine's powers."""
    if isinstance(other, tuple):
        return isinstance(one, tuple) and len(one) == len(other) and all(map(_close, one, other))
    if isinstance(other, float) and isinstance(one, (int, float)) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=1e-9)
    return type(one) is type(other) and bool(one == other)


def _finite(state: dict[str, Any]) -> None:
    """Raise `ValueError` for a weight or moment that is NaN or infinite."""
    tables = {"the state": {"pl_mean": state["pl_mean"]}}
    tables |= {f"networks.{name}": table for name, table in state["networks"].items()}
    for name, content in state["optimizers"].items():
        tables |= {f"optimizers.{name}.state.{number}": entry for number, entry in content["state"].items()}
    for where, table in tables.items():
        for name, tensor in table.items():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{where}.{name} is NaN or infinite; --nan-policy=ignore goes on all the same")
