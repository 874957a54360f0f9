"""Runs that were stopped, by whatever, end as if they had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.engine import Trainer, load_options, load_state, train
from stylegan_v_ext.engine.batches import load_batches
from stylegan_v_ext.networks import precision
from tests.data.helpers import video_files, write_zip
from tests.engine.small_runs import assert_equal, config_for, everything, steps

COMMAND = [
    "train", "--cfg=stylegan-v", "--batch=4", "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24",
    "--workers=0", "--tick=0.02", "--snap=2", "--snap-state=0", "--ada-kimg=0.2", "--p=0.3",
]  # fmt: skip


def stopped_and_gone_on(config, run_dir, stop, num_steps):
    """A trainer at `num_steps` that went on with the state of another, which stopped at `stop`."""
    first = steps(Trainer(config, run_dir), stop)
    first.files.save_state()
    steps(first, 2)  # what came after the state is lost, and made again
    second = Trainer(config, run_dir, load_state(run_dir))
    assert second.state.num_steps == stop
    return steps(second, num_steps - stop)


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(aug="ada", ada_kimg=0.05), dict(workers=2, aug="noaug"),
        dict(pl_weight=2.0, style_mixing=0.9, mirror=True),
        dict(batch=8, batch_gpu=4, aug="fixed", augpipe="bgcfnc", p=0.8), dict(cfg="stylegan-v-lstm"),
        dict(cfg="stylegan2", num_frames=1),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("stop", [1, 6])
def test_going_on_after_any_step_is_never_having_stopped(sky_zip, tmp_path, monkeypatch, kwargs, stop):
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: stop == 6)  # both types in turn
    config = config_for(sky_zip, **kwargs)
    whole = steps(Trainer(config, tmp_path), 10)
    assert_equal(stopped_and_gone_on(config, tmp_path, stop, 10), whole)


@pytest.fixture
def deterministic():
    """What PyTorch can compute in the same order every time is computed so."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "kwargs",
    [
        pytest.param(dict(aug="noaug", pl_weight=2.0, style_mixing=0.9), marks=pytest.mark.quick),
        dict(aug="fixed", augpipe="bgcfnc", p=0.8),
        dict(cfg="stylegan-v-lstm", aug="noaug"),
    ],
    ids=str,
)
def test_going_on_on_a_device(sky_zip, tmp_path, device, deterministic, kwargs):
    """Bit for bit, but for augmentation on CUDA, whose backward passes add in no fixed order."""
    config = config_for(sky_zip, device=str(device), nobench=True, **kwargs)
    whole = Trainer(config, tmp_path)
    start = {name: tensor.clone() for name, tensor in everything(whole).items()}
    steps(whole, 5)
    second = stopped_and_gone_on(config, tmp_path, 2, 5)
    if device.type == "cpu" or kwargs["aug"] == "noaug":
        assert_equal(second, whole)
    for key in ("G.", "D.", "G_ema."):
        names = [name for name in start if name.startswith(key)]
        moves = [torch.cat([(end[name] - start[name]).flatten() for name in names])
                 for end in (everything(second), everything(whole))]  # fmt: skip
        assert moves[1].norm() > 0 and (moves[0] - moves[1]).norm() < 0.05 * moves[1].norm(), key


def test_classes_go_on_too(tmp_path):
    metadata = {"labels": [[f"v{i}", i % 2] for i in range(4)]}
    data = write_zip(tmp_path / "set.zip", video_files(4, 12, metadata=metadata))
    config = config_for(data, cond=True)
    whole = steps(Trainer(config, tmp_path), 4)
    steps(Trainer(config, tmp_path), 2).files.save_state()
    assert_equal(steps(Trainer(config, tmp_path, load_state(tmp_path)), 2), whole)


def batches(dataset, start, count, workers):
    stream = load_batches(
        dataset, batch_size=3, batch_gpu=3, rounds=range(1), seed=7, start=start, device=torch.device("cpu"),
        num_workers=workers, prefetch_factor=2 if workers else None,
    )  # fmt: skip
    return [next(stream) for _ in range(count)]


