"""Whether two runs ended the same: states, statistics, snapshots, sheets."""

import json
import os

import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.engine import load_state

_OF_THE_CLOCK = ("Timing/", "Resources/", "timestamp")


def parts(folder):
    return {name for name in os.listdir(folder) if name.endswith(".part")}


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
