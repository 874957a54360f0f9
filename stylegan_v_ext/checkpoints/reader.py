"""Checkpoint files as data: the layouts that StyleGAN pickles and PyTorch files are made of.

Tensors come through; persistent objects become inert *records* of their class name, arguments and
state; other known classes become `Instance`s; everything else is refused by name.
"""

import hashlib
import mmap
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from stylegan_v_ext.checkpoints import tensors
from stylegan_v_ext.checkpoints.machine import Budget, CheckpointError, Constructor, Global, Instance, Machine, brief

_MAX_DEPTH = 64  # of modules in modules, lists in lists
_MAX_MODULES = 20_000  # what is shared counts every time: a few bytes can stand for endlessly many
_MAX_ENTRIES = 100_000  # modules, parameters and buffers of a network
_MAX_VALUES = 20_000  # of arguments; the largest files have some hundred
MAX_SETTINGS = 400_000  # of values; a data set's may list the videos to leave out
_MAX_NAME = 300  # characters of the dotted name of a tensor
_PLAIN = (str, int, float, bool, type(None))


@dataclass(eq=False, repr=False)  # both would walk through all that the record shares
class Record:
    """A persistent object as data: nothing of it has been run.

    Attributes:
        class_name: Short text.
        source: Text of the module that came with it.
        state: The object's `__dict__`.
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
        return stored_tensors(self)

    def attribute(self, module: str, name: str, default: Any = None) -> Any:
        """Attribute `name` of the submodule with this dotted name ("" for the module itself).

        Returns `default` if it is missing. Raises `CheckpointError` unless it is text, a number or nothing.
        """
        state = self.state
        for part in module.split(".") if module else ():
            child = _dict(state.get("_modules")).get(part)
            state = child.state if isinstance(child, (Record, Instance)) and isinstance(child.state, dict) else {}
        value = state.get(name, default)
        if not isinstance(value, _PLAIN):
            raise CheckpointError(f"{name} of {module or 'the network'} is {brief(value)}, which is no plain value")
        return value


def stored_tensors(module: Any) -> dict[str, Any]:
    """Parameters and buffers of a module, which is a `Record` or an `Instance`, by their dotted names."""
    return {
        prefix + name: tensor
        for prefix, state in modules(module)
        for kind in ("_parameters", "_buffers")
        for name, tensor in _dict(state.get(kind)).items()
    }


def _dict(value: Any) -> dict[Any, Any]:
    """A dictionary itself, an empty one for nothing. Raises `CheckpointError` for all others."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{brief(value)} in place of the parts of a module")
    return value


