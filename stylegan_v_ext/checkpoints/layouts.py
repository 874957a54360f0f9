"""The table of the functions and classes that a file may name, each with a stand-in that only puts data together.

Every other name is refused.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from stylegan_v_ext.checkpoints import arrays, tensors
from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.plain_values import PLAIN
from stylegan_v_ext.checkpoints.records import MAX_NAME, Record
from stylegan_v_ext.checkpoints.values import Constructor, Global, Instance, brief

Arguments = tuple[Any, ...]

# Constructors. The machine has paid for the length of each argument, but not for the content of the argument.


def _record(args: Arguments, budget: Budget) -> Record:
    """Make a record of a persistent object."""
    (meta,) = args
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise CheckpointError("a persistent object in the file has an unknown layout")
    if len(meta["class_name"]) > MAX_NAME:
        raise CheckpointError(f"a class of a name of more than {MAX_NAME} characters")
    source = meta.get("module_src", "")
    state = meta.get("state")
    return Record(
        meta["class_name"], source if isinstance(source, str) else "", state if isinstance(state, dict) else {}
    )


def _reconstruct(args: Arguments, budget: Budget) -> object:
    """Stand in for `copyreg._reconstructor(class, base, state of base)`."""
    cls, _, state = args
    if not isinstance(cls, Global):
        raise CheckpointError("the file makes an object in an unusual way")
    layout = _instance_maker(cls) or LAYOUTS.get(_today(cls))
    if layout is None or (_today(cls) in LAYOUTS and layout not in (_dictionary, _network, _namespace)):
        raise CheckpointError(f"the file calls {'.'.join(cls)}, which is code; it was not run")
    if isinstance(state, (list, tuple, dict)):
        budget.spend_steps(len(state))
    return layout((state,) if state is not None else (), budget)


def _dictionary(args: Arguments, budget: Budget) -> dict:
    """Make a dictionary, also for a subclass: from nothing, a dictionary, pairs, or the type of missing values."""
    if not args or isinstance(args[0], Global) or args[0] is None:
        return {}
    result: dict[Any, Any] = {}
    for key, value in args[0].items() if isinstance(args[0], dict) else _pairs(args[0]):
        if not isinstance(key, (str, int, float, bool)):
            raise CheckpointError(f"a {type(key).__name__} as key of a dictionary")
        budget.spend_key(key, len(result))
        result[key] = value
    return result


def _pairs(value: object) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)) or any(
        not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in value
    ):
        raise CheckpointError("a dictionary made of something else than pairs")
    return value


def _set(args: Arguments, budget: Budget) -> set:
    items = args[0] if args else []
    if not isinstance(items, (list, tuple, set, frozenset)) or any(not isinstance(item, PLAIN) for item in items):
        raise CheckpointError("a set of something else than text and numbers")
    result: set[Any] = set()
    for item in items:
        budget.spend_key(item, len(result))
        result.add(item)
    return result


def _encoded(args: Arguments, budget: Budget) -> bytes:
    """Make bytes in a pickle of protocol 2, which has no instruction for them."""
    text, encoding = args
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError(f"bytes in the encoding {brief(encoding)}")
    return text.encode("latin-1")


def _path(args: Arguments, budget: Budget) -> str:
    """Make the text of a path."""
    if any(not isinstance(part, str) for part in args):
        raise CheckpointError("a path of something else than text")
    return "/".join(args).replace("//", "/")


def _no_bytes(args: Arguments, budget: Budget) -> bytes:
    """Make b"" in a pickle of protocol 2."""
    if args:
        raise CheckpointError("bytes made of something else")
    return b""


def _slice(args: Arguments, budget: Budget) -> slice:
    if any(not isinstance(end, (int, type(None))) for end in args):
        raise CheckpointError("a slice of something else than whole numbers")
    return slice(*args)


def _complex(args: Arguments, budget: Budget) -> complex:
    if any(not isinstance(part, (int, float)) for part in args):
        raise CheckpointError("a complex number made of something else than numbers")
    return complex(*args)


def _unused(args: Arguments, budget: Budget) -> Instance:
    """Stand in for an object of the standard library that networks do not need; its arguments are dropped."""
    return Instance("builtins", "object")


def _size(args: Arguments, budget: Budget) -> tuple:
    (sizes,) = args
    if not tensors.is_shape(sizes):
        raise CheckpointError("a torch.Size of something else than a few sizes")
    return tuple(sizes)


def _first(args: Arguments, budget: Budget) -> object:
    """Take the tensor that a parameter is made of."""
    return args[0]


def _namespace(args: Arguments, budget: Budget) -> Instance:
    return Instance("argparse", "Namespace")


def _network(args: Arguments, budget: Budget) -> Instance:
    return Instance("dnnlib.tflib.network", "Network")


def _device(args: Arguments, budget: Budget) -> Instance:
    return Instance("torch", "device", args)


def _storage_from_bytes(args: Arguments, budget: Budget) -> tensors.Storage:
    with budget.nested():
        value = tensors.read_legacy(memoryview(args[0]), budget, partial(find, budget=budget))
    if not isinstance(value, tensors.Storage):
        raise CheckpointError("bytes of a storage that hold something else")
    return value


def _typed_tensor(args: Arguments, budget: Budget) -> tensors.StoredTensor:
    """Stand in for `torch._tensor._rebuild_from_type_v2(function, type, arguments, state)`."""
    function, _, arguments, _ = args
    if not isinstance(function, Global) or LAYOUTS.get((function.module, function.name)) is not tensors.rebuild_tensor:
        raise CheckpointError("a tensor of an unknown kind")
    if not isinstance(arguments, tuple):
        raise CheckpointError("a tensor of an unknown layout")
    return tensors.rebuild_tensor(arguments, budget)


Layout = Callable[[Arguments, Budget], object]
LAYOUTS: dict[tuple[str, str], Layout | None] = {
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
    ("numpy", "dtype"): arrays.make_dtype,
}
LAYOUTS |= {(module, name): None for module in ("torch", "torch.cuda", "torch.storage") for name in tensors.STORAGES}
LAYOUTS |= {("pathlib", name): _path for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")}
LAYOUTS |= {("datetime", name): _unused for name in ("date", "datetime", "time", "timedelta", "timezone")}
LAYOUTS |= {("collections", "deque"): _unused, ("types", "SimpleNamespace"): _unused, ("decimal", "Decimal"): _unused}
LAYOUTS |= {("torch.nn.parameter", "Parameter"): None, ("torch", "Tensor"): None}
_TYPES = ("object", "dict", "list", "tuple", "str", "unicode", "int", "long", "float", "bool")
LAYOUTS |= {("builtins", name): None for name in _TYPES}
LAYOUTS |= {("torch", str(dtype).removeprefix("torch.")): None for dtype in set(tensors.STORAGES.values())}
for _package in ("", "src."):  # the StyleGAN-V release puts its modules into a package
    LAYOUTS[f"{_package}dnnlib.util", "EasyDict"] = LAYOUTS[f"{_package}dnnlib", "EasyDict"] = _dictionary
    LAYOUTS[f"{_package}torch_utils.persistence", "_reconstruct_persistent_obj"] = _record
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    LAYOUTS[_module, "_reconstruct"] = arrays.make_array
    LAYOUTS[_module, "scalar"] = arrays.make_scalar
    LAYOUTS[_module.replace("multiarray", "numeric"), "_frombuffer"] = arrays.array_from_buffer

_PYTHON2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # names in pickles up to protocol 2

# Classes of these modules become `Instance`s, and so do classes of packages that are not in `_OWN_PACKAGES`.
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
    """Return the name that Python 3 has for it."""
    return _PYTHON2.get(name.module, name.module), name.name


def _instance_maker(name: Global) -> Layout | None:
    """Return what makes the `Instance` of a class that is kept as data; None for other names."""
    package = name.module.partition(".")[0]
    known = name.module.startswith(_INERT) or (package.isidentifier() and package not in _OWN_PACKAGES)
    if known and name.name.lstrip("_")[:1].isupper() and name.name.isidentifier():
        return lambda args, budget: Instance(name.module, name.name, args)
    return None


def find(name: Global, budget: Budget) -> Constructor | None:
    """Look up the constructor of a name.

    Args:
        name: The name, as the file has it.
        budget: Pays for what the constructor does.

    Returns:
        The constructor; None for a name that may be mentioned but not called.

    Raises:
        CheckpointError: If networks do not need the name.
    """
    key = _today(name)
    layout = LAYOUTS[key] if key in LAYOUTS else _instance_maker(name)
    if layout is not None:
        return lambda args: layout(args, budget)
    if key in LAYOUTS or name.module == "typing":  # OmegaConf keeps Python's types, and never calls them
        return None
    raise CheckpointError(f"the file refers to {name.module}.{name.name}, which is code; it was not run")
