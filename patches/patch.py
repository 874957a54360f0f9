"""What a patch is, and how a text is edited by several."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch

# Modules of this package that are no patches themselves.
_MACHINERY = ("__main__", "checkout_files", "patch")


@dataclass(frozen=True)
class Edit:
    """In files that match `files` (a pattern such as `training/*.py`), `find` becomes `replace`.

    Attributes:
        find: A regular expression in which ^ and $ are line ends.
        replace: May refer to its groups.
    """

    files: str
    find: str
    replace: str


@dataclass(frozen=True)
class Patch:
    """One incompatibility of the stock code.

    Attributes:
        symptom: The error that users see.
        versions: Where it occurs.
        reason: Why.
        needed: Whether the installed versions have it.
        edits: The cure.
        replaced_by: Our module that takes the place of the checkout's own when it is entered (`stylegan_v_ext.host`),
            so that nothing is left to edit there.
        only_written: For `apply` alone, since in memory there is nothing to do.
    """

    name: str
    symptom: str
    versions: str
    reason: str
    needed: Callable[[], bool]
    edits: tuple[Edit, ...] = ()
    replaced_by: str | None = None
    only_written: bool = False


def all_patches() -> list[Patch]:
    """Every patch of this package, by name."""
    import patches

    names = [info.name for info in pkgutil.iter_modules(patches.__path__) if info.name not in _MACHINERY]
    return [importlib.import_module(f"patches.{name}").PATCH for name in sorted(names)]


def needed_patches() -> list[Patch]:
    """The patches that the installed versions and this machine need."""
    return [patch for patch in all_patches() if patch.needed()]


def edited(file: str, text: str, patches: Iterable[Patch]) -> str:
    """The text of a checkout's file (`training/loss.py`) with the edits of these patches."""
    for patch in patches:
        for edit in patch.edits:
            if fnmatch(file, edit.files):
                text = re.sub(edit.find, edit.replace, text, flags=re.MULTILINE)
    return text
