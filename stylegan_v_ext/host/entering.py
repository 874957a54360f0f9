"""Entering a checkout, and leaving it with the process as it was before."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stylegan_v_ext.host.checkout import Checkout, recognise
from stylegan_v_ext.host.importer import HostFinder, import_module, import_ours, is_of_checkout

_PACKAGES = ("training", "metrics", "legacy")  # of every checkout


@dataclass(frozen=True)
class _Entry:
    """A checkout that has been entered, and what undoes the entry."""

    checkout: Checkout
    way_out: contextlib.ExitStack


_entry: _Entry | None = None


def enter(path: str | Path) -> Checkout:
    """Make the modules of a checkout importable and ready for videos until `leave`; harmless if it is entered already.

    Args:
        path: Folder of a stylegan3 or stylegan2-ada-pytorch checkout; `~` stands for the home folder.

    Returns:
        The checkout.

    Raises:
        ValueError: If the folder holds no checkout.
        ValueError: If the process is inside of another checkout.
        ValueError: If the checkout needs a package that is not installed.
        ValueError: If another `torch_utils` or `dnnlib`, or a module called `training`, `metrics` or `legacy`, has been
            imported before.
    """
    global _entry
    checkout = recognise(path)
    if _entry is not None:
        if _entry.checkout != checkout:
            raise ValueError(
                f"{_entry.checkout.path} has been entered already; a process has room for one host at a time, "
                "so leave that one first"
            )
        return checkout
    with contextlib.ExitStack() as stack:  # plain callbacks: nothing calls them if the process ends inside
        _enter(checkout, stack)
        _entry = _Entry(checkout, stack.pop_all())
    return checkout


def leave() -> None:
    """Leave the checkout that has been entered, if there is one.

    `sys.path`, `os.environ`, the finders of modules and the functions that `enter` replaced are as they were before,
    and the modules of the checkout are forgotten. Another checkout may be entered then.
    """
    global _entry
    if _entry is not None:
        way_out, _entry = _entry.way_out, None
        way_out.close()


@contextlib.contextmanager
def entered(path: str | Path) -> Iterator[Checkout]:
    """Enter a checkout for the block, and leave it afterwards unless it was entered before.

    Args:
        path: Folder of a checkout, as for `enter`.

    Yields:
        The checkout.

    Raises:
        ValueError: If the checkout cannot be entered; `enter` lists the reasons.
    """
    outermost = _entry is None
    checkout = enter(path)
    try:
        yield checkout
    finally:
        if outermost:
            leave()


def _enter(checkout: Checkout, stack: contextlib.ExitStack) -> None:
    """Enter a checkout; closing `stack` undoes it."""
    import_ours()
    for name in _PACKAGES:
        if name in sys.modules:
            raise ValueError(f"a module called {name} is imported already; enter the host before that")
    from stylegan_v_ext.host import metrics

    stack.callback(_restore, list(sys.path), dict(os.environ))
    finder = HostFinder(checkout.path)
    sys.meta_path.insert(0, finder)
    stack.callback(_forget_modules, finder)
    metrics.join_registry(import_module("metrics.metric_main"))
    stack.callback(metrics.prefer_local_detectors())


def _restore(paths: list[str], environment: dict[str, str]) -> None:
    """Restore `sys.path` and the environment."""
    sys.path[:] = paths
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _forget_modules(finder: HostFinder) -> None:
    """Remove a finder and the modules that it found.

    Finders that libraries have added in the meantime stay, since these libraries stay imported.
    """
    sys.meta_path.remove(finder)
    for name in [name for name, module in sys.modules.items() if is_of_checkout(module)]:
        del sys.modules[name]