def test_batches_depend_on_their_place_alone(sky_zip):
    dataset = SparseVideoDataset(sky_zip)
    expected = batches(dataset, 0, 6, workers=0)
    np.random.seed(99)
    before = np.random.get_state()[1].copy()
    for start, workers in ((0, 1), (0, 2), (9, 0), (9, 2)):
        found = batches(dataset, start, 3, workers)
        for (strips, labels), (there, marks) in zip(found, expected[start // 3 :], strict=False):
            assert torch.equal(strips, there) and torch.equal(labels, marks)
    assert np.array_equal(np.random.get_state()[1], before), "the process's own stream is left alone"
    assert not torch.equal(expected[0][1], expected[4][1])


def test_the_state_is_tensors_and_plain_data(sky_zip, tmp_path):
    path = steps(Trainer(config_for(sky_zip, aug="ada"), tmp_path), 5).files.save_state()
    torch.load(path, weights_only=True)
    assert os.listdir(tmp_path) == [path.name]


def cli(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.output


def fails(message, *arguments):
    code, output = cli(*arguments)
    errors = [line for line in output.splitlines() if line.startswith("Error:")]
    assert code == 2 and len(errors) == 1 and message in errors[0], output


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "stylegan_v_ext.cli.main", *map(str, arguments)], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finish(process):
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


@pytest.fixture(scope="module")
def uninterrupted(sky_zip, tmp_path_factory):
    """State at the end of a run of 30 steps that nothing happened to."""
    outdir = tmp_path_factory.mktemp("whole")
    code, output = finish(start(*COMMAND, f"--data={sky_zip}", f"--outdir={outdir}", "--kimg=0.12"))
    assert code == 0, output
    (run_dir,) = outdir.iterdir()
    return run_dir


def same_end(run_dir, other, num_steps=30):
    one, two = load_state(run_dir), load_state(other)
    assert one["num_steps"] == two["num_steps"] == num_steps
    assert one["augment_p"] == two["augment_p"] != 0.3, "p has moved"
    for name in ("G", "D", "G_ema"):
        assert all(torch.equal(t, two["networks"][name][key]) for key, t in one["networks"][name].items())


def wait_for_steps(process, outdir):
    """Until the run writes states, which it does after every step here."""
    while not (found := list(Path(outdir).glob("*/stats.jsonl"))):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    return found[0].parent


_AT_NIGHT = [pytest.param(name, marks=pytest.mark.nightly) for name in ("SIGINT", "SIGUSR1")]


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", *_AT_NIGHT])
def test_signals_save_and_have_an_exit_code_of_their_own(uninterrupted, sky_zip, tmp_path, name):
    process = start(*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=0.12", "--snap-state=60")
    run_dir = wait_for_steps(process, tmp_path)
    process.send_signal(getattr(signal, name))
    code, output = finish(process)
    assert code == 128 + getattr(signal, name), output
    assert "Finishing this step and saving" in output and f"Go on with --resume={run_dir}" in output
    code, output = finish(start("train", "--resume=latest", f"--outdir={tmp_path}"))
    assert code == 0 and "Going on exactly from kimg" in output, output
    same_end(run_dir, uninterrupted)


def test_files_of_a_run_are_added_to(sky_zip, tmp_path):
    train(config_for(sky_zip, kimg=0.04), tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_text() for name in ("log.txt", "stats.jsonl")}
    options = (tmp_path / "run" / "training_options.json").read_bytes()
    code, output = cli("train", f"--resume={tmp_path / 'run'}", "--kimg=0.08")
    assert code == 0, output
    for name, text in before.items():
        after = (tmp_path / "run" / name).read_text()
        assert after.startswith(text) and len(after) > len(text)
    rows = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    assert [row["Progress/kimg"]["mean"] for row in rows] == [0.02, 0.04, 0.06, 0.08]
    assert [row["Progress/tick"]["mean"] for row in rows] == [1, 2, 3, 4]
    seconds = [row["Timing/total_sec"]["mean"] for row in rows]
    assert seconds == sorted(seconds)
    assert (tmp_path / "run" / "training_options.json").read_bytes() == options


@pytest.fixture
def run_dir(sky_zip, tmp_path):
    code, output = cli(*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path / 'runs'}", "--kimg=0.02")
    assert code == 0, output
    return next((tmp_path / "runs").iterdir())


def test_options_that_differ_are_named(run_dir, sky_zip, tmp_path):
    fails("--batch was 4, now 8", "train", f"--resume={run_dir}", "--batch=8", "--kimg=1")
    fails("--seed was 0, now 5", "train", f"--resume={run_dir}", "--gamma=3", "--seed=5")
    fails("--gamma was None, now 3.0", "train", f"--resume={run_dir}", "--gamma=3", "--seed=5")
    fails("has trained its 0.02 kimg", "train", f"--resume={run_dir}")
    code, output = cli(*COMMAND, f"--data={sky_zip}", f"--resume={run_dir}", "--kimg=0.024", "--workers=1")
    assert code == 0, output
    assert load_state(run_dir)["num_clips"] == 24


def test_a_cpu_without_the_units_of_the_one_before_is_named(run_dir):
    options = json.loads((run_dir / "training_options.json").read_text())
    (run_dir / "training_options.json").write_text(json.dumps(options | {"allow_bf16": True}))
    code, output = cli("train", f"--resume={run_dir}", "--kimg=1", "--dry-run", "--device=cpu")
    assert code == 0 and "goes on in float32" in output


def test_runs_that_cannot_go_on_are_named(run_dir, sky_zip, tmp_path):
    (tmp_path / "empty").mkdir()
    fails("Missing option '--cfg'", "train", f"--data={sky_zip}")
    fails("Missing option '--data'", "train", "--cfg=stylegan-v")
    fails("no run folder in", "train", "--resume=latest", f"--outdir={tmp_path / 'empty'}")
    fails("training_options.json cannot be read", "train", f"--resume={tmp_path / 'empty'}")
    (run_dir / "training-state-latest.pt").write_bytes(b"PK rubbish")
    fails("cannot be read", "train", f"--resume={run_dir}", "--kimg=1")
    (run_dir / "training-state-latest.pt").unlink()
    fails("holds no training-state-latest.pt", "train", f"--resume={run_dir}", "--kimg=1")


def test_data_that_has_changed_is_refused(run_dir, tmp_path, sky_zip):
    from stylegan_v_ext.data.synthetic import write_demo_dataset

    other = tmp_path / "other.zip"
    write_demo_dataset(str(other), resolution=16, num_videos=3, num_frames=12)
    options = json.loads((run_dir / "training_options.json").read_text())
    options["training_set_kwargs"]["path"] = str(other)
    (run_dir / "training_options.json").write_text(json.dumps(options))
    fails("has 3 items, had 6 when the run began", "train", f"--resume={run_dir}", "--kimg=1")


def test_a_snapshot_starts_a_new_run(run_dir, sky_zip, tmp_path):
    code, output = cli(*COMMAND, f"--data={sky_zip}", f"--outdir={run_dir.parent}", "--kimg=0.004",
                       f"--resume={run_dir / 'network-snapshot-000000.pkl'}")  # fmt: skip
    assert code == 0 and "Networks from" in output and "Going on" not in output, output
    assert len(list(run_dir.parent.iterdir())) == 2
    new = load_options(max(run_dir.parent.iterdir()))
    assert new.start.path.endswith("network-snapshot-000000.pkl") and new.options["resume"]
