"""A pickle reader that admits data only.

StyleGAN pickles carry Python source that ordinary loaders run. Here tensors, arrays and plain
containers come through; persistent objects become inert *records* of their class name, arguments
and state; everything else is refused by name.
"""

import collections
import hashlib
import io
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dnnlib


class CheckpointError(ValueError):
    """A file that cannot be read as a checkpoint, or must not be."""


@dataclass
class Record:
    """A persistent object as data: nothing of it has been run.

    state: the object's `__dict__`. source_hash: SHA-256 of the module source that came with it.
    """

    class_name: str
    source_hash: str
    state: dict[str, Any]

    @property
    def init_args(self) -> tuple:
        return tuple(self.state.get("_init_args", ()))

    @property
    def init_kwargs(self) -> dict[str, Any]:
        return dict(self.state.get("_init_kwargs", {}))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers of the module and its submodules, by their dotted names."""
        return dict(_flatten(self))


class InertModule:
    """A PyTorch module as data; only its state is kept."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = dict(state)


def _flatten(module: Any, prefix: str = "") -> list[tuple[str, torch.Tensor]]:
    state = getattr(module, "state", None)
    if not isinstance(state, dict):
        return []
    found = []
    for kind in ("_parameters", "_buffers"):
        found += [(prefix + name, tensor) for name, tensor in (state.get(kind) or {}).items() if tensor is not None]
    for name, child in (state.get("_modules") or {}).items():
        found += _flatten(child, f"{prefix}{name}.")
    return [(name, tensor) for name, tensor in found if isinstance(tensor, torch.Tensor)]


def _record_from_meta(meta: Any) -> Record:
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise CheckpointError("a persistent object in the file has an unknown layout")
    source = str(meta.get("module_src", ""))
    state = meta.get("state")
    if not isinstance(state, dict):
        state = {}
    return Record(meta["class_name"], hashlib.sha256(source.encode()).hexdigest(), state)


def _reconstruct_inert(cls: type, base: type, state: Any) -> Any:
    if cls is not InertModule:
        raise CheckpointError(f"the file asks to make an object of {cls!r} in an unusual way")
    return InertModule()


def _storage_from_bytes(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the age of the format, which is the one that pickles hold
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("copyreg", "_reconstructor"): _reconstruct_inert,
    ("builtins", "object"): object,
    ("builtins", "set"): set,
    ("builtins", "slice"): slice,
    ("builtins", "complex"): complex,
    ("dnnlib.util", "EasyDict"): dnnlib.EasyDict,
    ("dnnlib", "EasyDict"): dnnlib.EasyDict,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _record_from_meta,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): _storage_from_bytes,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ADMITTED[_module, "_reconstruct"] = np.empty(0).__reduce__()[0]
    _ADMITTED[_module, "scalar"] = np.float64(0).__reduce__()[0]


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ADMITTED:
            return _ADMITTED[module, name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module.startswith("torch.nn.modules.") and name[:1].isupper():
            return InertModule
        raise CheckpointError(f"the file refers to {module}.{name}, which is code; it was not run")

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointError("the file refers to objects outside itself")


def read_pickle(path: str | Path) -> Any:
    """The content of a pickle as data. Raises `CheckpointError` with the reason in one line."""
    try:
        with open(path, "rb") as file:
            return _DataUnpickler(file).load()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    except Exception as error:  # damaged opcodes and tensors make the unpicklers raise anything at all
        raise CheckpointError(f"{path} is not a network snapshot, or is damaged ({type(error).__name__})") from None
