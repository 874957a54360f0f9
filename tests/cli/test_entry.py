"""Signals and screens at the edge of every command: exit codes, no half-written files, no work lost."""

import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dnnlib.util import Logger, Outlet
from stylegan_v_ext.cli.gen_video import gen_video
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.engine import load_state

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
TRAIN = [
    "train", "--cfg=stylegan-v", "--batch=4", "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24",
    "--workers=0", "--tick=0.004", "--snap=0", "--snap-state=60", "--device=cpu", "--nan-policy=ignore",
]  # fmt: skip


def interrupted(monkeypatch, place, number, *arguments, command=main, times=1):
    """(exit code, output) of a command that gets a signal, perhaps again, at the first call of what is at `place`."""
    calls = []

    def receive(*args, **kwargs):
        calls.append(place)
        for _ in range(times):
            os.kill(os.getpid(), number)
        time.sleep(5)
        raise AssertionError("the signal did nothing")

    monkeypatch.setattr(place, receive)
    before = [signal.getsignal(other) for other in SIGNALS]
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert calls, (result.output, result.exc_info)
    assert [signal.getsignal(other) for other in SIGNALS] == before
    return result.exit_code, result.output


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("stylegan_v_ext.data.writer.DatasetWriter.write_metadata", ["data", "convert", "{data}", "{out}/c.zip"]),
        ("stylegan_v_ext.data.writer.DatasetWriter.write", ["data", "convert", "{data}", "{out}/folder"]),
        ("stylegan_v_ext.data.check.check_dataset", ["data", "check", "{data}"]),
        ("stylegan_v_ext.generate.writers._even", ["generate", "{net}", "--seeds=0", "--frames=2", "--output={out}"]),
        ("PIL.Image.Image.save", ["generate", "{net}", "--seeds=0", "--frames=2", "--format=png", "--output={out}"]),
        ("os.replace", ["directions", "{net}", "--count=1", "--output={out}/d.npz"]),
        ("stylegan_v_ext.checkpoints.load", ["checkpoint", "inspect", "{path}"]),
        ("os.fsync", ["checkpoint", "convert", "{path}", "{out}/c.safetensors"]),
        ("stylegan_v_ext.metrics.detectors.detectors_folder", ["metrics", "detectors"]),
        ("stylegan_v_ext.cli.metrics._measure_all", ["metrics", "{net}", "--data={data}"]),
        ("stylegan_v_ext.doctor.platform.python_version", ["doctor"]),
        ("stylegan_v_ext.runs.demo.prepare", ["demo", "--outdir={out}/demo"]),
        ("stylegan_v_ext.runs.plan.check_data", ["train", "--cfg=stylegan-v", "--data={data}", "--outdir={out}"]),
    ],
)  # fmt: skip
def test_a_signal_ends_a_command_with_its_code_and_leaves_no_half_file(
    monkeypatch, tmp_path, sky_zip, trained_path, place, arguments, number
):
    names = dict(data=sky_zip, out=tmp_path, path=trained_path, net=f"--network={trained_path}")
    if place == "stylegan_v_ext.runs.demo.prepare":
        monkeypatch.setattr("stylegan_v_ext.runs.demo.demo_data", lambda *args, **kwargs: sky_zip)
    times = 1 if number == signal.SIGINT else 3
    code, output = interrupted(monkeypatch, place, number, *(a.format(**names) for a in arguments), times=times)
    assert code == 128 + number, output
    assert "Traceback" not in output and list(tmp_path.rglob(".*")) == []
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_command_inside_another_ends_both(monkeypatch, tmp_path, trained_path):
    """As `demo` makes videos."""
    import click

    from stylegan_v_ext.cli.entry import Command

    went_on = []

    @click.command(cls=Command)
    def outer():
        gen_video.main(["--network", str(trained_path), "--seeds=0", f"--output={tmp_path}"], standalone_mode=False)
        went_on.append(True)

    code, _ = interrupted(monkeypatch, "stylegan_v_ext.cli.gen_video._write", signal.SIGINT, command=outer)
    assert code == 130 and not went_on


def test_an_interrupt_in_the_training_of_the_demo_makes_no_videos(monkeypatch, tmp_path, sky_zip):
    from stylegan_v_ext.engine import GanStep

    original = GanStep.__call__

    def step(self):
        if self.state.num_steps == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self)

    monkeypatch.setattr(GanStep, "__call__", step)
    monkeypatch.setattr("stylegan_v_ext.runs.demo.demo_data", lambda *args, **kwargs: sky_zip)
    result = CliRunner().invoke(main, ["demo", f"--outdir={tmp_path}", "--device=cpu"])
    assert result.exit_code == 130, result.output
    (run_dir,) = tmp_path.iterdir()
    assert load_state(run_dir)["num_steps"] == 2 and not (run_dir / "videos").exists()


