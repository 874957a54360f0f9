"""Patches in the files of a checkout: what they would change, how they are written, how they are taken out to the byte.

The originals of edited files are kept in the checkout, in `.stylegan_v_patches`, until `revert` has
put them back. Both operations can continue from every state that a stopped process leaves.
"""

import difflib
import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dnnlib.files import atomic_path
from patches.patch import Patch, edited

RECORD_DIR = ".stylegan_v_patches"
_FOLDERS = ("", "training", "metrics", "torch_utils", "torch_utils/ops", "dnnlib")


@dataclass(frozen=True)
class Change:
    """A file of a checkout, as the stock code has it, as it is now, and with the patches.

    Attributes:
        file: Name of the file from the top of the checkout.
        original: Bytes of the stock file.
        current: Bytes that the file has now.
        patched: Bytes that the file has once the patches are written.
    """

    file: str
    original: bytes
    current: bytes
    patched: bytes

    @property
    def is_written(self) -> bool:
        """Whether the file holds the patches already."""
        return self.current == self.patched

    def difference(self) -> str:
        """Return a unified diff from the file as it is now to the patched file."""
        before, after = (data.decode("utf-8").splitlines(keepends=True) for data in (self.current, self.patched))
        return "".join(difflib.unified_diff(before, after, f"a/{self.file}", f"b/{self.file}"))


@dataclass
class Record:
    """What is written into a checkout.

    Attributes:
        patches: Names of the patches.
        files: SHA-256 of each patched file by its name.
    """

    patches: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def python_files(root: Path) -> list[str]:
    """Return the names of the files that patches may concern, from the top of the checkout."""
    return sorted(
        path.relative_to(root).as_posix()
        for folder in _FOLDERS
        for path in (root / folder).glob("*.py")
        if path.is_file()
    )


def state(root: Path, patch: Patch) -> str:
    """Say whether and how a patch is in force in a checkout.

    Args:
        root: Folder of the checkout.
        patch: The patch.

    Returns:
        A few words for people.

    Raises:
        ValueError: If the record in the checkout is damaged.
    """
    record = _read_record(root)
    files = [file for file in python_files(root) if _has_work(file, _original_or_current(root, file, record), patch)]
    if files and patch.name in record.patches:
        return f"written to {', '.join(files)}"
    if patch.only_written:
        return "not written; `apply` writes it"
    if patch.replaced_by:
        return f"our {patch.replaced_by} takes the place of its own when it is entered"
    return f"in memory when it is entered: {', '.join(files)}" if files else "nothing in this checkout needs it"


def plan(root: Path, patches: Iterable[Patch]) -> list[Change]:
    """List the files that these patches edit, and the files that earlier patches have edited.

    Args:
        root: Folder of the checkout.
        patches: The patches that are to be in force.

    Returns:
        One change for each file.

    Raises:
        ValueError: If someone changed a file after it was patched, or the record in the checkout is damaged.
    """
    patches = list(patches)
    record = _read_record(root)
    changes = []
    for file in python_files(root):
        current = (root / file).read_bytes()
        original = _original_or_current(root, file, record)
        if file in record.files and _digest(current) not in (_digest(original), record.files[file]):
            raise ValueError(
                f"{root / file} was changed after it was patched; undo those changes, or put "
                f"{_original(root, file)} in its place"
            )
        patched = edited(file, original.decode("utf-8"), patches).encode("utf-8")
        if patched != original or file in record.files:
            changes.append(Change(file, original, current, patched))
    return changes


def apply(root: Path, changes: list[Change], patches: Iterable[Patch]) -> None:
    """Write changes into a checkout; the originals and a record are safe before the first file changes.

    Args:
        root: Folder of the checkout.
        changes: What `plan` returned for these patches.
        patches: The patches.

    Raises:
        OSError: If a file cannot be written.
    """
    record = Record([patch.name for patch in patches], {change.file: _digest(change.patched) for change in changes})
    for change in changes:
        kept = _original(root, change.file)
        _write(kept, change.original)  # it may replace what an attempt without a record left
    _write(root / RECORD_DIR / "record.json", json.dumps(asdict(record), indent=2).encode())
    for change in changes:
        if not change.is_written:
            _write(root / change.file, change.patched)


def revert(root: Path) -> list[str]:
    """Put the originals back.

    Args:
        root: Folder of the checkout.

    Returns:
        Names of the files that had been edited.

    Raises:
        ValueError: If someone changed a file after it was patched, or the record in the checkout is damaged.
        OSError: If a file cannot be written.
    """
    changes = plan(root, [])
    for change in changes:
        if change.current != change.original:
            _write(root / change.file, change.original)
    if (root / RECORD_DIR).is_dir():
        shutil.rmtree(root / RECORD_DIR)
    return [change.file for change in changes]


def _original(root: Path, file: str) -> Path:
    return root / RECORD_DIR / "original" / file


def _original_or_current(root: Path, file: str, record: Record) -> bytes:
    return (_original(root, file) if file in record.files else root / file).read_bytes()


def _has_work(file: str, original: bytes, patch: Patch) -> bool:
    text = original.decode("utf-8")
    return edited(file, text, [patch]) != text


def _read_record(root: Path) -> Record:
    path = root / RECORD_DIR / "record.json"
    if not path.is_file():
        return Record()
    try:
        record = Record(**json.loads(path.read_bytes()))
        names = [*record.patches, *record.files, *record.files.values()]
        known = all(isinstance(name, str) for name in names)
    except (ValueError, TypeError, AttributeError):
        known = False
    if not known:
        raise ValueError(f"{path} is damaged; the originals are beside it, in {path.parent / 'original'}")
    there = set(python_files(root))
    for file in record.files:
        if file not in there or not _original(root, file).is_file():
            raise ValueError(f"{path} names {file}, which is not there, or whose original is not; put both back")
    return record


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
