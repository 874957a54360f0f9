"""Files and folders that appear under their names only when they are complete.

A temporary name is `.NAME-RANDOM@HOST.part`, beside the target. Its writer holds a lock on it (`flock`), and the system
drops the lock when the process ends, even if the process is killed. So a part without a lock is left over from a killed
process, and the next writer of the same target removes it. File systems treat locks in different ways:

- Local disks, and NFS, whose server keeps the locks: a part is removed as described, from any machine.
- File systems without locks: no part is ever removed.
- File systems whose locks only the own machine sees: a part of another machine is removed when it has not changed for a
  day.

If the target is a symbolic link, the file replaces the link, and the file that the link points to stays unchanged: a
folder from other people may hold links to the user's own files.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_ENDING = ".part"
_LONGEST_NAME = 255  # bytes, in usual file systems
_SECONDS_ABROAD = 86400.0


@contextlib.contextmanager
def atomic_path(path: str | Path, folder: bool = False) -> Iterator[Path]:
    """Make a file or folder under a temporary name, and rename it when the block ends.

    If the block fails, the temporary file is removed and the target stays as it was. A new file has the mode that the
    user's umask gives. A file that replaces another file keeps the mode of that file.

    Args:
        path: The target. Its folder is made, and files that killed writers of this target have left are removed.
        folder: Whether the target is a folder, which must not exist yet.

    Yields:
        The temporary path, beside the target.

    Raises:
        OSError: If the target cannot be written, for example because it is a device, a pipe or, for a file, a folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = _mode_of(path, folder)
    remove_leftovers(path.parent, path.name)
    temporary = path.with_name(f"{_prefix(path.name)}{secrets.token_hex(8)}@{_host()}{_ENDING}")
    handle = None
    try:
        handle = _make(temporary, folder, 0o666 if mode is None else 0o600)
        mode = stat.S_IMODE(os.lstat(temporary).st_mode) if mode is None else mode
        yield temporary
        if not folder:
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, mode)  # a library may have put a private file of its own there
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    finally:
        if handle is not None:
            os.close(handle)


def remove_leftovers(folder: str | Path, name: str | None = None) -> None:
    """Remove the temporary files that killed writers have left in a folder; files that are being written stay.

    Args:
        folder: The folder.
        name: Name of the target; None removes the temporary files of all targets.
    """
    part = re.compile((r"\..+-" if name is None else re.escape(_prefix(name))) + r"\w+(@[^@]*)?\.part")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if part.fullmatch(entry.name) and not entry.is_symlink():
                with contextlib.suppress(OSError):
                    _remove_if_left(Path(entry.path))


def append_line(path: str | Path, line: str) -> None:
    """Add a line to a text file in one write. If a killed process left half a line, that line is ended first.

    Args:
        path: The file.
        line: The line without its end.

    Raises:
        OSError: If the file cannot be written, or is a symbolic link, which a folder from other people may hold.
    """
    text = f"{line}\n".encode()
    with open(open_no_link(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "r+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            text = b"\n" + text
        written = file.write(text)
        if written != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def open_no_link(path: str | Path, flags: int) -> int:
    """Open a file that is not a symbolic link.

    Args:
        path: The file.
        flags: Flags of `os.open`.

    Returns:
        A descriptor.

    Raises:
        OSError: If the file cannot be opened, or is a symbolic link or a pipe; a pipe's writer would wait for a reader.
    """
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags, 0o666)
    mode = os.fstat(handle).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        os.close(handle)
        raise FileExistsError(errno.EEXIST, "it is a pipe", str(path))
    return handle


def _mode_of(path: Path, folder: bool) -> int | None:
    """Return the permission bits of the file to replace, None for a new file; refuse anything but a regular file."""
    try:
        found = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found):
        return None
    if folder:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found):
        raise FileExistsError(errno.EEXIST, "it is a device or a pipe", str(path))
    return stat.S_IMODE(found) & 0o777


def _make(temporary: Path, folder: bool, mode: int) -> int | None:
    """Make a temporary file or folder; return a descriptor that holds its lock, or None on systems without locks.

    The umask removes some of the permission bits `mode` of a file.
    """
    while True:
        if folder:
            temporary.mkdir()
            if fcntl is None:
                return None
            handle = os.open(temporary, os.O_RDONLY)
        else:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT, mode)
        if fcntl is None:  # Windows replaces no file that is open
            os.close(handle)
            return None
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_at(handle, temporary):
            return handle
        os.close(handle)  # another process removed it as a leftover before it was locked


def _remove_if_left(part: Path) -> None:
    """Remove a temporary file that no process holds; raise `OSError` if a process holds it."""
    if fcntl is None:
        return
    host = re.search(r"@([^@]*)\.part$", part.name)
    if host and host[1] != _host() and time.time() - part.stat().st_mtime < _SECONDS_ABROAD:
        return
    folder = part.is_dir()
    handle = os.open(part, (os.O_RDONLY if folder else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(handle, part):
            _remove(part)
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Return whether an open file or folder still has this name."""
    try:
        found, held = os.lstat(path), os.fstat(handle)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def _prefix(name: str) -> str:
    """Return the beginning of temporary names for a target: as much of the target's name as there is room for."""
    room = _LONGEST_NAME - len(f".-0123456789abcdef@{_host()}{_ENDING}")
    return f".{os.fsdecode(os.fsencode(name)[:room])}-"


def _host() -> str:
    """Return this machine's name, in letters that any file system accepts."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:40]