def test_nohup_is_respected(monkeypatch, tmp_path):
    from stylegan_v_ext.interrupts import ending, interruptible

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending(), interruptible() as stopped:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            assert not stopped.is_set() and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGTERM)
            assert stopped.wait(5) and stopped.number == signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)


def start(*arguments, **options):
    command = [sys.executable, "-m", "stylegan_v_ext.cli.main", *map(str, arguments)]
    return subprocess.Popen(command, env=ENVIRONMENT, cwd=ROOT, **options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_real_conversion_that_is_ended_leaves_nothing(tmp_path, sky_zip, number):
    (tmp_path / "out").mkdir()
    with start("data", "convert", sky_zip, tmp_path / "out" / "c.zip", "--resolution=2048", "--format=png",
               "--workers=1", stderr=subprocess.PIPE) as process:  # fmt: skip
        while not list((tmp_path / "out").iterdir()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == 128 + number and b"Traceback" not in process.stderr.read()
    assert list((tmp_path / "out").iterdir()) == []


# Screens


class Broken(io.StringIO):
    """A stream that fails in one of the ways that streams fail."""

    encoding = "ascii"

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error

    flush = lambda self: (_ for _ in ()).throw(self.error)  # noqa: E731


ERRORS = [
    OSError(code, os.strerror(code)) for code in (errno.ENOSPC, errno.EIO, errno.EPIPE, errno.EAGAIN, errno.EBADF)
]
ERRORS += [ValueError("I/O operation on closed file.")]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_a_stream_that_fails_is_named_once_and_raises_nothing(error):
    told = []
    outlet = Outlet(Broken(error), "Standard output", told.append)
    for _ in range(3):
        assert outlet.write("text\n") == 5
        outlet.flush()
    assert len(told) == 1 and "Standard output cannot be written" in told[0]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_the_log_keeps_all_and_names_a_screen_that_fails(tmp_path, monkeypatch, error):
    monkeypatch.setattr(sys, "stdout", Broken(error))
    with Logger(str(tmp_path / "log.txt")):
        print("one")
        print("two", file=sys.stderr)
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert (
        lines[0] == "one" and lines[-1] == "two" and sum("The screen cannot be written" in line for line in lines) == 1
    )


def test_letters_that_a_terminal_has_not_are_spelled_out():
    raw = io.BytesIO()
    told = []
    outlet = Outlet(io.TextIOWrapper(raw, encoding="ascii", write_through=True), "Standard output", told.append)
    outlet.write("Zürich 日本\n")
    assert raw.getvalue() == b"Z\\xfcrich \\u65e5\\u672c\n" and not told


def test_a_stream_that_is_not_there_takes_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with Logger(str(tmp_path / "log.txt")) as log:
        print("kept")
        assert not log.isatty()
    assert (tmp_path / "log.txt").read_text() == "kept\n"


def test_a_list_whose_reader_leaves_ends_well():
    with start("metrics", "list", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(60) == 0 and b"Traceback" not in told and b"Exception" not in told


@pytest.mark.parametrize(
    "shell",
    [
        "> /dev/full 2> /dev/full",
        *[pytest.param(shell, marks=pytest.mark.nightly) for shell in ("> /dev/full", ">&- 2>&- <&-", "| true")],
    ],
)
def test_a_training_lasts_longer_than_its_screen(tmp_path, sky_zip, shell):
    command = f"{sys.executable} -m stylegan_v_ext.cli.main {' '.join(TRAIN)} --data={sky_zip} --outdir={tmp_path} "
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} --kimg=0.012 {shell}"], env=ENVIRONMENT, cwd=ROOT, text=True,
        capture_output=True, timeout=200,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (run_dir,) = tmp_path.iterdir()
    log = (run_dir / "log.txt").read_text()
    assert load_state(run_dir)["num_steps"] == 3 and log.count("\ntick ") == 3
    assert "cannot be written" in log + result.stderr or ">&-" in shell
    assert "Traceback" not in log + result.stderr and "Exception ignored" not in result.stderr


def test_descriptors_that_are_closed_are_not_given_to_files():
    program = (
        "import os\nfrom stylegan_v_ext.cli.entry import _open_standard_files\n_open_standard_files()\n"
        "os._exit(0 if os.open('/dev/zero', os.O_RDONLY) > 2 else 1)"
    )
    shell = f'exec {sys.executable} -c "{program}" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", shell], env=ENVIRONMENT, cwd=ROOT).returncode == 0


def test_an_error_is_two_even_if_nobody_hears_it():
    with contextlib.ExitStack() as stack, open("/dev/full", "w") as full:
        process = stack.enter_context(start("data", "check", "/nowhere", stdout=full, stderr=full))
        assert process.wait(60) == 2
