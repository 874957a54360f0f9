"""The processes that decode: cheap, one a file, safe with threads and forks, gone with whoever started them."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import imageio_ffmpeg
import numpy as np
import psutil
import pytest

from stylegan_v_ext.data.ffmpeg import DecoderMissing, VideoReader
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.video import process

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
needs_server = pytest.mark.skipif(not process.CAN_FORK, reason="a server decodes on Linux alone")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Files of 3, 4, …, 10 frames, and a long one."""
    folder = tmp_path_factory.mktemp("clips")
    lengths = {folder / f"{count}.mp4": count for count in range(3, 11)}
    for path, count in {**lengths, folder / "long.mp4": 3000}.items():
        source = f"testsrc=s=64x64:r=25:d={count / 25}"
        subprocess.run([FFMPEG, "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", path], check=True)
    return lengths


def count(path):
    return sum(1 for _ in VideoReader(str(path), Geometry((32, 32))))


def server():
    return psutil.Process(process._Server.current()._process.pid)


def wait_until(condition):
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


@needs_server
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="/proc, which tells the open files, is missing")
def test_one_server_serves_many_threads_and_keeps_nothing(clips):
    paths = list(clips) * 3
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(count, paths)) == [clips[path] for path in paths]
    first = server()
    assert wait_until(lambda: not first.children()) and count(paths[0]) == 3 and server() == first
    assert len(os.listdir(f"/proc/{first.pid}/fd")) < 16


@needs_server
def test_a_reader_that_leaves_early_takes_its_process_along(clips, monkeypatch):
    reader = iter(VideoReader(str(next(iter(clips)).with_name("long.mp4"))))
    next(reader)
    (child,) = server().children()
    reader.close()
    assert wait_until(lambda: not child.is_running())


@needs_server
def test_a_server_that_was_killed_is_replaced(clips):
    path = next(iter(clips))
    assert count(path) == 3
    server().kill()
    assert count(path) == 3


@needs_server
def test_a_fork_of_this_process_starts_its_own(clips):
    path = next(iter(clips))
    assert count(path) == 3
    child = os.fork()
    if not child:
        code = 100
        try:
            code = count(path)
        finally:  # whatever happens, the child does not run the rest of the tests
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert count(path) == 3


@needs_server
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_its_parent(clips, end):
    path = next(iter(clips)).with_name("long.mp4")
    program = f"""
from stylegan_v_ext.data.ffmpeg import DecoderMissing, VideoReader
frames = iter(VideoReader({str(path)!r}))
next(frames)
print("ready", flush=True)
import time
time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=environment) as parent:  # fmt: skip
        assert parent.stdout.readline() == b"ready\n"
        below = psutil.Process(parent.pid).children(recursive=True)
        assert len(below) == 2
        parent.send_signal(end)
    assert not psutil.wait_procs(below, timeout=10)[1]


@pytest.mark.parametrize(("system", "forks"), [("linux", True), ("darwin", False), ("win32", False)])
def test_only_linux_forks(monkeypatch, system, forks):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)  # the copy starts no server
    spec = importlib.util.spec_from_file_location("copy_of_process", process.__file__)
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    assert copy.CAN_FORK is forks


def test_without_fork_a_process_is_started_for_each_file(clips, monkeypatch):
    path, long = list(clips)[-1], next(iter(clips)).with_name("long.mp4")
    forked = np.stack(list(VideoReader(str(path))))
    monkeypatch.setattr(process, "CAN_FORK", False)
    assert np.array_equal(np.stack(list(VideoReader(str(path)))), forked)
    reader = iter(VideoReader(str(long)))
    next(reader)
    (child,) = [
        one
        for one in psutil.Process().children()
        if str(process.DECODER) in one.cmdline() and "--serve" not in one.cmdline()
    ]
    reader.close()
    assert wait_until(lambda: not child.is_running())


@needs_server
def test_a_library_that_does_not_load_is_no_fault_of_the_file(clips, monkeypatch):
    broken = [sys.executable, "-c", "raise ImportError('libavcodec is not there')"]
    monkeypatch.setattr(process._Server, "_running", None)
    monkeypatch.setattr(process, "_command", lambda: broken)
    with pytest.raises(DecoderMissing, match="cannot start .*libavcodec is not there.*pip install") as error:
        count(next(iter(clips)))
    assert str(next(iter(clips))) not in str(error.value)
    process._Server.end()
