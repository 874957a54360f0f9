"""What goes wrong while a run is on its way: nothing is lost, and a line says what to do."""

import errno
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest
import torch
from click.testing import CliRunner

from stylegan_v_ext import checkpoints
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import FfmpegError
from stylegan_v_ext.engine import Trainer, batches, load_state, run_files, train
from stylegan_v_ext.engine.health import NotFinite
from stylegan_v_ext.engine.saved_state import STATE_NAME
from stylegan_v_ext.engine.step import GanStep
from stylegan_v_ext.files import locked
from stylegan_v_ext.interrupts import StoppedBySignal
from stylegan_v_ext.runs import latest_run
from tests.engine.small_runs import config_for

ROOT = Path(__file__).parents[2]
RUN = dict(kimg=0.06, tick=0.02, snap=1, snap_state=0)  # 15 steps, a state after each
COMMAND = [
    "train", "--cfg=stylegan-v", "--batch=4", "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24",
    "--workers=0", "--tick=0.02", "--snap=1", "--snap-state=0", "--device=cpu",
]  # fmt: skip


def run(data, folder, **options):
    return train(config_for(data, **{**RUN, **options}), folder)


def at_step(monkeypatch, number, act):
    """Do something with the state before a step of whatever run comes."""
    original = GanStep.__call__

    def step(self):
        if self.state.num_steps == number:
            act(self.state)
        return original(self)

    monkeypatch.setattr(GanStep, "__call__", step)


def failing(count, error):
    """A function that fails so many times before it does what it is put in place of."""
    left = [count]

    def wrap(function):
        def call(*args, **kwargs):
            if left[0]:
                left[0] -= 1
                raise error
            return function(*args, **kwargs)

        return call

    return wrap


NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
READ_ONLY = OSError(errno.EROFS, os.strerror(errno.EROFS))


# Disks


@pytest.mark.parametrize("error", [NO_SPACE, READ_ONLY], ids=["full", "read-only"])
def test_a_snapshot_without_room_is_made_up_for_later(sky_zip, tmp_path, monkeypatch, capsys, error):
    def fail_next(state):
        monkeypatch.setattr(run_files.checkpoints, "save_snapshot", failing(1, error)(checkpoints.save_snapshot))

    at_step(monkeypatch, 2, fail_next)
    last = run(sky_zip, tmp_path / "run", kimg=0.06, tick=0.02)
    assert last.is_file() and load_state(tmp_path / "run")["num_steps"] == 15
    output = capsys.readouterr().out
    assert f"The snapshot could not be written ({error.strerror}). The one before is kept" in output


def test_a_state_without_room_leaves_the_one_before(sky_zip, tmp_path, monkeypatch, capsys):
    kept = []

    def fail_from_now(state):
        kept.append((tmp_path / "run" / STATE_NAME).read_bytes())
        monkeypatch.setattr(run_files, "save_state", failing(4, NO_SPACE)(run_files.save_state))

    def look(state):
        kept.append((tmp_path / "run" / STATE_NAME).read_bytes())

    at_step(monkeypatch, 3, fail_from_now)
    at_step(monkeypatch, 5, look)
    run(sky_zip, tmp_path / "run")
    assert kept[0] == kept[1] and "The state could not be written" in capsys.readouterr().out
    assert load_state(tmp_path / "run")["num_steps"] == 15


