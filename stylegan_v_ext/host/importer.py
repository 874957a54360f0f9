"""Importing a checkout's modules with our torch_utils and dnnlib, patched in memory.

Nothing is written into the checkout, compiled files included.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from patches import Patch

OURS = ("stylegan_v_ext", "torch_utils", "dnnlib", "patches")
OUR_FOLDER = Path(__file__).parents[2]


def import_module(name: str) -> ModuleType:
    """Import a module of the checkout that has been entered.

    Args:
        name: Name of the module, such as "training.training_loop".

    Returns:
        The module.

    Raises:
        ValueError: If the module needs a package that is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"the host's {name} needs the package {error.name}; install it with pip") from None


@lru_cache(1)
def _patches() -> "list[Patch]":
    """Return the patches that are applied in memory."""
    from patches import needed_patches

    return [patch for patch in needed_patches() if not patch.only_written]


class HostLoader(importlib.machinery.SourceFileLoader):
    """Loads a module of the checkout after editing its text."""

    def __init__(self, name: str, path: str, root: Path) -> None:
        super().__init__(name, path)
        self.root = root

    def get_code(self, fullname: str) -> CodeType:
        """Compile the edited text; no compiled file is read or written."""
        from patches import edited

        file = Path(self.path).relative_to(self.root).as_posix()
        text = self.get_data(self.path).decode("utf-8")
        return compile(edited(file, text, _patches()).encode("utf-8"), self.path, "exec", dont_inherit=True)


class HostFinder(importlib.abc.MetaPathFinder):
    """Finds modules in the checkout before anywhere else, except those that are ours."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module; None if it is ours or lies outside of the checkout.

        A checkout may hold installed packages too, in a virtual environment: their modules do not lie where their names
        say, seen from the top of the checkout, and are left to Python.
        """
        package, *inner = fullname.split(".")
        folder = self.root if path is None else self.root.joinpath(package, *inner[:-1])
        if package in OURS or (path is not None and str(folder) not in path):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, [str(folder)])
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        spec.loader = HostLoader(fullname, str(spec.origin), self.root)
        return spec


def is_of_checkout(module: ModuleType) -> bool:
    """Return whether a module was loaded from a checkout."""
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), HostLoader)


def import_ours() -> None:
    """Make sure that `torch_utils` and `dnnlib` are this project's, whatever folder comes first on the path.

    Raises:
        ValueError: If others have been imported already.
    """
    for name in OURS:
        module = sys.modules.get(name)
        if module is None:
            spec = importlib.machinery.PathFinder.find_spec(name, [str(OUR_FOLDER)])
            assert spec is not None and spec.loader is not None, f"{OUR_FOLDER} lacks {name}"
            module = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        elif not Path(str(module.__file__)).is_relative_to(OUR_FOLDER):
            raise ValueError(
                f"{name} of {Path(str(module.__file__)).parents[1]} is imported already; enter the host before that"
            )