def modules(module: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(prefix of its names, state) of a module and all submodules.

    Raises `CheckpointError` if it never ends: what is shared counts every time.
    """
    budget = Budget(0, _MAX_ENTRIES)
    pending: list[tuple[str, Any, int]] = [("", module, 0)]
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
                    if not isinstance(name, str) or len(prefix) + len(name) > _MAX_NAME:
                        raise CheckpointError(
                            f"a part of a module is named {brief(name)}; names are texts of {_MAX_NAME} characters "
                            "with those of the modules around them"
                        )
            yield prefix, current.state
            pending += [(f"{prefix}{name}.", child, depth + 1) for name, child in reversed(parts[0].items())]
    raise CheckpointError(f"more than {_MAX_MODULES} modules")


def plain(value: Any, most: int = _MAX_VALUES) -> Any:
    """Containers, numbers, text, arrays and OmegaConf nodes as plain Python; other objects as they are.

    Args:
        most: Values in it; what is shared counts every time.

    Raises:
        CheckpointError: If there are more, or if few bytes of the file become very many.
    """
    return _Copier(most).copy(value, 0)


class _Copier:
    """Makes plain values out of those of a file, and pays for them: what is shared counts every time."""

    def __init__(self, most: int) -> None:
        self._most, self._budget = most, Budget(0, most)
        self._sources: set[int] = set()

    def copy(self, value: Any, depth: int) -> Any:
        """The value as plain Python, `depth` containers deep."""
        if depth > _MAX_DEPTH:
            raise CheckpointError(f"values are nested more than {_MAX_DEPTH} deep")
        self._count(1)
        if isinstance(value, (str, bytes)):
            self._budget.spend_bytes(len(value))
        elif isinstance(value, dict):
            return self._copy_dict(value, depth)
        elif isinstance(value, (list, tuple)):
            self._count(len(value))
            return type(value)(self.copy(item, depth + 1) for item in value)
        elif isinstance(value, memoryview):
            self._pay(value, value.nbytes)
            return bytes(value)
        elif isinstance(value, tensors.StoredTensor):
            self._pay(value.storage, value.nbytes)
            return value.load()
        elif isinstance(value, Instance):
            return self._copy_instance(value, depth)
        return value

    def _copy_dict(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        self._count(len(value))
        result: dict[Any, Any] = {}
        for key, item in value.items():
            self._budget.spend_key(key, len(result))
            self._budget.spend_bytes(len(key) if isinstance(key, (str, bytes)) else 0)
            result[key] = self.copy(item, depth + 1)
        return result

    def _copy_instance(self, value: Instance, depth: int) -> Any:
        if (value.module, value.name) == ("numpy", "ndarray"):
            raw = tensors.array_bytes(value)
            self._pay(raw, len(raw))
            return tensors.as_array(value)
        if value.module.startswith("omegaconf") and isinstance(value.state, dict):
            return self.copy(value.state.get("_content", value.state.get("_val")), depth + 1)
        return value

    def _count(self, values: int) -> None:
        if values > self._budget.steps:
            raise CheckpointError(f"more than {self._most} values")
        self._budget.spend_steps(values)

    def _pay(self, source: Any, nbytes: int) -> None:
        """Pay for bytes, which may not be copied many times as often as they are there.

        Args:
            source: What holds the bytes in the file, alive as long as this.
        """
        if id(source) not in self._sources:
            self._sources.add(id(source))
            self._budget.copied_bytes += nbytes
        self._budget.spend_bytes(nbytes // 4)


# Constructors: what calls in a file may stand for. The machine has paid for the length of each argument, not for
# what is inside it.


def _record(args: tuple, budget: Budget) -> Record:
    (meta,) = args
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise CheckpointError("a persistent object in the file has an unknown layout")
    if len(meta["class_name"]) > _MAX_NAME:
        raise CheckpointError(f"a class of a name of more than {_MAX_NAME} characters")
    source = meta.get("module_src", "")
    state = meta.get("state")
    return Record(
        meta["class_name"], source if isinstance(source, str) else "", state if isinstance(state, dict) else {}
    )


def _reconstruct(args: tuple, budget: Budget) -> Any:
    """`copyreg._reconstructor(class, base, state of base)`."""
    cls, _, state = args
    if not isinstance(cls, Global):
        raise CheckpointError("the file makes an object in an unusual way")
    layout = _instance_maker(cls) or _LAYOUTS.get(_today(cls))
    if layout is None or (_today(cls) in _LAYOUTS and layout not in (_dictionary, _network, _namespace)):
        raise CheckpointError(f"the file calls {'.'.join(cls)}, which is code; it was not run")
    if isinstance(state, (list, tuple, dict)):
        budget.spend_steps(len(state))
    return layout((state,) if state is not None else (), budget)


def _dictionary(args: tuple, budget: Budget) -> dict:
    """A dictionary or one of a subclass: from nothing, a dictionary, pairs, or the type of missing values."""
    if not args or isinstance(args[0], Global) or args[0] is None:
        return {}
    result: dict[Any, Any] = {}
    for key, value in args[0].items() if isinstance(args[0], dict) else _pairs(args[0]):
        if not isinstance(key, (str, int, float, bool)):
            raise CheckpointError(f"a {type(key).__name__} as key of a dictionary")
        budget.spend_key(key, len(result))
        result[key] = value
    return result


def _pairs(value: Any) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)) or any(
        not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in value
    ):
        raise CheckpointError("a dictionary made of something else than pairs")
    return value


def _set(args: tuple, budget: Budget) -> set:
    items = args[0] if args else []
    if not isinstance(items, (list, tuple, set, frozenset)) or any(not isinstance(item, _PLAIN) for item in items):
        raise CheckpointError("a set of something else than text and numbers")
    result: set[Any] = set()
    for item in items:
        budget.spend_key(item, len(result))
        result.add(item)
    return result


def _encoded(args: tuple, budget: Budget) -> bytes:
    """Bytes in pickles of protocol 2, which has none of its own."""
    text, encoding = args
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError(f"bytes in the encoding {brief(encoding)}")
    return text.encode("latin-1")


def _path(args: tuple, budget: Budget) -> str:
    """A path as text."""
    if any(not isinstance(part, str) for part in args):
        raise CheckpointError("a path of something else than text")
    return "/".join(args).replace("//", "/")


def _no_bytes(args: tuple, budget: Budget) -> bytes:
    """How pickles of protocol 2 say b""."""
    if args:
        raise CheckpointError("bytes made of something else")
    return b""


def _slice(args: tuple, budget: Budget) -> slice:
    if any(not isinstance(end, (int, type(None))) for end in args):
        raise CheckpointError("a slice of something else than whole numbers")
    return slice(*args)


def _complex(args: tuple, budget: Budget) -> complex:
    if any(not isinstance(part, (int, float)) for part in args):
        raise CheckpointError("a complex number made of something else than numbers")
    return complex(*args)


def _unused(args: tuple, budget: Budget) -> Instance:
    """Stand-in for an object of the standard library that networks do not need; its arguments are dropped."""
    return Instance("builtins", "object")


def _size(args: tuple, budget: Budget) -> tuple:
    (sizes,) = args
    if not tensors.is_shape(sizes):
        raise CheckpointError("a torch.Size of something else than a few sizes")
    return tuple(sizes)


def _first(args: tuple, budget: Budget) -> Any:
    """A parameter is the tensor that it is made of."""
    return args[0]


def _namespace(args: tuple, budget: Budget) -> Instance:
    return Instance("argparse", "Namespace")


def _network(args: tuple, budget: Budget) -> Instance:
    return Instance("dnnlib.tflib.network", "Network")


def _device(args: tuple, budget: Budget) -> Instance:
    return Instance("torch", "device", args)


def _storage_from_bytes(args: tuple, budget: Budget) -> tensors.Storage:
    with budget.nested():
        value = tensors.read_legacy(memoryview(args[0]), budget, partial(find, budget=budget))
    if not isinstance(value, tensors.Storage):
        raise CheckpointError("bytes of a storage that hold something else")
    return value


def _typed_tensor(args: tuple, budget: Budget) -> Any:
    """`torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`."""
    function, _, arguments, _ = args
    if not isinstance(function, Global) or _LAYOUTS.get((function.module, function.name)) is not tensors.rebuild_tensor:
        raise CheckpointError("a tensor of an unknown kind")
    if not isinstance(arguments, tuple):
        raise CheckpointError("a tensor of an unknown layout")
    return tensors.rebuild_tensor(arguments, budget)


Layout = Callable[[tuple, Budget], Any]
_LAYOUTS: dict[tuple[str, str], Layout | None] = {
    ("collections", "OrderedDict"): _dictionary,
    ("collections", "defaultdict"): _dictionary,
    ("collections", "Counter"): _dictionary,
    ("copyreg", "_reconstructor"): _reconstruct,
    ("_codecs", "encode"): _encoded,
    ("builtins", "set"): _set,
    ("builtins", "slice"): _slice,
    ("builtins", "bytes"): _no_bytes,
    ("builtins", "complex"): _complex,
    ("argparse", "Namespace"): _namespace,
    ("dnnlib.tflib.network", "Network"): _network,
    ("torch._utils", "_rebuild_tensor"): tensors.rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): tensors.rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _typed_tensor,
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
    ("torch.storage", "_load_from_bytes"): _storage_from_bytes,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): tensors.make_dtype,
}
_LAYOUTS |= {(module, name): None for module in ("torch", "torch.cuda", "torch.storage") for name in tensors.STORAGES}
_LAYOUTS |= {("pathlib", name): _path for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")}
_LAYOUTS |= {("datetime", name): _unused for name in ("date", "datetime", "time", "timedelta", "timezone")}
_LAYOUTS |= {("collections", "deque"): _unused, ("types", "SimpleNamespace"): _unused, ("decimal", "Decimal"): _unused}
_LAYOUTS |= {("torch.nn.parameter", "Parameter"): None, ("torch", "Tensor"): None}
_TYPES = ("object", "dict", "list", "tuple", "str", "unicode", "int", "long", "float", "bool")
_LAYOUTS |= {("builtins", name): None for name in _TYPES}
_LAYOUTS |= {("torch", str(dtype).removeprefix("torch.")): None for dtype in set(tensors.STORAGES.values())}
for _package in ("", "src."):  # the StyleGAN-V release puts its modules into a package
    _LAYOUTS[f"{_package}dnnlib.util", "EasyDict"] = _LAYOUTS[f"{_package}dnnlib", "EasyDict"] = _dictionary
    _LAYOUTS[f"{_package}torch_utils.persistence", "_reconstruct_persistent_obj"] = _record
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _LAYOUTS[_module, "_reconstruct"] = tensors.make_array
    _LAYOUTS[_module, "scalar"] = tensors.make_scalar
    _LAYOUTS[_module.replace("multiarray", "numeric"), "_frombuffer"] = tensors.array_from_buffer

_PYTHON2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # as pickles up to protocol 2 say

# Classes of these become `Instance`s, and so do those of packages that are neither Python's nor named here.
_INERT = (
    "torch.nn.modules.",
    "torch.nn.parallel.",
    "torch.nn.utils.",
    "torch.optim.",
    "torch.distributions.",
    "torch.utils.data.",
    "omegaconf.",
    "training.",
    "src.training.",
)
_OWN_PACKAGES = {*sys.stdlib_module_names, *_PYTHON2, "torch", "torch_utils", "dnnlib", "numpy", "stylegan_v_ext"}


def _today(name: Global) -> tuple[str, str]:
    """The name as Python 3 has it."""
    return _PYTHON2.get(name.module, name.module), name.name


def _instance_maker(name: Global) -> Layout | None:
    """What makes the `Instance` of a class that is kept as data, `None` for other names."""
    package = name.module.partition(".")[0]
    known = name.module.startswith(_INERT) or (package.isidentifier() and package not in _OWN_PACKAGES)
    if known and name.name.lstrip("_")[:1].isupper() and name.name.isidentifier():
        return lambda args, budget: Instance(name.module, name.name, args)
    return None


def find(name: Global, budget: Budget) -> Constructor | None:
    """Constructor of a name.

    Args:
        budget: Pays for what the constructor does.

    Raises:
        CheckpointError: For names that networks do not need.
    """
    key = _today(name)
    layout = _LAYOUTS[key] if key in _LAYOUTS else _instance_maker(name)
    if layout is not None:
        return lambda args: layout(args, budget)
    if key in _LAYOUTS or name.module == "typing":  # OmegaConf keeps types of Python's, and never calls them
        return None
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
        raise CheckpointError(
            f"{path} is not a network snapshot, or is damaged ({type(error).__name__}); fetch it again"
        ) from None


def _refuse_other_files(start: bytes) -> None:
    """Raise `CheckpointError` for what people take for a checkpoint.

    Args:
        start: Of the file, in small letters.
    """
    for beginnings, what in _OTHER_FILES:
        if start.startswith(beginnings):
            raise CheckpointError(what)


_OTHER_FILES: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"<", b"{\"", b"not found", b"access denied"), "a web page and no checkpoint: the download failed; fetch the "
     "file again, by its direct address"),
    ((b"version https://git-lfs",), "a pointer of Git LFS and no checkpoint; fetch the file with `git lfs pull`"),
    ((b"\x89hdf",), "an HDF5 file of Keras or TensorFlow, which is not read; give a PyTorch checkpoint"),
    ((b"\x1f\x8b", b"7z\xbc\xaf", b"rar!", b"bzh", b"\xfd7zxz", b"\x28\xb5\x2f\xfd"), "a compressed archive; unpack it "
     "and give the file inside"),
    ((b"\x89png", b"\xff\xd8\xff", b"gif8", b"riff", b"\x1a\x45\xdf\xa3"), "a picture or a video and no checkpoint; "
     "give the network (.pkl, .pt)"),
    ((b"gguf",), "a GGUF file of a language or diffusion model, which is not read; give a StyleGAN checkpoint"),
)  # fmt: skip


def _read(file: BinaryIO) -> Any:
    if not file.seek(0, 2):
        raise CheckpointError("not a network snapshot: the file is empty")
    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    _refuse_other_files(bytes(data[:64]).removeprefix(b"\xef\xbb\xbf").lstrip().lower())
    if bytes(data[257:262]) == b"ustar":
        raise CheckpointError("a tar archive; unpack it and give the file inside")
    if bytes(data[4:8]) == b"ftyp":
        raise CheckpointError("a video and no checkpoint; give the network (.pkl, .pt)")
    budget = Budget(len(data))
    finder = partial(find, budget=budget)
    if bytes(data[:4]) == b"PK\x03\x04":
        return tensors.read_zip(file, data, budget, finder)
    value = Machine(data, budget, finder).load()
    # Files by `torch.save` of before 2020 begin with a number that says so.
    return tensors.read_legacy(data, budget, finder) if value == tensors.LEGACY_MAGIC else value