def test_no_room_at_the_end_is_an_error_in_one_line(sky_zip, tmp_path, monkeypatch):
    def fail_from_now(state):
        monkeypatch.setattr(run_files, "save_state", failing(100, NO_SPACE)(run_files.save_state))

    at_step(monkeypatch, 4, fail_from_now)
    result = CliRunner().invoke(main, [*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=0.02"])
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].startswith("Error: the state could not be written (No space left on device)")
    assert load_state(next(tmp_path.iterdir()))["num_steps"] == 4, "the last good one"


def test_a_file_that_the_system_cuts_short_is_not_put_in_place(sky_zip, tmp_path):
    """A true limit of the system on the size of files, as a full disk behaves."""
    files = Trainer(config_for(sky_zip), tmp_path).files
    files.save_state()
    before = (tmp_path / STATE_NAME).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        for write in (files.save_state, files.save_snapshot):
            with pytest.raises(OSError):
                write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / STATE_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [STATE_NAME], "nothing half-written is left"


def test_a_log_without_room_does_not_stop_a_run(sky_zip, tmp_path, monkeypatch, capsys):
    class Full:
        def write(self, text):
            raise NO_SPACE

        flush = close = lambda self: None

    def fill(state):
        sys.stdout.file.close()
        sys.stdout.file = Full()

    at_step(monkeypatch, 2, fill)
    run(sky_zip, tmp_path / "run", kimg=0.04)
    assert load_state(tmp_path / "run")["num_steps"] == 10 and "tick 2" in capsys.readouterr().out


SHOWN = [
    FfmpegError("fakes.mp4 could not be encoded (no such encoder)"), FfmpegError("ffmpeg was not found"), NO_SPACE,
    READ_ONLY, RuntimeError("out of memory"), MemoryError(), DataError("a frame is damaged"), BrokenPipeError(),
]  # fmt: skip


def test_previews_statistics_and_metrics_that_fail_end_no_run(sky_zip, tmp_path, monkeypatch, capsys):
    """Sheets fail in every way in turn, TensorBoard and a metric always; what is wrong is said once."""

    def failing_with(kinds):
        errors = itertools.cycle(kinds)

        def fail(*args, **kwargs):
            raise next(errors)

        return fail

    monkeypatch.setattr("stylegan_v_ext.engine.samples.write_video", failing_with(SHOWN))
    monkeypatch.setattr("stylegan_v_ext.engine.samples.SampleSheets.save_reals", failing_with(SHOWN))
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", failing_with(SHOWN))
    monkeypatch.setattr("stylegan_v_ext.engine.evaluation.measure_generator", failing_with(SHOWN))
    monkeypatch.setattr("stylegan_v_ext.engine.logs.append_line", failing_with([NO_SPACE]))
    last = run(sky_zip, tmp_path / "run", kimg=0.036, tick=0.004, metrics=("fvd2048_16f",))
    assert load_state(tmp_path / "run")["num_steps"] == 9 and last.is_file()
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if line.startswith("The samples could not")]
    assert len(said) == len({type(error) for error in SHOWN}), "each kind once"
    assert all(line.endswith("Training goes on.") for line in said)
    assert sum("TensorBoard files are no longer written" in line for line in lines) == 1
    assert sum("fvd2048_16f could not be measured" in line for line in lines) == 9
    assert list((tmp_path / "run").glob(".*")) == []


def test_a_signal_that_reaches_the_data_workers_too_saves(sky_zip, tmp_path, monkeypatch):
    """As `scancel` sends it: to every process of a job."""

    others = psutil.Process().children()

    def stop(state):
        workers = [process for process in psutil.Process().children() if process not in others]
        assert len(workers) == 2
        for process in workers:
            process.terminate()
        os.kill(os.getpid(), signal.SIGTERM)
        for process in workers:
            process.wait(10)

    at_step(monkeypatch, 4, stop)
    with pytest.raises(StoppedBySignal) as stopped:
        run(sky_zip, tmp_path / "run", kimg=4, workers=2, snap=0, snap_state=60)
    assert stopped.value.exit_code == 143 and load_state(tmp_path / "run")["num_steps"] in (4, 5)


