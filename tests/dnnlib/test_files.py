"""Files that are complete or not there: modes, links, what killed writers leave, lines."""

import os
import random
import subprocess
import sys
import time

import pytest

from dnnlib import files
from dnnlib.files import append_line, atomic_path, remove_leftovers

HOLD = """
import sys, time
from dnnlib.files import atomic_path
with atomic_path(sys.argv[1], folder=sys.argv[2] == "folder") as temporary:
    print(temporary, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def write(path, content="new"):
    with atomic_path(path) as temporary:
        temporary.write_text(content)


def mode_of(path):
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o027, 0o077, 0o007, 0o033])
def test_new_files_and_folders_have_the_mode_of_the_umask(tmp_path, umask, mask):
    umask(mask)
    write(tmp_path / "file")
    append_line(tmp_path / "lines", "one")
    with atomic_path(tmp_path / "folder", folder=True) as temporary:
        (temporary / "inner").write_text("x")
    assert mode_of(tmp_path / "file") == mode_of(tmp_path / "lines") == 0o666 & ~mask
    assert mode_of(tmp_path / "folder") == 0o777 & ~mask
    assert os.umask(mask) == mask, "the process keeps its own"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o400, 0o664, 0o755])
def test_a_file_that_replaces_another_keeps_its_mode_and_is_not_readable_before(tmp_path, umask, mode):
    umask(0)
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    with atomic_path(path) as temporary:
        assert mode_of(temporary) == 0o600
        temporary.write_text("new")
    assert mode_of(path) == mode and path.read_bytes() == b"new"


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "mine").write_text("precious")
    for name, target in (("link", "mine"), ("dangling", "nowhere"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
        write(tmp_path / name)
        assert not (tmp_path / name).is_symlink() and (tmp_path / name).read_text() == "new"
    assert (tmp_path / "mine").read_text() == "precious" and not (tmp_path / "nowhere").exists()
    (tmp_path / "log").symlink_to("mine")
    with pytest.raises(OSError, match="symbolic links"):
        append_line(tmp_path / "log", "line")
    assert (tmp_path / "mine").read_text() == "precious"


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(OSError):
            write(tmp_path / name)
    with pytest.raises(FileExistsError), atomic_path(tmp_path / "folder", folder=True):
        pass
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    write(tmp_path / "file", "old")
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), atomic_path(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise error
        with pytest.raises(error), atomic_path(tmp_path / "folder", folder=True) as temporary:
            (temporary / "half").write_text("half")
            raise error
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("name", ["a" * 255, "é" * 120, "a[1]*?.zip", "x@host.part", ".hidden", "no ending", "a-b"])
def test_names_of_all_kinds_are_written_and_cleared(tmp_path, name):
    path = tmp_path / name
    with atomic_path(path) as temporary:
        left = temporary.name
        assert temporary.parent == tmp_path
    path.unlink()
    (tmp_path / left).write_text("of a process that is gone")
    (tmp_path / "other.part").write_text("not ours")
    write(path)
    assert sorted(os.listdir(tmp_path)) == sorted([name, "other.part"])


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_living_process_writes_stays_and_what_a_killed_one_left_goes(tmp_path, kind):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "target"), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()) as process:
        left = process.stdout.readline().strip()
        remove_leftovers(tmp_path)
        if kind == "file":
            write(tmp_path / "target")
        assert os.path.exists(left)
        process.kill()
    assert os.path.exists(left)
    (tmp_path / ".other.zip-abc123.part").write_text("of another target")
    (tmp_path / ".profile.part").write_text("not ours")
    remove_leftovers(tmp_path, "target")
    assert not os.path.exists(left) and (tmp_path / ".other.zip-abc123.part").exists()
    remove_leftovers(tmp_path)
    assert not (tmp_path / ".other.zip-abc123.part").exists() and (tmp_path / ".profile.part").exists()


def test_a_part_of_another_machine_has_a_day(tmp_path):
    """Some network file systems keep locks on one machine."""
    young, old = tmp_path / ".t-0123abcd@elsewhere.part", tmp_path / ".t-0123abce@elsewhere.part"
    for part in (young, old):
        part.write_text("x")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    write(tmp_path / "t")
    assert sorted(os.listdir(tmp_path)) == [young.name, "t"]


def test_nothing_is_removed_where_nothing_can_be_locked(tmp_path, monkeypatch):
    def refuse(handle, how):
        raise OSError(37, "No locks available")

    part = tmp_path / ".t-0123abcd.part"
    part.write_text("x")
    monkeypatch.setattr(files.fcntl, "flock", refuse)
    write(tmp_path / "t")
    assert part.exists() and (tmp_path / "t").read_text() == "new"


def test_a_part_that_is_taken_away_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    original, taken = files.fcntl.flock, []

    def take(handle, how):
        if not taken:
            taken.extend(tmp_path.glob(".t-*"))
            taken[0].unlink()
        return original(handle, how)

    monkeypatch.setattr(files.fcntl, "flock", take)
    write(tmp_path / "t")
    assert taken and os.listdir(tmp_path) == ["t"]


def test_lines_are_whole_after_any_cut(tmp_path):
    """A kill may leave any number of a line's bytes."""
    chance, path = random.Random(0), tmp_path / "lines"
    for _ in range(100):
        path.unlink(missing_ok=True)
        for number in range(4):
            append_line(path, f"line {number} é")
        size = chance.randrange(path.stat().st_size + 1)
        whole = path.read_bytes()[:size].split(b"\n")[:-1]
        os.truncate(path, size)
        append_line(path, "after")
        lines = path.read_bytes().split(b"\n")
        assert lines[: len(whole)] == whole and lines[-2:] == [b"after", b""]
