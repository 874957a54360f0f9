"""Configuration dicts, console logging, time formatting, name look-up and file helpers."""

import builtins
import fnmatch
import importlib
import inspect
import math
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from .download import is_url, make_cache_dir_path, open_url, set_cache_dir
from .files import open_no_link

__all__ = [
    "EasyDict", "Logger", "ask_yes_no", "call_func_by_name", "construct_class_by_name",
    "copy_files_and_create_dirs", "format_time", "format_time_brief", "get_dtype_and_ctype",
    "get_module_dir_by_obj_name", "get_module_from_obj_name", "get_obj_by_name",
    "get_obj_from_module", "get_top_level_function_name", "is_pickleable",
    "is_top_level_function", "is_url", "list_dir_recursively_with_ignore", "make_cache_dir_path",
    "open_url", "set_cache_dir", "tuple_product",
]  # fmt: skip


class EasyDict(dict):
    """A dict whose string keys also read, write and delete as attributes."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"no attribute or key {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"no attribute or key {name!r}")
        del self[name]


class Outlet:
    """A text stream that never raises: what cannot be written is left out, and said once in another place.

    Args:
        stream: The stream to write to; None, as Python has it for a closed one, takes everything and shows nothing.
        name: Of the stream, for the message.
        tell: Called once with the message, at the end of the first line that fails.
    """

    def __init__(self, stream: Any, name: str, tell: Callable[[str], Any]) -> None:
        self.stream, self._name, self._tell = stream, name, tell
        self.failed = False
        self._line_ended = False
        self._message = ""  # to be told

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"text is written here, not {type(text).__name__}")
        self._line_ended = text.endswith(("\n", "\r"))
        if self.stream is not None:
            self._attempt(self._write, text)
        return len(text)

    def flush(self) -> None:
        if self.stream is not None:
            self._attempt(self.stream.flush)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        try:
            return self.stream is not None and self.stream.isatty()
        except ValueError:  # closed
            return False

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # who writes bytes there gets the errors of the stream
            raise AttributeError(name)
        return getattr(self.stream, name)

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError:  # a terminal of few letters
            encoding = self.stream.encoding or "ascii"
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def _attempt(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            act(*arguments)
        except (OSError, ValueError) as error:  # ValueError: somebody has closed it
            if not self.failed:
                self.failed = True
                reason = getattr(error, "strerror", None) or error
                self._message = f"{self._name} cannot be written ({reason}); the work goes on without it.\n"
        if self._message and self._line_ended:
            message, self._message = self._message, ""
            self._tell(message)


class Logger:
    """Copies everything printed to stdout and stderr into a file as well.

    `file_mode` is the mode of `open` ("a" keeps what an earlier run wrote); `should_flush` flushes
    after every write. Usable as a context manager; `close` gives the streams back. If the file or the screen
    cannot be written, the other one says so, once.
    """

    def __init__(self, file_name: str | None = None, file_mode: str = "w", should_flush: bool = True) -> None:
        self.should_flush = should_flush
        self.stdout, self.stderr = sys.stdout, sys.stderr
        self.file: Any = None
        if file_name is not None:
            self.file = open(  # noqa: SIM115
                file_name, file_mode, encoding="utf-8", errors="backslashreplace", opener=open_no_link
            )
        screen = self.stdout.stream if isinstance(self.stdout, Outlet) else self.stdout  # the log is to name it, too
        self._to_screen = Outlet(screen, "The screen", lambda message: self._to_file.write(message))
        self._to_file = Outlet(self.file, str(file_name), lambda message: self._to_screen.write(message))
        sys.stdout = sys.stderr = self  # type: ignore[assignment]

    def write(self, text: str | bytes) -> None:
        if isinstance(text, bytes):
            text = text.decode()
        for outlet in self._outlets() if text else ():
            outlet.write(text)
            if self.should_flush:
                outlet.flush()

    def flush(self) -> None:
        for outlet in self._outlets():
            outlet.flush()

    def isatty(self) -> bool:
        return self._to_screen.isatty()

    def close(self) -> None:
        self.flush()
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is self:
                setattr(sys, name, getattr(self, name))
        if self.file is not None:
            with suppress(OSError):  # no room for the rest, which was said
                self.file.close()
        self.file = None

    def _outlets(self) -> list[Outlet]:
        self._to_file.stream = self.file
        return [self._to_file, self._to_screen]

    def __enter__(self) -> "Logger":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _clock_parts(seconds: float) -> tuple[int, int, int, int]:
    minutes, s = divmod(int(round(seconds)), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    return days, h, m, s


def format_time(seconds: float) -> str:
    """A duration in words: `45s`, `3m 07s`, `2h 05m 09s`, `1d 02h 03m`."""
    days, h, m, s = _clock_parts(seconds)
    if days:
        return f"{days}d {h:02}h {m:02}m"
    if h:
        return f"{h}h {m:02}m {s:02}s"
    return f"{m}m {s:02}s" if m else f"{s}s"


def format_time_brief(seconds: float) -> str:
    """The two largest units of a duration: `45s`, `3m 07s`, `2h 05m`, `1d 02h`."""
    days, h, m, s = _clock_parts(seconds)
    if days:
        return f"{days}d {h:02}h"
    if h:
        return f"{h}h {m:02}m"
    return f"{m}m {s:02}s" if m else f"{s}s"


def ask_yes_no(question: str) -> bool:
    """Ask on the terminal until the answer is yes or no."""
    answers = {
        "y": True,
        "yes": True,
        "t": True,
        "true": True,
        "on": True,
        "1": True,
        "n": False,
        "no": False,
        "f": False,
        "false": False,
        "off": False,
        "0": False,
    }
    while True:
        answer = input(f"{question} [y/n] ").strip().lower()
        if answer in answers:
            return answers[answer]


def tuple_product(t: tuple) -> Any:
    """Product of the elements of a tuple; 1 for the empty one."""
    return math.prod(t)


def get_dtype_and_ctype(type_obj: Any) -> tuple[Any, Any]:
    """NumPy dtype and ctypes type of a type given by name, NumPy dtype or ctypes class."""
    import numpy as np

    dtype = np.dtype(type_obj)
    return dtype, np.ctypeslib.as_ctypes_type(dtype)


def is_pickleable(obj: Any) -> bool:
    """Whether `pickle` can write the object."""
    try:
        pickle.dumps(obj)
    except Exception:  # any class may raise anything from its own __reduce__
        return False
    return True


# Names of objects: "package.module.Class.attribute".


def get_module_from_obj_name(obj_name: str) -> tuple[ModuleType, str]:
    """Import the module part of a dotted name; returns it with the remaining object name."""
    parts = obj_name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module_name, rest = ".".join(parts[:cut]), ".".join(parts[cut:])
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            # A missing dependency *inside* an existing module must not read as "no such module".
            if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
                raise
            continue
        get_obj_from_module(module, rest)
        return module, rest
    if hasattr(builtins, parts[0]):
        return builtins, obj_name
    raise ImportError(f"no module found in the name {obj_name!r}")


def get_obj_from_module(module: ModuleType, obj_name: str) -> Any:
    """Follow dotted attribute names from a module; an empty name is the module itself."""
    obj: Any = module
    for part in filter(None, obj_name.split(".")):
        obj = getattr(obj, part)
    return obj


def get_obj_by_name(name: str) -> Any:
    """The object that a dotted name stands for."""
    module, rest = get_module_from_obj_name(name)
    return get_obj_from_module(module, rest)


def call_func_by_name(*args: Any, func_name: str, **kwargs: Any) -> Any:
    """Call the function or class of that dotted name."""
    target = get_obj_by_name(func_name)
    if not callable(target):
        raise TypeError(f"{func_name} is not callable")
    return target(*args, **kwargs)


def construct_class_by_name(*args: Any, class_name: str, **kwargs: Any) -> Any:
    """Make an instance of the class of that dotted name."""
    return call_func_by_name(*args, func_name=class_name, **kwargs)


def get_module_dir_by_obj_name(obj_name: str) -> str:
    """Folder of the source file in which a dotted name lives."""
    source = inspect.getfile(get_module_from_obj_name(obj_name)[0])
    return str(Path(source).parent)


def is_top_level_function(obj: Any) -> bool:
    """Whether the object is a function found under its own name in its module."""
    home = sys.modules.get(getattr(obj, "__module__", None) or "")
    return callable(obj) and home is not None and getattr(home, getattr(obj, "__name__", ""), None) is obj


def get_top_level_function_name(obj: Any) -> str:
    """Dotted name under which `get_obj_by_name` finds a top-level function again."""
    if not is_top_level_function(obj):
        raise ValueError(f"{obj!r} is not a top-level function")
    home = obj.__module__
    if home == "__main__":
        home = Path(sys.modules["__main__"].__file__ or "").stem
    return f"{home}.{obj.__name__}"


# Files.


def list_dir_recursively_with_ignore(
    dir_path: str, ignores: list[str] | None = None, add_base_to_relative: bool = False
) -> list[tuple[str, str]]:
    """(absolute, relative) paths of all files below a folder, leaving out names that match `ignores`.

    `add_base_to_relative` keeps the folder's own name at the front of the relative paths.
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
    """Copy (source, destination) pairs, making the destination folders."""
    for source, destination in files:
        Path(destination).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)