def test_a_folder_that_somebody_removes_is_made_again(sky_zip, tmp_path, monkeypatch):
    at_step(monkeypatch, 2, lambda state: shutil.rmtree(next(tmp_path.iterdir())))
    result = CliRunner().invoke(main, [*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=0.02"])
    assert result.exit_code == 0, result.output
    assert load_state(next(tmp_path.iterdir()))["num_steps"] == 5


# Data


@pytest.fixture
def folder_set(sky_zip, tmp_path):
    with zipfile.ZipFile(sky_zip) as source:
        source.extractall(tmp_path / "data")
    return tmp_path / "data"


def rot(folder, frames):
    for path in frames:
        path.write_bytes(path.read_bytes()[:100])


def test_rotten_frames_stop_a_run_with_all_that_was_done(folder_set, tmp_path, monkeypatch):
    at_step(monkeypatch, 5, lambda state: rot(folder_set, folder_set.rglob("*.jpg")))
    result = CliRunner().invoke(main, [*COMMAND, f"--data={folder_set}", f"--outdir={tmp_path / 'runs'}"])
    assert result.exit_code == 2 and ".jpg is not a readable image" in result.output.splitlines()[-1]
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert load_state(run_dir)["num_steps"] in (5, 6) and "Saved before stopping" in result.output


@pytest.mark.parametrize("workers", [0, 2])
def test_rotten_frames_can_be_left_out_and_are_named(folder_set, tmp_path, monkeypatch, capfd, workers):
    bad = sorted(folder_set.rglob("*.jpg"))[:60]  # of 240
    at_step(monkeypatch, 1, lambda state: rot(folder_set, bad))
    run(str(folder_set), tmp_path / "run", kimg=0.1, workers=workers, on_bad_frame="skip", snap=0)
    assert load_state(tmp_path / "run")["num_steps"] == 25
    lines = [line for line in (tmp_path / "run" / "log.txt").read_text().splitlines() if "another clip" in line]
    assert 0 < len(lines) == len(set(lines)), "each named once"
    assert all(any(path.name in line for path in bad) for line in lines)


def test_what_stands_for_a_bad_clip_does_not_depend_on_workers(folder_set):
    rot(folder_set, sorted(folder_set.rglob("*.jpg"))[5:60])
    from stylegan_v_ext.data.dataset import SparseVideoDataset

    found = []
    for workers in (0, 2):
        dataset = SparseVideoDataset(str(folder_set))
        stream = batches.load_batches(
            dataset, batch_size=4, batch_gpu=4, rounds=range(1), seed=0, start=0, device=torch.device("cpu"),
            num_workers=workers, prefetch_factor=2 if workers else None, skip_bad_frames=True,
        )  # fmt: skip
        found.append([next(stream) for _ in range(6)])
        stream.close()
    for (strips, labels), (others, other_labels) in zip(*found, strict=True):
        assert torch.equal(strips, others) and torch.equal(labels, other_labels)


def test_a_frame_that_disappears_is_named(folder_set, tmp_path, monkeypatch, capsys):
    gone = sorted(folder_set.rglob("*.jpg"))[:30]
    at_step(monkeypatch, 1, lambda state: [path.unlink() for path in gone])
    run(str(folder_set), tmp_path / "run", kimg=0.1, on_bad_frame="skip", snap=0)
    assert "cannot be read (No such file or directory)" in capsys.readouterr().out


def test_an_archive_that_disappears_is_named(sky_zip, tmp_path, monkeypatch):
    from stylegan_v_ext.data import archive

    path = tmp_path / "moved.zip"
    shutil.copy(sky_zip, path)
    opened = archive.open_archive(path)
    path.unlink()
    with pytest.raises(DataError, match=r"moved.zip cannot be read \(No such file"):
        opened.read(0)


def test_too_many_rotten_frames_stop_a_run(folder_set, tmp_path, monkeypatch):
    monkeypatch.setattr("stylegan_v_ext.engine.bad_frames._MOST_BAD", 3)
    at_step(monkeypatch, 1, lambda state: rot(folder_set, sorted(folder_set.rglob("*.jpg"))[:120]))
    with pytest.raises(DataError, match="more than 3 frames cannot be read; the last: "):
        run(str(folder_set), tmp_path / "run", kimg=4, on_bad_frame="skip", snap=0)
    assert load_state(tmp_path / "run")["num_steps"] >= 1


def test_nothing_but_rotten_frames_stops_a_run(folder_set, tmp_path, monkeypatch):
    at_step(monkeypatch, 1, lambda state: rot(folder_set, folder_set.rglob("*.jpg")))
    with pytest.raises(DataError, match="20 clips in a row cannot be read"):
        run(str(folder_set), tmp_path / "run", kimg=4, on_bad_frame="skip", snap=0)
    assert load_state(tmp_path / "run")["num_steps"] >= 1


def test_a_worker_that_is_killed_is_named_and_the_work_kept(sky_zip, tmp_path, monkeypatch):
    others = psutil.Process().children()

    def kill(state):
        for child in psutil.Process().children():
            if child not in others:
                child.kill()

    at_step(monkeypatch, 4, kill)
    with pytest.raises(DataError, match="a data worker was ended from outside; where memory ran out, use fewer"):
        run(sky_zip, tmp_path / "run", kimg=4, workers=2, snap=0)
    assert load_state(tmp_path / "run")["num_steps"] >= 4


# Shared memory


def test_small_shared_memory_is_seen_before(sky_zip, tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(batches.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    run(sky_zip, tmp_path / "run", kimg=0.02, workers=2)
    assert "reading without --workers" in capsys.readouterr().out
    assert load_state(tmp_path / "run")["num_steps"] == 5


def test_full_shared_memory_is_named(monkeypatch):
    def full():
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                           "workers are out of shared memory.")  # fmt: skip
        yield

    with pytest.raises(DataError, match="found no room in /dev/shm; use --workers=0"):
        list(batches._with_remedy(full()))


def test_a_run_in_a_container_with_hardly_any_shared_memory(sky_zip, tmp_path):
    inner = f"mount -t tmpfs -o size=16k tmpfs /dev/shm && exec {sys.executable} -m stylegan_v_ext.cli.main"
    command = [*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=0.02", "--workers=2"]
    apart = ["unshare", "-m", "sh", "-c"]
    probe = subprocess.run([*apart, "mount -t tmpfs -o size=16k tmpfs /dev/shm"], capture_output=True)
    if probe.returncode:
        pytest.skip("no mounts of one's own here")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run([*apart, f"{inner} {' '.join(command)}"], capture_output=True, text=True, env=environment,
                            timeout=200)  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "reading without --workers" in result.stdout


# Numbers


def poison(state):
    with torch.no_grad():
        next(state.G.parameters()).fill_(float("nan"))


def test_a_loss_that_is_no_number_stops_a_run_with_the_last_good_state(sky_zip, tmp_path, monkeypatch):
    at_step(monkeypatch, 7, poison)
    with pytest.raises(NotFinite, match=r"at step 7; the last good state, of step 7, is kept.*--nan-policy=ignore"):
        run(sky_zip, tmp_path / "run")
    state = load_state(tmp_path / "run")
    assert all(torch.isfinite(tensor).all() for tensor in state["networks"]["G"].values())


def test_the_message_of_a_loss_that_is_no_number_is_one_line(sky_zip, tmp_path, monkeypatch):
    at_step(monkeypatch, 3, poison)
    result = CliRunner().invoke(main, [*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=0.1"])
    assert result.exit_code == 2 and "became NaN or infinite at step 3" in result.output.splitlines()[-1]


def test_a_loss_that_is_no_number_can_be_passed_over(sky_zip, tmp_path, monkeypatch):
    original = GanStep._latents

    def latents(self):
        z, c = original(self)
        return (z * float("nan") if self.state.num_steps == 3 else z), c

    monkeypatch.setattr(GanStep, "_latents", latents)
    run(sky_zip, tmp_path / "run", nan_policy="ignore")
    state = load_state(tmp_path / "run")
    assert state["num_steps"] == 15
    assert all(torch.isfinite(tensor).all() for tensor in state["networks"]["D"].values())


def test_weights_that_are_no_numbers_are_never_saved(sky_zip, tmp_path, monkeypatch):
    trainer = Trainer(config_for(sky_zip), tmp_path)
    trainer.files.try_state(last=False)
    before = (tmp_path / STATE_NAME).read_bytes()
    with torch.no_grad():
        trainer.state.D.b4.out.weight.view(-1)[0] = float("inf")
    with pytest.raises(NotFinite, match=r"weight b4.out.weight of TimeConditionedDiscriminator is NaN or infinite"):
        trainer.files.try_state(last=False)
    assert (tmp_path / STATE_NAME).read_bytes() == before


@pytest.mark.parametrize(("batch_gpu", "cure"), [(4, "--batch-gpu=2"), (1, "smaller --cbase and --cmax")])
def test_no_memory_says_how_much_less_to_use(sky_zip, tmp_path, monkeypatch, batch_gpu, cure):
    def exhaust(state):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    at_step(monkeypatch, 3, exhaust)
    with pytest.raises(ValueError, match=f"out of memory with --batch-gpu={batch_gpu}; go on with --resume=.* {cure}"):
        run(sky_zip, tmp_path / "run", batch_gpu=batch_gpu, mbstd_group=1)
    assert load_state(tmp_path / "run")["num_steps"] == 3


# Time and other runs


def test_the_clock_of_the_day_may_jump(sky_zip, tmp_path, monkeypatch):
    jumps = iter(range(0, 10**9, 10**4))
    monkeypatch.setattr(time, "time", lambda: 2e9 - next(jumps))
    run(sky_zip, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    for name in ("Timing/sec_per_tick", "Timing/total_sec", "Timing/maintenance_sec"):
        assert all(0 <= line[name]["mean"] < 300 for line in lines)


def test_two_runs_in_one_folder_are_refused(sky_zip, tmp_path):
    run(sky_zip, tmp_path / "run")
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    arguments = ["train", f"--resume={tmp_path / 'run'}", "--kimg=0.1"]
    with locked(tmp_path / "run"):
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and "another process trains in" in result.output.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert CliRunner().invoke(main, arguments).exit_code == 0


def test_two_runs_that_begin_at_once_have_a_folder_each(sky_zip, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "stylegan_v_ext.cli.main", *COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}",
               "--kimg=0.02"]  # fmt: skip
    runs = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)]  # fmt: skip
    outputs = [process.communicate(timeout=200)[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], outputs
    assert sorted(path.name[:5] for path in tmp_path.iterdir()) == ["00000", "00001"]
    assert all(load_state(path)["num_steps"] == 5 for path in tmp_path.iterdir())


def test_a_start_that_fails_leaves_no_folder_and_takes_none_away(sky_zip, tmp_path, monkeypatch):
    (tmp_path / "00000-mine").mkdir()
    (tmp_path / "00000-mine" / "notes").write_text("keep")

    def fail(*args):
        raise ValueError("nothing works")

    monkeypatch.setattr("stylegan_v_ext.engine.trainer.build", fail)
    result = CliRunner().invoke(main, [*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}"])
    assert result.exit_code == 2 and "nothing works" in result.output.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["00000-mine"]
    monkeypatch.undo()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "work").write_text("keep")
    with pytest.raises(FileExistsError):
        run(sky_zip, tmp_path / "full")
    assert (tmp_path / "full" / "work").read_text() == "keep"


# States


def test_a_state_that_is_torn_is_named_and_snapshots_still_serve(sky_zip, tmp_path):
    snapshot = run(sky_zip, tmp_path / "runs" / "00000-x")
    state = tmp_path / "runs" / "00000-x" / STATE_NAME
    state.write_bytes(state.read_bytes()[:-1000])
    result = CliRunner().invoke(main, ["train", f"--resume={state.parent}", "--kimg=0.1"])
    assert result.exit_code == 2 and "cannot be read" in result.output and "--resume=SNAPSHOT" in result.output
    assert snapshot.is_file()
    result = CliRunner().invoke(main, [*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path / 'runs'}", "--kimg=0.01",
                                       f"--resume={snapshot}"])  # fmt: skip
    assert result.exit_code == 0, result.output


def test_what_a_killed_write_leaves_is_not_taken_for_a_state(sky_zip, tmp_path):
    run(sky_zip, tmp_path / "00000-x")
    (tmp_path / "00000-x" / f".{STATE_NAME}-abc.part").write_bytes(b"half")
    (tmp_path / "00001-y").mkdir()
    (tmp_path / "00001-y" / f".{STATE_NAME}-abc.part").write_bytes(b"half")
    assert latest_run(tmp_path).name == "00000-x"
    result = CliRunner().invoke(main, ["train", "--resume=latest", f"--outdir={tmp_path}", "--kimg=0.08"])
    assert result.exit_code == 0, result.output
    assert load_state(tmp_path / "00000-x")["num_steps"] == 20


def test_a_state_with_code_in_it_is_not_run(sky_zip, tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'harm'}",)

    run(sky_zip, tmp_path / "run")
    torch.save({"version": 1, "networks": Harmful()}, tmp_path / "run" / STATE_NAME)
    result = CliRunner().invoke(main, ["train", f"--resume={tmp_path / 'run'}", "--kimg=0.1"])
    assert result.exit_code == 2 and "cannot be read" in result.output
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("before", ["default_int_handler", "SIG_IGN"])  # at a prompt, in the background
def test_a_second_interrupt_ends_at_once_and_leaves_the_last_state(sky_zip, tmp_path, before):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    program = (
        "import time\nfrom stylegan_v_ext.engine.step import GanStep\noriginal = GanStep.__call__\n"
        "def step(self):\n    if self.state.num_steps == 4:\n        print('in step 4', flush=True)\n"
        "        time.sleep(60)\n    return original(self)\nGanStep.__call__ = step\n"
        "from stylegan_v_ext.cli.main import main\n"
        f"import signal\nsignal.signal(signal.SIGINT, signal.{before})\nmain()\n"
    )
    command = [sys.executable, "-c", program, *COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with process.stdout:
        while "in step 4" not in process.stdout.readline():
            assert process.poll() is None
        started = time.monotonic()
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        assert process.wait(30) != 0 and time.monotonic() - started < 30
    assert load_state(next(tmp_path.iterdir()))["num_steps"] == 4
