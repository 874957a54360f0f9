"""What a patch is, and how several patches edit a text."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

# Modules of this package that hold no patch.
_MACHINERY = ("__main__", "checkout_files", "patch")


@dataclass(frozen=True)
class Edit:
    """A replacement in the text of some files.

    Attributes:
        files: Pattern of the names of the files, such as `training/*.py`.
        find: Regular expression in which ^ and $ match at line ends.
        replace: Text that takes the place of a match; it may refer to the groups of `find`.
    """

    files: str
    find: str
    replace: str


@dataclass(frozen=True)
class Patch:
    """One incompatibility of the stock code.

    Attributes:
        name: Name of the patch, which is the name of its module.
        symptom: The error that users see.
        versions: Versions and machines that have the error.
        reason: Why the error occurs.
        needed: Function that returns whether the installed versions have the error.
        edits: What to change in the files of a checkout.
        replaced_by: Our module that takes the place of the checkout's own when the checkout is entered
            (`stylegan_v_ext.host`), so that nothing is left to edit there; None if the edits are the cure.
        only_written: Whether `apply` alone uses the patch, because there is nothing to do in memory.
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
    """Return every patch of this package, in the order of their names."""
    names = [info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]) if info.name not in _MACHINERY]
    return [importlib.import_module(f"patches.{name}").PATCH for name in sorted(names)]


def needed_patches() -> list[Patch]:
    """Return the patches that the installed versions and this machine need."""
    return [patch for patch in all_patches() if patch.needed()]


def edited(file: str, text: str, patches: Iterable[Patch]) -> str:
    """Edit the text of a file by several patches.

    Args:
        file: Name of the file from the top of the checkout, such as `training/loss.py`.
        text: Text of the file.
        patches: The patches, in the order in which they edit.

    Returns:
        The edited text.
    """
    for patch in patches:
        for edit in patch.edits:
            if fnmatch(file, edit.files):
                text = re.sub(edit.find, edit.replace, text, flags=re.MULTILINE)
    return text
