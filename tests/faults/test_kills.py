"""Runs that are killed again and again, while they write among others, end as if nothing had happened."""

import json
import os
import random
import time
import zipfile

import pytest
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.config import PRESETS
from stylegan_v_ext.files import locked
from tests.faults.endings import assert_same_end, networks_of, parts
from tests.faults.forked import finish, start, waited
from tests.host.conftest import make_host

SMALL = ["--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24", "--snap=2", "--snap-state=0"]
COMBINATIONS = {
    "labels, shards, accumulation, adaptive augmentation, mirror, 3 workers": (
        "shards", 8,
        ["--cfg=stylegan-v", "--cond=1", "--batch-gpu=4", "--aug=ada", "--p=0.3", "--ada-kimg=0.2", "--mirror=1",
         "--workers=3"],
    ),
    "path lengths, mixing, fixed augmentation, freezing, 1 worker": (
        "zip", 4,
        ["--cfg=stylegan-v-cvpr", "--pl-weight=2", "--style-mixing=0.9", "--aug=fixed", "--augpipe=bgcfnc", "--p=0.8",
         "--freezed=1", "--workers=1"],
    ),
    "labels, accumulation, path lengths, freezing, mirror": (
        "labels", 8,
        ["--cfg=stylegan-v-lstm", "--cond=1", "--batch-gpu=4", "--pl-weight=2", "--aug=noaug", "--freezed=2",
         "--mirror=1", "--workers=0"],
    ),
    "images, labels, shards, accumulation, mixing, fixed augmentation, 1 worker": (
        "shards", 16,
        ["--cfg=stylegan2", "--cond=1", "--batch-gpu=8", "--style-mixing=0.9", "--aug=fixed", "--p=0.5", "--workers=1"],
    ),
    "snapshots of several names, accumulation, mixing, path lengths": (
        "zip", 128,
        ["--cfg=stylegan-v", "--batch-gpu=32", "--style-mixing=0.5", "--pl-weight=1", "--aug=ada", "--p=0.2",
         "--ada-kimg=2", "--workers=0"],
    ),
}  # fmt: skip
"""Kind of data, clips a step, and options, by what they mix."""


@pytest.fixture(scope="module")
def data(sky_zip, labelled_zip, tmp_path_factory):
    """Paths of the same videos by kind of data set; the shards have classes."""
    folder = tmp_path_factory.mktemp("shards")
    with zipfile.ZipFile(labelled_zip) as source:
        names = source.namelist()
        videos = sorted({name.partition("/")[0] for name in names if name.endswith(".jpg")})
        labels = json.loads(source.read("dataset.json"))["labels"]
        for number, part in enumerate((videos[:2], videos[2:])):
            with zipfile.ZipFile(folder / f"sky-{number:05d}.zip", "w") as shard:
                for name in names:
                    if name.partition("/")[0] in part:
                        shard.writestr(name, source.read(name))
                own = [label for label in labels if label[0] in part]
                shard.writestr("dataset.json", json.dumps({"labels": own}))
    return {"zip": sky_zip, "labels": labelled_zip, "shards": folder / "sky.zip"}


def kill(process, kept, chance):
    """Kill a process as it begins, between two steps or while it writes; False if it had ended by itself.

    kept: a file that it writes again and again.
    """
    moment = chance.choice(["beginning", "step", "writing", "writing"])
    if moment == "beginning":
        time.sleep(chance.uniform(0, 0.5))
    elif moment == "step":
        before = kept.stat().st_ino
        waited(lambda: kept.stat().st_ino != before, process)
        time.sleep(chance.uniform(0, 0.3))
    else:
        left, seen, count = parts(kept.parent), set(), chance.choice([1, 1, 2])

        def writes():
            seen.update(parts(kept.parent) - left)
            return len(seen) >= count

        waited(writes, process, 0.0002)
        time.sleep(chance.choice([0, 0, 0.002]))
    process.kill()
    process.join()
    return process.exitcode < 0


def first_run(outdir, name, process, log):
    """The run folder once it holds a file of that name."""
    assert waited(lambda: list(outdir.glob(f"*/{name}")), process), log.read_text()[-2000:]
    (run_dir,) = outdir.iterdir()
    return run_dir


