"""Persistent objects of a pickle as inert records of their class name, arguments and state."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.plain_values import PLAIN, plain
from stylegan_v_ext.checkpoints.tensors import load_all
from stylegan_v_ext.checkpoints.values import Instance, brief

MAX_NAME = 300  # characters of the dotted name of a tensor, or of the name of a class
_MAX_DEPTH = 64  # levels of modules in modules
_MAX_MODULES = 20_000  # a module that is shared counts every time: a few bytes can stand for endlessly many
_MAX_ENTRIES = 100_000  # modules, parameters and buffers of a network


@dataclass(eq=False, repr=False)  # either method would walk through all that the record shares
class Record:
    """A persistent object as data; no code of it was run.

    Attributes:
        class_name: Name of its class, a short text.
        source: Source text of the module that came with it.
        state: Its `__dict__`.
    """

    class_name: str
    source: str
    state: dict[str, Any]

    @property
    def source_hash(self) -> str:
        """SHA-256 of the source text, in hexadecimal."""
        return hashlib.sha256(self.source.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def init_args(self) -> tuple[Any, ...]:
        """Positional arguments of its constructor."""
        return tuple(plain(self.state.get("_init_args", ())))

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """Keyword arguments of its constructor."""
        return dict(plain(self.state.get("_init_kwargs", {})))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Load parameters and buffers of the module and its submodules, by their dotted names."""
        return load_all(stored_tensors(self))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the same tensors, which stay in the file."""
        return {name: tuple(tensor.shape) for name, tensor in stored_tensors(self).items() if hasattr(tensor, "shape")}

    def attribute(self, module: str, name: str, default: object = None) -> Any:  # noqa: ANN401 - whatever the file says
        """Look up an attribute of a submodule.

        Args:
            module: Dotted name of the submodule, "" for the module itself.
            name: Name of the attribute.
            default: Value of a missing attribute.

        Returns:
            A text, a number or None.

        Raises:
            CheckpointError: If it is anything else.
        """
        state = self.state
        for part in module.split(".") if module else ():
            child = _dict(state.get("_modules")).get(part)
            state = child.state if isinstance(child, (Record, Instance)) and isinstance(child.state, dict) else {}
        value = state.get(name, default)
        if not isinstance(value, PLAIN):
            raise CheckpointError(f"{name} of {module or 'the network'} is {brief(value)}, which is no plain value")
        return value


def stored_tensors(module: object) -> dict[str, Any]:
    """Return parameters and buffers of a module, a `Record` or an `Instance`, by their dotted names."""
    return {
        prefix + name: tensor
        for prefix, state in modules(module)
        for kind in ("_parameters", "_buffers")
        for name, tensor in _dict(state.get(kind)).items()
    }


def _dict(value: object) -> dict[Any, Any]:
    """Return a dictionary, an empty one for None. Raises `CheckpointError` for any other value."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{brief(value)} in place of the parts of a module")
    return value


def modules(module: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk through a module and all its submodules.

    Args:
        module: A `Record` or an `Instance`; anything else has no parts.

    Yields:
        The prefix of the names in a module, and its state.

    Raises:
        CheckpointError: If there are too many modules or parts; a module that is shared counts every time.
    """
    budget = Budget(0, _MAX_ENTRIES)
    pending: list[tuple[str, object, int]] = [("", module, 0)]
    for _ in range(_MAX_MODULES):
        if not pending:
            return
        prefix, current, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise CheckpointError(f"modules are nested more than {_MAX_DEPTH} deep")
        if isinstance(current, (Record, Instance)) and isinstance(current.state, dict):
            parts = [_dict(current.state.get(kind)) for kind in ("_modules", "_parameters", "_buffers")]
            budget.spend_steps(sum(len(part) for part in parts))
            for part in parts:
                for name in part:
                    if not isinstance(name, str) or len(prefix) + len(name) > MAX_NAME:
                        raise CheckpointError(
                            f"a part of a module is named {brief(name)}; names are texts of {MAX_NAME} characters "
                            "with those of the modules around them"
                        )
            yield prefix, current.state
            pending += [(f"{prefix}{name}.", child, depth + 1) for name, child in reversed(parts[0].items())]
    raise CheckpointError(f"more than {_MAX_MODULES} modules")
