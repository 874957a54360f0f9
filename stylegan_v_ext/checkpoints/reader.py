"""Checkpoint files as data: the layouts that StyleGAN pickles and PyTorch files are made of.

Tensors come through; persistent objects become inert *records* of their class name, arguments and
state; other known classes become `Instance`s; everything else is refused by name.
"""

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from stylegan_v_ext.checkpoints import tensors
from stylegan_v_ext.checkpoints.machine import Budget, CheckpointError, Constructor, Global, Instance, Machine

_MAX_DEPTH = 64  # of modules in modules, lists in lists
_MAX_MODULES = 20_000  # what is shared counts every time: a few bytes can stand for endlessly many
_MAX_VALUES = 1_000_000


@dataclass
class Record:
    """A persistent object as data: nothing of it has been run.

    source: text of the module that came with it. state: the object's `__dict__`.
    """

    class_name: str
    source: str
    state: dict[str, Any]

    @property
    def source_hash(self) -> str:
        """SHA-256 of the source."""
        return hashlib.sha256(self.source.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def init_args(self) -> tuple:
        return tuple(plain(self.state.get("_init_args", ())))

    @property
    def init_kwargs(self) -> dict[str, Any]:
        return dict(plain(self.state.get("_init_kwargs", {})))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers of the module and its submodules, by their dotted names."""
        return tensors.load_all(self._stored())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the same tensors, which stay in the file."""
        return {name: tuple(tensor.shape) for name, tensor in self._stored().items() if hasattr(tensor, "shape")}

    def _stored(self) -> dict[str, Any]:
        return {
            prefix + name: tensor
            for prefix, state in modules(self)
            for kind in ("_parameters", "_buffers")
            for name, tensor in (state.get(kind) or {}).items()
        }

    def attribute(self, module: str, name: str, default: Any = None) -> Any:
        """Attribute `name` of the submodule with this dotted name ("" for the module itself)."""
        state = self.state
        for part in module.split(".") if module else ():
            child = (state.get("_modules") or {}).get(part)
            state = child.state if isinstance(child, (Record, Instance)) and isinstance(child.state, dict) else {}
        return state.get(name, default)


def modules(module: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(prefix of its names, state) of a module and all submodules. Raises `CheckpointError` where it never ends."""
    pending: list[tuple[str, Any, int]] = [("", module, 0)]
    for _ in range(_MAX_MODULES):
        if not pending:
            return
        prefix, current, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise CheckpointError(f"modules are nested more than {_MAX_DEPTH} deep")
        if isinstance(current, (Record, Instance)) and isinstance(current.state, dict):
            yield prefix, current.state
            children = (current.state.get("_modules") or {}).items()
            pending += [(f"{prefix}{name}.", child, depth + 1) for name, child in reversed(children)]
    raise CheckpointError(f"more than {_MAX_MODULES} modules")


def plain(value: Any) -> Any:
    """Containers, numbers, text, arrays and OmegaConf nodes as plain Python; other objects as they are.

    Raises `CheckpointError` where that never ends.
    """
    return _plain(value, 0, iter(range(_MAX_VALUES)), _Copies())


class _Copies:
    """Bytes copied out of a file, which may not be many times those that are there."""

    def __init__(self) -> None:
        self._sources: set[int] = set()
        self._budget = Budget(0)

    def add(self, source: Any, nbytes: int) -> None:
        """source: what holds the bytes in the file, alive as long as this."""
        if id(source) not in self._sources:
            self._sources.add(id(source))
            self._budget.copied_bytes += nbytes
        self._budget.spend_bytes(nbytes // 4)


def _plain(value: Any, depth: int, budget: Iterator[int], copies: _Copies) -> Any:
    if depth > _MAX_DEPTH:
        raise CheckpointError(f"values are nested more than {_MAX_DEPTH} deep")
    if next(budget, None) is None:
        raise CheckpointError(f"more than {_MAX_VALUES} values")
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1, budget, copies) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item, depth + 1, budget, copies) for item in value)
    if isinstance(value, memoryview):
        copies.add(value, value.nbytes)
        return bytes(value)
    if isinstance(value, tensors.StoredTensor):
        copies.add(value.storage, value.nbytes)
        return value.load()
    if isinstance(value, Instance) and (value.module, value.name) == ("numpy", "ndarray"):
        array = tensors.as_array(value)
        copies.add(value.state[4], array.nbytes)
        return array
    if isinstance(value, Instance) and value.module.startswith("omegaconf") and isinstance(value.state, dict):
        return _plain(value.state.get("_content", value.state.get("_val")), depth + 1, budget, copies)
    return value


def _record(args: tuple) -> Record:
    (meta,) = args
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise CheckpointError("a persistent object in the file has an unknown layout")
    source = meta.get("module_src", "")
    state = meta.get("state")
    return Record(
        meta["class_name"], source if isinstance(source, str) else "", state if isinstance(state, dict) else {}
    )


def _reconstruct(args: tuple) -> Any:
    """`copyreg._reconstructor(class, base, state of base)`."""
    cls, _, state = args
    if not isinstance(cls, Global):
        raise CheckpointError("the file makes an object in an unusual way")
    constructor = find(cls, Budget(0))  # what it makes has no pickle inside
    if constructor is None:
        raise CheckpointError(f"the file calls {'.'.join(cls)}, which is code; it was not run")
    return constructor((state,) if state is not None else ())


def _dictionary(args: tuple) -> dict:
    """Of a dictionary's subclass: from nothing, a dictionary, pairs, or the type of missing values."""
    if not args or isinstance(args[0], Global) or args[0] is None:
        return {}
    pairs = args[0].items() if isinstance(args[0], dict) else args[0]
    result = {}
    for key, value in pairs:
        if not isinstance(key, (str, int, float, bool)):
            raise CheckpointError(f"a {type(key).__name__} as key of a dictionary")
        result[key] = value
    return result


def _set(args: tuple) -> set:
    items = list(args[0]) if args else []
    if any(not isinstance(item, (str, int, float, bool, type(None))) for item in items):
        raise CheckpointError("a set of something else than text and numbers")
    return set(items)


def _encoded(args: tuple) -> bytes:
    """Bytes in pickles of protocol 2, which has none of its own."""
    text, encoding = args
    if encoding not in ("latin1", "latin-1"):
        raise CheckpointError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin-1")


def _path(args: tuple) -> str:
    """A path as text."""
    if any(not isinstance(part, str) for part in args):
        raise CheckpointError("a path of something else than text")
    return "/".join(args).replace("//", "/")


def _no_bytes(args: tuple) -> bytes:
    """How pickles of protocol 2 say b""."""
    if args:
        raise CheckpointError("bytes made of something else")
    return b""


def _storage_from_bytes(args: tuple, budget: Budget) -> tensors.Storage:
    value = tensors.read_legacy(memoryview(args[0]), budget, partial(find, budget=budget))
    if not isinstance(value, tensors.Storage):
        raise CheckpointError("bytes of a storage that hold something else")
    return value


def _typed_tensor(args: tuple) -> Any:
    """`torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`."""
    function, _, arguments, _ = args
    if not isinstance(function, Global) or _LAYOUTS.get((function.module, function.name)) is not tensors.rebuild_tensor:
        raise CheckpointError("a tensor of an unknown kind")
    return tensors.rebuild_tensor(arguments)


_LAYOUTS: dict[tuple[str, str], Constructor | None] = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): _dictionary,
    ("copyreg", "_reconstructor"): _reconstruct,
    ("_codecs", "encode"): _encoded,
    ("builtins", "set"): _set,
    ("builtins", "slice"): lambda args: slice(*args),
    ("builtins", "bytes"): _no_bytes,
    ("builtins", "complex"): lambda args: complex(*args),
    ("argparse", "Namespace"): lambda args: Instance("argparse", "Namespace"),
    ("dnnlib.tflib.network", "Network"): lambda args: Instance("dnnlib.tflib.network", "Network"),
    ("torch._utils", "_rebuild_tensor"): tensors.rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): tensors.rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda args: args[0],
    ("torch._utils", "_rebuild_parameter_with_state"): lambda args: args[0],
    ("torch._tensor", "_rebuild_from_type_v2"): _typed_tensor,
    ("torch", "Size"): lambda args: tuple(args[0]),
    ("torch", "device"): lambda args: Instance("torch", "device", args),
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): tensors.make_dtype,
}
_LAYOUTS |= {(module, name): None for module in ("torch", "torch.cuda", "torch.storage") for name in tensors.STORAGES}
_LAYOUTS |= {("pathlib", name): _path for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")}
_LAYOUTS |= {("torch.nn.parameter", "Parameter"): None, ("torch", "Tensor"): None}
_TYPES = ("object", "dict", "list", "tuple", "str", "unicode", "int", "long", "float", "bool")
_LAYOUTS |= {("builtins", name): None for name in _TYPES}
for _package in ("", "src."):  # the StyleGAN-V release puts its modules into a package
    _LAYOUTS[f"{_package}dnnlib.util", "EasyDict"] = _LAYOUTS[f"{_package}dnnlib", "EasyDict"] = _dictionary
    _LAYOUTS[f"{_package}torch_utils.persistence", "_reconstruct_persistent_obj"] = _record
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _LAYOUTS[_module, "_reconstruct"] = tensors.make_array
    _LAYOUTS[_module, "scalar"] = tensors.make_scalar
    _LAYOUTS[_module.replace("multiarray", "numeric"), "_frombuffer"] = tensors.array_from_buffer

_PYTHON2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # as pickles up to protocol 2 say

# Classes of these become `Instance`s, whatever their names.
_INERT = ("torch.nn.modules.", "torch.optim.", "omegaconf.", "training.", "src.training.")


def find(name: Global, budget: Budget) -> Constructor | None:
    """Constructor of a name. Raises `CheckpointError` for names that networks do not need.

    budget: what reading pickles inside the pickle is charged to.
    """
    key = (_PYTHON2.get(name.module, name.module), name.name)
    if key == ("torch.storage", "_load_from_bytes"):
        return partial(_storage_from_bytes, budget=budget)
    if key in _LAYOUTS:
        return _LAYOUTS[key]
    if name.module == "typing":  # kept by OmegaConf, never called
        return None
    if name.module == "torch" and isinstance(getattr(torch, name.name, None), torch.dtype):
        return None
    if name.module.startswith(_INERT) and name.name[:1].isupper():
        return partial(Instance, name.module, name.name)
    raise CheckpointError(f"the file refers to {name.module}.{name.name}, which is code; it was not run")


def read_file(path: str | Path) -> Any:
    """The content of a pickle, or of a file by `torch.save`, as data.

    Raises `CheckpointError` with the reason in one line.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    except Exception as error:  # damaged tensors and zip files make their libraries raise anything at all
        raise CheckpointError(f"{path} is not a network snapshot, or is damaged ({type(error).__name__})") from None


def _read(file: BinaryIO) -> Any:
    if not file.seek(0, 2):
        raise CheckpointError("not a network snapshot: the file is empty")
    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    budget = Budget(len(data))
    finder = partial(find, budget=budget)
    if bytes(data[:4]) == b"PK\x03\x04":
        return tensors.read_zip(file, data, budget, finder)
    value = Machine(data, budget, finder).load()
    # Files by `torch.save` of before 2020 begin with a number that says so.
    return tensors.read_legacy(data, budget, finder) if value == tensors.LEGACY_MAGIC else value