def torn(run_dir, log, kills, chance, process):
    """Kill a run and go on with it, again and again, then let it end; the part files that the kills left."""
    left, state = set(), run_dir / "training-state-latest.pt"
    for number in range(kills):
        assert kill(process, state, chance), f"it ended before kill {number + 1}: {log.read_text()[-2000:]}"
        left |= parts(run_dir)
        torch.load(state, weights_only=True)  # whole at any moment
        load(run_dir).network("G_ema")
        process = start("train", f"--resume={run_dir}", log=log)
    assert finish(process) == 0, log.read_text()[-2000:]
    return left


@pytest.mark.parametrize(
    ("name", "kills"),
    [(name, 3) for name in list(COMBINATIONS)[:1]]
    + [pytest.param(name, 20, marks=pytest.mark.nightly) for name in COMBINATIONS],
)  # fmt: skip
def test_a_run_that_is_killed_ends_as_if_nothing_had_happened(data, tmp_path, name, kills):
    kind, batch, options = COMBINATIONS[name]
    kimg = batch * (8 + 2 * kills) / 1000
    command = ["train", f"--data={data[kind]}", f"--batch={batch}", *SMALL, *options, f"--tick={batch * 4 / 1000}",
               f"--kimg={kimg}"]  # fmt: skip
    log = tmp_path / "log"
    torn_dir, whole_dir = tmp_path / "torn", tmp_path / "whole"
    process = start(*command, f"--outdir={torn_dir}", log=log)
    run_dir = first_run(torn_dir, "training-state-latest.pt", process, log)
    left = torn(run_dir, log, kills, random.Random(name), process)
    assert left or kills < 10, "kills came while files were written"
    assert [path.name for path in torn_dir.iterdir()] == [run_dir.name], "one run folder"
    assert finish(start(*command, f"--outdir={whole_dir}", log=log)) == 0, log.read_text()[-2000:]
    (whole,) = whole_dir.iterdir()
    assert len(list(whole.glob("network-snapshot-*.pkl"))) > (2 if batch > 100 else 0)
    assert_same_end(run_dir, whole)


@pytest.mark.parametrize(
    ("cfg", "kills"),
    [("stylegan-v", 1), *(pytest.param(cfg, 20, marks=pytest.mark.nightly) for cfg in PRESETS)],
)
def test_a_killed_run_in_a_host_leaves_whole_snapshots_to_begin_anew_from(data, tmp_path, cfg, kills):
    chance, log, left = random.Random(cfg), tmp_path / "log", set()
    checkout = make_host(tmp_path / "stylegan3", "stylegan3")
    command = ["train", f"--cfg={cfg}", f"--data={data['zip']}", f"--host={checkout}", "--batch=4", *SMALL, "--snap=1",
               "--tick=0.012", "--workers=1", "--gamma=1", "--p=0.2"]  # fmt: skip
    resume = []
    for number in range(kills):
        outdir = tmp_path / f"killed{number}"
        process = start(*command, *resume, "--kimg=4", f"--outdir={outdir}", log=log)
        run_dir = first_run(outdir, "network-snapshot-000000.pkl", process, log)
        assert kill(process, run_dir / "network-snapshot-000000.pkl", chance), log.read_text()[-2000:]
        left |= parts(run_dir)
        snapshots = list(run_dir.glob("*.pkl"))
        assert snapshots and all(networks_of(path).keys() == {"G", "D", "G_ema"} for path in snapshots)
        json.loads((run_dir / "training_options.json").read_text())
        resume = [f"--resume={run_dir}"]
    assert left or kills < 10, "kills came while files were written"
    assert finish(start(*command, *resume, "--kimg=0.04", f"--outdir={tmp_path / 'last'}", log=log)) == 0, (
        log.read_text()
    )
    assert "Networks from" in log.read_text() or "tensors by part" in log.read_text()


def test_every_preset_and_option_is_killed():
    used = {option for _, _, options in COMBINATIONS.values() for option in options}
    assert {f"--cfg={name}" for name in PRESETS} <= used
    assert {f"--workers={count}" for count in (0, 1, 3)} <= used


def test_a_child_of_a_killed_process_does_not_hold_its_folder(tmp_path):
    """Workers of a data loader live on for seconds."""
    ready, told = os.pipe()
    with locked(tmp_path):
        child = os.fork()
        if child == 0:
            os.write(told, b"x")
            time.sleep(60)
            os._exit(0)
    try:
        os.read(ready, 1)
        with locked(tmp_path, wait=False):
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)
