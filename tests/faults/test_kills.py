"""Runs that are killed again and again, while they write among others, end as if nothing had happened."""

import json
import math
import os
import random
import time
import zipfile
from pathlib import Path

import pytest
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.config import PRESETS
from stylegan_v_ext.engine.state import load_state
from stylegan_v_ext.files import locked
from tests.faults.forked import finish, start

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
_OF_THE_CLOCK = ("Timing/", "Resources/", "timestamp")


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


def waited(condition, process, step=0.001):
    """Whether a condition came true before the process ended."""
    while not condition():
        if process.exitcode is not None:
            return False
        time.sleep(step)
    return True


def parts(folder):
    return {name for name in os.listdir(folder) if name.endswith(".part")}


def kill(process, run_dir, chance):
    """Kill a process as it begins, between two steps or while it writes; False if it had ended by itself."""
    state = run_dir / "training-state-latest.pt"
    moment = chance.choice(["beginning", "step", "writing", "writing"])
    if moment == "beginning":
        time.sleep(chance.uniform(0, 0.5))
    elif moment == "step":
        before = state.stat().st_ino
        waited(lambda: state.stat().st_ino != before, process)
        time.sleep(chance.uniform(0, 0.3))
    else:
        left, seen = parts(run_dir), set()

        def writes():
            seen.update(parts(run_dir) - left)
            return len(seen) >= nth

        nth = chance.choice([1, 1, 2])
        waited(writes, process, 0.0002)
        time.sleep(chance.choice([0, 0, 0.002]))
    process.kill()
    process.join()
    return process.exitcode < 0


def torn(run_dir, log, kills, chance, process):
    """Kill a run and go on with it, again and again, then let it end; the part files that the kills left."""
    left = set()
    for number in range(kills):
        assert kill(process, run_dir, chance), f"it ended before kill {number + 1}: {log.read_text()[-2000:]}"
        left |= parts(run_dir)
        torch.load(run_dir / "training-state-latest.pt", weights_only=True)  # whole at any moment
        load(run_dir).network("G_ema")
        process = start("train", f"--resume={run_dir}", log=log)
    assert finish(process) == 0, log.read_text()[-2000:]
    return left


def flat(value, name=""):
    """(name, leaf) of everything in nested dicts and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if inner is None:
        yield name, value
        return
    for key, entry in inner:
        yield from flat(entry, f"{name}.{key}")


def same(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return type(one) is type(other) and (one == other or (one != one and other != other))


def differences(one, other):
    one, other = dict(flat(one)), dict(flat(other))
    return [name for name in one.keys() | other.keys() if not (name in one and name in other)
            or not same(one[name], other[name])]  # fmt: skip


def networks_of(path):
    source = load(path)
    return {key: source.network(key).state for key in source.readers}


def ticks_of(run_dir):
    """Statistics by tick, without times. A tick that was written twice has to be the same twice."""
    ticks = {}
    for line in (run_dir / "stats.jsonl").read_text().splitlines():
        row = {name: value for name, value in json.loads(line).items() if not name.startswith(_OF_THE_CLOCK)}
        assert not differences(ticks.setdefault(row["Progress/tick"]["mean"], row), row)
    return ticks


def files_of(run_dir):
    return {path.name for path in run_dir.iterdir() if not path.name.startswith("events.out")}


def assert_same_end(run_dir, whole):
    state, expected = load_state(run_dir), load_state(whole)
    assert set(differences(state, expected)) <= {".progress.seconds"}
    assert list(ticks_of(run_dir)) == list(ticks_of(whole)) == list(range(1, 1 + state["progress"]["tick"]))
    assert not differences(ticks_of(run_dir), ticks_of(whole))
    assert files_of(run_dir) - parts(run_dir) == files_of(whole)
    for path in sorted(whole.glob("network-snapshot-*.pkl")):
        assert not differences(networks_of(run_dir / path.name), networks_of(path)), path.name
    for path in sorted(whole.glob("*.png")):
        assert (run_dir / path.name).read_bytes() == path.read_bytes(), path.name


NIGHTLY = pytest.mark.nightly


@pytest.mark.parametrize(
    ("name", "kills"),
    [(name, 3) for name in list(COMBINATIONS)[:2]]
    + [pytest.param(name, 20, marks=NIGHTLY) for name in COMBINATIONS],
)  # fmt: skip
def test_a_run_that_is_killed_ends_as_if_nothing_had_happened(data, tmp_path, name, kills):
    kind, batch, options = COMBINATIONS[name]
    kimg = batch * (8 + 2 * kills) / 1000
    command = ["train", f"--data={data[kind]}", f"--batch={batch}", *SMALL, *options, f"--tick={batch * 4 / 1000}",
               f"--kimg={kimg}"]  # fmt: skip
    log = tmp_path / "log"
    torn_dir, whole_dir = tmp_path / "torn", tmp_path / "whole"
    process = start(*command, f"--outdir={torn_dir}", log=log)
    assert waited(lambda: list(torn_dir.glob("*/training-state-latest.pt")), process), log.read_text()
    (run_dir,) = torn_dir.iterdir()
    left = torn(run_dir, log, kills, random.Random(name), process)
    assert left or kills < 10, "kills came while files were written"
    assert [path.name for path in torn_dir.iterdir()] == [run_dir.name], "one run folder"
    assert finish(start(*command, f"--outdir={whole_dir}", log=log)) == 0, log.read_text()[-2000:]
    (whole,) = whole_dir.iterdir()
    assert len(list(whole.glob("network-snapshot-*.pkl"))) == 1 + math.ceil(kimg) * (batch > 100)
    assert_same_end(run_dir, whole)


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
