"""Objects by their dotted names, such as "package.module.Class.attribute"."""

import builtins
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = [
    "call_func_by_name",
    "construct_class_by_name",
    "get_module_dir_by_obj_name",
    "get_module_from_obj_name",
    "get_obj_by_name",
    "get_obj_from_module",
    "get_top_level_function_name",
    "is_top_level_function",
]


def get_module_from_obj_name(obj_name: str) -> tuple[ModuleType, str]:
    """Import the module part of a dotted name.

    Args:
        obj_name: A name such as "package.module.Class.attribute".

    Returns:
        (module, remaining name).

    Raises:
        ImportError: If the name has no module part.
        AttributeError: If the module lacks the object.
    """
    parts = obj_name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module_name, rest = ".".join(parts[:cut]), ".".join(parts[cut:])
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # If a dependency of an existing module is missing, this must not look like "no such module".
            if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
                raise
            continue
        get_obj_from_module(module, rest)
        return module, rest
    if hasattr(builtins, parts[0]):
        return builtins, obj_name
    raise ImportError(f"no module found in the name {obj_name!r}")


def get_obj_from_module(module: ModuleType, obj_name: str) -> Any:  # noqa: ANN401
    """Follow dotted attribute names from a module.

    Args:
        module: The module.
        obj_name: The names; an empty name is the module itself.

    Returns:
        The object.
    """
    obj: Any = module
    for part in filter(None, obj_name.split(".")):
        obj = getattr(obj, part)
    return obj


def get_obj_by_name(name: str) -> Any:  # noqa: ANN401
    """Return the object that a dotted name stands for.

    Args:
        name: A name such as "package.module.Class".

    Returns:
        The object.
    """
    module, rest = get_module_from_obj_name(name)
    return get_obj_from_module(module, rest)


def call_func_by_name(*args: object, func_name: str, **kwargs: object) -> Any:  # noqa: ANN401
    """Call the function or class of a dotted name.

    Args:
        args: Positional arguments of the call.
        func_name: The dotted name.
        kwargs: Keyword arguments of the call.

    Returns:
        The result of the call.

    Raises:
        TypeError: If the object is not callable.
    """
    target = get_obj_by_name(func_name)
    if not callable(target):
        raise TypeError(f"{func_name} is not callable")
    return target(*args, **kwargs)


def construct_class_by_name(*args: object, class_name: str, **kwargs: object) -> Any:  # noqa: ANN401
    """Make an instance of the class of a dotted name.

    Args:
        args: Positional arguments of the class.
        class_name: The dotted name.
        kwargs: Keyword arguments of the class.

    Returns:
        The instance.
    """
    return call_func_by_name(*args, func_name=class_name, **kwargs)


def get_module_dir_by_obj_name(obj_name: str) -> str:
    """Return the folder of the source file that defines a dotted name.

    Args:
        obj_name: The dotted name.

    Returns:
        The folder.
    """
    source = inspect.getfile(get_module_from_obj_name(obj_name)[0])
    return str(Path(source).parent)


def is_top_level_function(obj: object) -> bool:
    """Return whether an object is a function that its module has under its own name.

    Args:
        obj: The object.

    Returns:
        Whether it is such a function.
    """
    home = sys.modules.get(getattr(obj, "__module__", None) or "")
    return callable(obj) and home is not None and getattr(home, getattr(obj, "__name__", ""), None) is obj


def get_top_level_function_name(obj: Callable[..., object]) -> str:
    """Return the dotted name under which `get_obj_by_name` finds a top-level function.

    Args:
        obj: The function.

    Returns:
        The name.

    Raises:
        ValueError: If the object is not a top-level function.
    """
    if not is_top_level_function(obj):
        raise ValueError(f"{obj!r} is not a top-level function")
    home = obj.__module__
    if home == "__main__":
        home = Path(sys.modules["__main__"].__file__ or "").stem
    return f"{home}.{obj.__name__}"
