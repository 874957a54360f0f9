"""The helpers of `dnnlib` under the stock names: configuration dicts, durations in words, files.

Logging, objects by their names, and downloads are in modules of their own; this module exports them as well.
"""

import fnmatch
import math
import os
import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache import make_cache_dir_path, set_cache_dir
from .download import is_url, open_url
from .logger import Logger, Outlet
from .objects import (
    call_func_by_name,
    construct_class_by_name,
    get_module_dir_by_obj_name,
    get_module_from_obj_name,
    get_obj_by_name,
    get_obj_from_module,
    get_top_level_function_name,
    is_top_level_function,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike

__all__ = [
    "EasyDict",
    "format_time",
    "format_time_brief",
    "ask_yes_no",
    "is_pickleable",
    "tuple_product",
    "get_dtype_and_ctype",
    "copy_files_and_create_dirs",
    "list_dir_recursively_with_ignore",
]
__all__ += [  # names of other modules
    "Logger",
    "Outlet",
    "get_obj_by_name",
    "get_obj_from_module",
    "get_module_from_obj_name",
    "get_module_dir_by_obj_name",
    "get_top_level_function_name",
    "is_top_level_function",
    "construct_class_by_name",
    "call_func_by_name",
    "set_cache_dir",
    "make_cache_dir_path",
    "open_url",
    "is_url",
]


class EasyDict(dict):
    """A dict whose string keys also read, write and delete as attributes."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name in self:
            return self[name]
        raise AttributeError(f"no attribute or key {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"no attribute or key {name!r}")
        del self[name]


def _clock_parts(seconds: float) -> tuple[int, int, int, int]:
    minutes, s = divmod(int(round(seconds)), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    return days, h, m, s


def format_time(seconds: float) -> str:
    """Return a duration in words: `45s`, `3m 07s`, `2h 05m 09s`, `1d 02h 03m`.

    Args:
        seconds: The duration.

    Returns:
        The words.
    """
    days, h, m, s = _clock_parts(seconds)
    if days:
        return f"{days}d {h:02}h {m:02}m"
    if h:
        return f"{h}h {m:02}m {s:02}s"
    return f"{m}m {s:02}s" if m else f"{s}s"


def format_time_brief(seconds: float) -> str:
    """Return the two largest units of a duration: `45s`, `3m 07s`, `2h 05m`, `1d 02h`.

    Args:
        seconds: The duration.

    Returns:
        The words.
    """
    days, h, m, s = _clock_parts(seconds)
    if days:
        return f"{days}d {h:02}h"
    if h:
        return f"{h}h {m:02}m"
    return f"{m}m {s:02}s" if m else f"{s}s"


def ask_yes_no(question: str) -> bool:
    """Ask on the terminal until the answer is yes or no.

    Args:
        question: The question.

    Returns:
        Whether the answer is yes.
    """
    while True:
        answer = input(f"{question} [y/n] ").strip().lower()
        if answer in ("y", "yes", "t", "true", "on", "1"):
            return True
        if answer in ("n", "no", "f", "false", "off", "0"):
            return False


def tuple_product(t: tuple[int, ...]) -> int:
    """Return the product of the elements of a tuple; 1 if the tuple is empty.

    Args:
        t: The tuple.

    Returns:
        The product.
    """
    return math.prod(t)


def get_dtype_and_ctype(type_obj: "DTypeLike") -> "tuple[np.dtype, type]":
    """Return the NumPy dtype and the ctypes type of a type.

    Args:
        type_obj: A name, a NumPy dtype or a ctypes class.

    Returns:
        (NumPy dtype, ctypes type).
    """
    import numpy as np

    dtype: np.dtype[Any] = np.dtype(type_obj)
    return dtype, np.ctypeslib.as_ctypes_type(dtype)


def is_pickleable(obj: object) -> bool:
    """Return whether `pickle` can write an object.

    Args:
        obj: The object.

    Returns:
        Whether it can be pickled.
    """
    try:
        pickle.dumps(obj)
    except Exception:  # any class may raise anything from its own __reduce__
        return False
    return True


def list_dir_recursively_with_ignore(
    dir_path: str, ignores: list[str] | None = None, add_base_to_relative: bool = False
) -> list[tuple[str, str]]:
    """List all files below a folder.

    Args:
        dir_path: The folder.
        ignores: Patterns of names of files and folders to leave out; None leaves out nothing.
        add_base_to_relative: Whether relative paths begin with the folder's own name.

    Returns:
        (absolute path, relative path) of each file.

    Raises:
        ValueError: If the path is not a folder.
    """
    root = Path(dir_path)
    if not root.is_dir():
        raise ValueError(f"{dir_path} is not a folder")
    start = root.parent if add_base_to_relative else root

    def kept(name: str) -> bool:
        return not any(fnmatch.fnmatch(name, pattern) for pattern in ignores or [])

    found: list[tuple[str, str]] = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(filter(kept, subfolders))
        paths = (Path(folder, name) for name in sorted(filter(kept, files)))
        found.extend((str(path), str(path.relative_to(start))) for path in paths)
    return found


def copy_files_and_create_dirs(files: list[tuple[str, str]]) -> None:
    """Copy files, and make the folders of their destinations.

    Args:
        files: (source, destination) of each file.
    """
    for source, destination in files:
        Path(destination).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)
