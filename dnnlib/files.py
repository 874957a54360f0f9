"""Files and folders that appear under their names only when they are complete.

A temporary name is `.NAME-RANDOM@HOST.part`, beside the target. Its writer holds a lock on it (`flock`), which the
system drops when the process ends, however it ends. So a part that nobody holds is left over from a process that was
killed, and the next writer of the same target removes it. File systems differ in what a lock means:

- Local disks, and NFS, whose server keeps the locks: as above, from any machine.
- No locks at all: nothing is ever removed.
- Locks that only the own machine sees: a part of another machine is removed when it has not changed for a day.

A target that is a symbolic link is replaced by the file, and what it points to stays as it was: a folder of strangers
may hold links that lead to files of one's own.
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
_LONGEST_NAME = 255  # bytes, of usual file systems
_SECONDS_ABROAD = 86400.0


@contextlib.contextmanager
def atomic_path(path: str | Path, folder: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends it is synced and renamed to `path`.

    If the block fails, the temporary file is removed and whatever was at `path` stays. A new file has the mode that
    the user's umask gives, a file that replaces another one keeps the other's mode.

    Args:
        path: Target; its folder is made. What killed writers of the same target have left is removed.
        folder: Whether the target is a folder, which must not exist yet.

    Raises:
        OSError: For a target that cannot be written, among them devices, pipes and, for files, folders.
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
            os.chmod(temporary, mode)  # also if a library has put a private file of its own in the place
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise
    finally:
        if handle is not None:
            os.close(handle)


def remove_leftovers(folder: str | Path, name: str | None = None) -> None:
    """Remove parts in a folder that their writers have left behind; a part that is being written stays.

    Args:
        name: Of the target; None for the parts of all targets.
    """
    part = re.compile((r"\..+-" if name is None else re.escape(_prefix(name))) + r"\w+(@[^@]*)?\.part")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if part.fullmatch(entry.name) and not entry.is_symlink():
                with contextlib.suppress(OSError):
                    _remove_if_left(Path(entry.path))


def append_line(path: str | Path, line: str) -> None:
    """Add a line to a text file in one write; a line that a killed process left half-written is ended first.

    Raises `OSError`, also for a symbolic link, which a folder of strangers may hold.
    """
    text = f"{line}\n".encode()
    with open(open_no_link(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "r+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            text = b"\n" + text
        written = file.write(text)
        if written != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def open_no_link(path: str | Path, flags: int) -> int:
    """Descriptor of a file that is opened with the flags of `os.open`.

    Raises `OSError`, also for a symbolic link and for a pipe, which makes its writer wait for a reader.
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
    """Permission bits of the file to replace; None for a new file. Raises `OSError` for what is no regular file."""
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
    """Make a temporary file or folder; returns a descriptor that holds its lock, None without locks.

    Args:
        mode: Permission bits of a file, of which the umask takes its own.
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
        os.close(handle)  # taken for a leftover before it was locked


def _remove_if_left(part: Path) -> None:
    """Remove a part that no process holds. Raises `OSError` if it cannot be locked."""
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
    """Whether an open file or folder still has that name."""
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
    """How temporary names for a target begin; as much of the target's name as a file name has room for."""
    room = _LONGEST_NAME - len(f".-0123456789abcdef@{_host()}{_ENDING}")
    return f".{os.fsdecode(os.fsencode(name)[:room])}-"


def _host() -> str:
    """This machine's name, of letters that any file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:40]
