"""Run folders of strangers: nothing in them runs, nothing ends in a traceback, no newer work is overwritten."""

import contextlib
import copy
import json
import os
import random
import re
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import CheckpointError, find_snapshot
from stylegan_v_ext.classes import SLOTS, check, construct
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.config import from_stock, to_stock
from stylegan_v_ext.config.stock import SLOT_OF
from stylegan_v_ext.engine import Trainer, load_state, observers, run_files, train, training
from stylegan_v_ext.engine.saved_state import OPTIONS_NAME, STATE_NAME
from stylegan_v_ext.files import locked
from stylegan_v_ext.metrics.plot import plot_run
from tests.data.helpers import video_files, write_zip
from tests.engine.small_runs import changed, config_for

ROOT = Path(__file__).parents[2]
_ACTS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "socket.connect", "shutil.rmtree")
_BAIT = ("antigravity", "this", "pty", "webbrowser")  # modules that nothing here imports
_seen = None


def _watch(event, arguments):
    if _seen is not None and (event in _ACTS or (event == "import" and arguments[0] in _BAIT)):
        _seen.append((event, arguments))


sys.addaudithook(_watch)  # for good: such hooks cannot be taken away


@pytest.fixture
def acts():
    """What was executed, fetched or imported that nobody asked for."""
    global _seen
    _seen = []
    yield _seen
    _seen = None


@pytest.fixture(scope="module")
def trained(sky_zip, tmp_path_factory):
    """(options, state) of a run of five steps."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    train(config_for(sky_zip, kimg=0.02, aug="ada"), run_dir)
    return json.loads((run_dir / OPTIONS_NAME).read_text()), load_state(run_dir)


@pytest.fixture
def run_dir(trained, tmp_path):
    write(tmp_path / "run", *trained)
    return tmp_path / "run"


def write(folder, options, state):
    """A run folder. options: text, or a document. state: bytes, or what `torch.save` writes."""
    folder.mkdir(exist_ok=True)
    text = options if isinstance(options, (str, bytes)) else json.dumps(options)
    (folder / OPTIONS_NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
    if isinstance(state, bytes):
        (folder / STATE_NAME).write_bytes(state)
    else:
        torch.save(state, folder / STATE_NAME)
    if not list(folder.glob("*.pkl")):
        (folder / "network-snapshot-000000.pkl").write_bytes(b"for the one who looks for the last one")


@pytest.fixture
def one_step(monkeypatch):
    """A run that goes on makes one step and writes nothing; the trainers that got so far."""
    started = []

    def run(self):
        started.append(self)
        self.step()
        return self.run_dir / "network-snapshot-000000.pkl"

    monkeypatch.setattr(Trainer, "run", run)
    return started


def resume(folder, *options):
    """(exit code, the last line) of going on; a traceback fails."""
    result = CliRunner().invoke(main, ["train", f"--resume={folder}", "--kimg=1", "--device=cpu", *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    lines = result.output.splitlines()
    return result.exit_code, lines[-1] if lines else ""


def refused(folder, message, *options):
    code, line = resume(folder, *options)
    assert code == 2 and line.startswith("Error: ") and message in line, line
    assert len(line) < 3000 and line.isprintable()


# Mutations


def doubled():
    """A few bytes that stand for a trillion of texts."""
    value = ("x",)
    for _ in range(40):
        value = (value, value)
    return value


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


PLAIN = [
    None, True, False, 0, 1, 2, -1, 3, 2**31, 2**63, 10**9, 10**12, 10**400, 0.5, -0.5, 1e308, float("nan"),
    float("inf"), "", "x", "os.system", "antigravity.geohash", "torch.optim.SGD", "\x1b[2J\n\x07", "../../etc/passwd",
    "s3://bucket/x.zip", "a\0b", "x" * 5000, [], {}, [1], ["x"], {"class_name": "os.system", "command": "false"},
    {"": 0}, nested(30),
]  # fmt: skip
TENSORS = [
    torch.zeros([]), torch.zeros(3), torch.zeros(3, dtype=torch.float64), torch.tensor([-1.0, 2, 3]).double(),
    torch.full([], float("nan")), torch.arange(4), torch.zeros(1).expand(2**40), torch.ones(2, 2).to_sparse(),
    torch.zeros([0]), torch.zeros(5).bool(), torch.ones(2, dtype=torch.complex64), doubled(), {1: 2}, (), (1, 2),
    {"state": {}, "param_groups": []}, -(2**70), b"bytes", {"x"},
]  # fmt: skip


def containers(value, found):
    """All dictionaries and lists in a value, each once."""
    if isinstance(value, (dict, list)):
        found.append(value)
        for entry in value.values() if isinstance(value, dict) else value:
            containers(entry, found)
    return found


def mutate(value, chance, values):
    """Change one entry somewhere inside: delete, replace, rename, deepen, exchange or add one."""
    holders = [holder for holder in containers(value, []) if len(holder)]
    holder = chance.choice(holders[:40] if chance.random() < 0.5 else holders)  # the upper ones more often
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key, other = chance.choice(keys), chance.choice(keys)
    action = chance.choice(["delete", "replace", "replace", "retype", "rename", "deepen", "exchange", "add", "poison"])
    new = chance.choice(values)
    new = new if isinstance(new, tuple) else copy.deepcopy(new)  # which takes a copy of every part of a tuple
    if action == "delete":
        del holder[key]
    elif action == "replace":
        holder[key] = new
    elif action == "retype":
        holder[key] = retyped(holder[key], chance)
    elif action == "deepen":
        holder[key] = {"": holder[key]} if chance.random() < 0.5 else [holder[key]]
    elif action == "exchange":
        holder[key], holder[other] = holder[other], holder[key]
    elif action == "poison" and isinstance(holder[key], torch.Tensor) and holder[key].is_floating_point():
        holder[key] = torch.full_like(holder[key], chance.choice([float("nan"), float("inf"), -1e30]))
    elif isinstance(holder, dict):
        name = chance.choice(["class_name", "params", "\x1b]0;x\x07", "zz", "device", 7])
        holder[name] = holder.pop(key) if action == "rename" else new
    else:
        holder.append(new)


def retyped(value, chance):
    if isinstance(value, torch.Tensor):
        changes = [value.to(torch.float16), value.to(torch.int64), value.flatten()[:-1], value[None], value.double()]
        return chance.choice(changes)
    if isinstance(value, bool):
        return chance.choice([int(value), str(value)])
    if isinstance(value, (int, float)):
        return chance.choice([str(value), float(value) + 0.5, -value, value * 10**10, value != 0])
    return chance.choice([str(type(value)), [value], 0])


@pytest.mark.parametrize(
    "cases", [range(150), pytest.param(range(150, 2000), marks=pytest.mark.nightly)], ids=["some", "all"]
)
def test_mutated_folders_are_refused_in_one_line_or_go_on(trained, tmp_path, one_step, acts, cases):
    outcomes, problems = {0: 0, 2: 0}, []
    for number in cases:
        chance, folder = random.Random(number), tmp_path / "run"
        options, state = copy.deepcopy(trained)
        changed = (options, PLAIN) if number % 2 else (state, PLAIN + TENSORS)
        for _ in range(chance.choice([1, 1, 1, 2, 4])):
            mutate(changed[0], chance, changed[1])
        write(folder, options, state)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        del one_step[:]
        try:
            code, line = resume(folder)
        except Exception as error:
            problems.append((number, repr(error)[:300]))
            continue
        outcomes[code] = outcomes.get(code, 0) + 1
        untouched = {path.name: path.read_bytes() for path in folder.iterdir()} == before
        in_one_line = line.startswith("Error: ") and len(line) < 3000 and line.isprintable()
        right = code == 2 and in_one_line and (one_step or untouched)
        went_on = code == 0 and one_step[0].state.num_steps == state["num_steps"] + 1
        if acts or not (right or went_on):
            problems.append((number, code, line[:300], acts[:3]))
    assert not problems, (len(problems), problems[:10])
    assert outcomes.keys() == {0, 2} and min(outcomes.values()) > len(cases) / 50, outcomes
    print("went on, refused:", outcomes)


# Documents of other shapes

SHAPES = ["", "{}", "[]", "null", "5", '"x"', "[" * 10**5, '{"a":' * 10**5, "9" * 5000, "{", "\ud800", "[NaN]"]


@pytest.mark.parametrize("text", SHAPES, ids=lambda text: text[:8])
def test_options_of_any_shape(run_dir, text, acts):
    (run_dir / OPTIONS_NAME).write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(run_dir, f"{OPTIONS_NAME} cannot be read (")


def test_options_in_a_pipe_are_not_waited_for(run_dir):
    (run_dir / OPTIONS_NAME).unlink()
    os.mkfifo(run_dir / OPTIONS_NAME)
    refused(run_dir, f"{OPTIONS_NAME} cannot be read (it is not a file)")


STATES = [
    {"version": 1}, {"version": True}, {"version": 2}, {"version": 10**50}, {}, [], None, 5, "x", [1] * 1000, doubled(),
    {"version": doubled()}, {"version": 1, "networks": {}}, {"version": 1, "networks": torch.zeros(3)}, torch.zeros(3),
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
def test_states_of_any_shape(run_dir, state, acts):
    torch.save(state, run_dir / STATE_NAME)
    refused(run_dir, f"{STATE_NAME} cannot be read (")


def test_a_state_that_unpacks_to_more_than_it_is(run_dir):
    packed = run_dir / "packed"
    with zipfile.ZipFile(run_dir / STATE_NAME) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    packed.replace(run_dir / STATE_NAME)
    refused(run_dir, "is compressed, which PyTorch never does")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("batch_size", 10**9), ("batch_size", True), ("batch_size", 4.0), ("batch_size", float("nan")),
        ("batch_gpu", 10**5), ("batch_gpu", 3), ("G_kwargs.channel_base", 10**12), ("D_kwargs.channel_max", 10**9),
        ("G_kwargs.z_dim", 10**7), ("G_kwargs.motion_kwargs.code_dim", 10**9), ("G_kwargs.num_frames", 10**9),
        ("G_kwargs.mapping_kwargs.num_layers", 10**9), ("data_loader_kwargs.num_workers", 10**6),
        ("G_opt_kwargs.lr", float("nan")), ("G_opt_kwargs.betas", [0, 10**400]), ("total_kimg", 10**30),
        ("training_set_kwargs.exclude", [5]), ("training_set_kwargs.path", "a\0b"), ("nan_policy", "stopp"),
        ("augment_kwargs", {"class_name": "os.system", "command": "false"}), ("random_seed", -1),
    ],
)  # fmt: skip
def test_options_that_ask_for_too_much_are_named(trained, run_dir, entry, value, acts):
    options = copy.deepcopy(trained[0])
    *path, last = entry.split(".")
    holder = options
    for name in path:
        holder = holder[name]
    holder[last] = value
    (run_dir / OPTIONS_NAME).write_text(json.dumps(options))
    refused(run_dir, last)
    assert not acts


def test_large_networks_beside_a_small_state_are_refused_before_they_take_memory(trained, run_dir):
    options = copy.deepcopy(trained[0])
    options["G_kwargs"] |= {"z_dim": 2**14, "w_dim": 2**14}
    (run_dir / OPTIONS_NAME).write_text(json.dumps(options))
    refused(run_dir, "ask for far more than the tensors of the file")


def test_a_run_begins_with_nothing_that_it_could_not_go_on_with(sky_zip, tmp_path):
    with pytest.raises(ValueError, match="batch.size=1048576 is too large; use 65536 or less"):
        train(changed(config_for(sky_zip), batch=dict(size=2**20, per_gpu=2**20)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# Classes

NAMES = [
    "os.system", "builtins.eval", "subprocess.call", "torch.optim.SGD", "torch.load", "antigravity.geohash", "",
    "stylegan_v_ext.engine.augment.AugmentPipe.forward", "stylegan_v_ext.engine.augment", " torch.optim.Adam",
    "dnnlib.util.construct_class_by_name", None, 5, ["torch.optim.Adam"], {"a": 1}, "\x1b[2J",
]  # fmt: skip


@pytest.mark.parametrize("slot", sorted(SLOTS))
def test_slots_take_their_own_classes_alone(slot, acts):
    others = [name for names in SLOTS.values() for name in names if name not in SLOTS[slot]]
    for name in NAMES + others:
        with pytest.raises(ValueError, match="which is not one of") as caught:
            construct(slot, {"class_name": name})
        assert str(caught.value).isprintable()
    for described in (None, [], "x", {}, 5):
        with pytest.raises(ValueError, match=slot):
            check(slot, described)
    assert not acts


def test_arguments_from_a_file_are_those_that_a_class_has(sky_zip):
    kwargs = {"class_name": "stylegan_v_ext.data.dataset.SparseVideoDataset", "path": sky_zip}
    assert len(construct("data set", kwargs)) == 6
    for name, value in (("path", 5), ("xflip", "yes"), ("num_frames", True), ("exclude", [3]), ("nothing", 1)):
        with pytest.raises(ValueError, match=name):
            construct("data set", {**kwargs, name: value})
    with pytest.raises(ValueError, match="params, which Adam does not take from a file"):
        construct("optimizer", {"class_name": "torch.optim.Adam", "params": []}, params=[torch.zeros(1)])
    with pytest.raises(ValueError, match="odd arguments"):
        construct("data set", {"class_name": kwargs["class_name"]})


def test_names_become_classes_in_one_place():
    """All other calls would have to ask the table first."""
    call = re.compile(r"construct_class_by_name\(|get_obj_by_name\(|call_func_by_name\(|import_module\(name")
    found = {
        str(path.relative_to(ROOT)) for path in (ROOT / "stylegan_v_ext").rglob("*.py") if call.search(path.read_text())
    }
    # The networks of checkpoints have a table of their own (`CLASSES`); modules of a checkout have fixed names.
    tables = {"stylegan_v_ext/classes.py", "stylegan_v_ext/checkpoints/network.py", "stylegan_v_ext/host/importer.py"}
    assert found <= tables, found
    assert set(SLOT_OF.values()) <= set(SLOTS)


# Figures

LINES = [
    "[" * 10**5, "{}", "[]", "5", "null", '"x"', '{"results": []}',
    '{"results": {"fvd2048_16f": "1"}, "snapshot_pkl": 5}',
    '{"results": {"fvd2048_16f": 1}, "snapshot_pkl": "a\\u0000b"}', '{"results": {"fvd2048_16f": NaN}}',
    '{"results": {"fvd2048_16f": 1}, "snapshot_pkl": "%s"}' % ("x" * 10**5), '{"results": 7, "snapshot_pkl": []}',
    '{"results": {"fvd2048_16f": -Infinity}, "snapshot_pkl": "network-snapshot-000000.pkl"}',
    '{"results": {"fvd2048_16f": [1]}, "snapshot_pkl": "network-snapshot-000000.pkl"}',
    '{"results": {"fvd2048_16f": 1}, "snapshot_pkl": "%s"}' % ("9" * 10**5),
    '{"results": {"fvd2048_16f": %s}}' % ("9" * 5000),
    '{"results": {"fvd2048_16f": 1}, "snapshot_pkl": "../../../../etc/passwd"}', '{"snapshot_pkl": "."}', "\x00", "}{",
]  # fmt: skip


@pytest.mark.parametrize("good", [False, True])
def test_figures_of_any_shape(tmp_path, good):
    for number in (0, 4, 8):
        (tmp_path / f"network-snapshot-{number:06d}.pkl").write_bytes(b"")
    lines = [*LINES]
    if good:
        lines.insert(3, '{"results": {"fvd2048_16f": 7.5}, "snapshot_pkl": "network-snapshot-000004.pkl"}')
    (tmp_path / "metric-fvd2048_16f.jsonl").write_text("\n".join(lines))
    (tmp_path / "stats.jsonl").write_text("\n".join(lines))
    assert find_snapshot(tmp_path, best=True).name == f"network-snapshot-00000{4 if good else 8}.pkl"
    result = CliRunner().invoke(main, ["metrics", "plot", str(tmp_path)])
    if good:
        assert result.exit_code == 0 and "fvd2048_16f: 1 snapshot, best 7.5 at kimg 4" in result.output, result.output
    else:
        assert result.exit_code == 2 and "holds no figures" in result.output.splitlines()[-1]


def test_figures_with_odd_names_and_sizes_are_drawn(tmp_path):
    entry = {"snapshot_pkl": "network-snapshot-000004.pkl"}
    results = {"$\\frac{": 1, "\x1b[2J": 2, "a" * 10**4: 3, "vast": 1e308, "small": 1e-300, "large": 1e99}
    (tmp_path / "metric-x.jsonl").write_text(json.dumps({**entry, "results": results}))
    names = [name for name, *_ in plot_run(tmp_path, tmp_path / "out.png")]
    assert len(names) == 5 and all(name.isprintable() and len(name) < 200 for name in names)
    (tmp_path / "metric-x.jsonl").write_text(json.dumps({**entry, "results": {str(n): 1 for n in range(1000)}}))
    with pytest.raises(ValueError, match="figures of 1000 names, 100 at most"):
        plot_run(tmp_path, tmp_path / "out.png")


def test_figures_that_never_end_are_named(tmp_path):
    (tmp_path / "network-snapshot-000000.pkl").write_bytes(b"")
    with open(tmp_path / "metric-fvd2048_16f.jsonl", "wb") as file:
        file.truncate(2**33)
    with pytest.raises(CheckpointError, match="more than 64 MiB"):
        find_snapshot(tmp_path, best=True)
    with pytest.raises(ValueError, match="more than 64 MiB"):
        plot_run(tmp_path, tmp_path / "out.png")


# One run at a time


def is_held(folder):
    try:
        with locked(folder, wait=False):
            return False
    except BlockingIOError:
        return True


def test_a_state_is_read_only_once_the_folder_is_held(run_dir, one_step, monkeypatch):
    read = []

    def load(folder):
        read.append(is_held(folder))
        return load_state(folder)

    monkeypatch.setattr(training, "load_state", load)
    assert resume(run_dir)[0] == 0
    assert read == [True] and not is_held(run_dir)


def test_a_second_run_at_any_moment_is_refused_and_newer_work_stays(sky_zip, tmp_path, monkeypatch):
    """At every write of the first run another one tries to go on in its folder."""
    run_dir, answers = tmp_path / "run", []

    def write_and_try(write):
        def call(*arguments):
            result = write(*arguments)
            answers.append(resume(run_dir))
            return result

        return call

    monkeypatch.setattr(run_files, "save_state", write_and_try(run_files.save_state))
    monkeypatch.setattr(run_files.checkpoints, "save_snapshot", write_and_try(run_files.checkpoints.save_snapshot))
    monkeypatch.setattr(observers.RunLog, "close", write_and_try(observers.RunLog.close))
    train(config_for(sky_zip, kimg=0.008, tick=0.004, snap_state=0), run_dir)
    assert len(answers) >= 6 and all(
        code == 2 and f"another process trains in {run_dir}" in line for code, line in answers
    )
    assert load_state(run_dir)["num_steps"] == 2 and not is_held(run_dir)


def test_a_new_run_holds_its_folder_before_it_writes_into_it(sky_zip, tmp_path, monkeypatch):
    moments = []
    original = training.save_options
    monkeypatch.setattr(training, "save_options", lambda *a: (moments.append(is_held(a[0])), original(*a)))
    train(config_for(sky_zip, kimg=0.004), tmp_path / "run")
    (tmp_path / "other").mkdir()
    with locked(tmp_path / "other"), pytest.raises(ValueError, match="another process trains in"):
        train(config_for(sky_zip, kimg=0.004), tmp_path / "other")
    assert moments == [True] and not list((tmp_path / "other").iterdir())


def test_a_run_in_a_checkout_holds_its_folder(sky_zip, tmp_path, monkeypatch):
    from stylegan_v_ext.host import train as host_train

    checkout = SimpleNamespace(path=tmp_path, codebase="stylegan3")
    monkeypatch.setattr(host_train, "entered", lambda directory: contextlib.nullcontext(checkout))
    monkeypatch.setattr(host_train, "import_module", lambda name: None)
    monkeypatch.setattr(host_train, "check_options", lambda config: None)
    seen = []

    def process(rank, config, start, run_dir, checkout, meeting_place, stopped):
        seen.append(is_held(run_dir))
        (run_dir / "network-snapshot-000000.pkl").write_bytes(b"")

    monkeypatch.setattr(host_train, "_run", process)
    host_train.train(config_for(sky_zip), tmp_path / "run", "anywhere")
    assert seen == [True] and not is_held(tmp_path / "run")
    with locked(tmp_path / "run"), pytest.raises(ValueError, match="another process trains in"):
        host_train.train(config_for(sky_zip), tmp_path / "run", "anywhere")


# Data


@pytest.fixture
def set_of_three(tmp_path):
    metadata = {"labels": [[f"v{i}", i % 2] for i in range(3)], "fps": 25}
    return Path(write_zip(tmp_path / "here.zip", video_files(3, 4, metadata=metadata)))


@pytest.fixture
def on_three(set_of_three, tmp_path):
    """A folder of a run on a set of three videos."""
    train(config_for(str(set_of_three), kimg=0.004, aug="noaug"), tmp_path / "on three")
    return tmp_path / "on three"


def test_data_that_moved_are_found_by_their_new_place(on_three, set_of_three, tmp_path, one_step):
    (tmp_path / "node").mkdir()
    moved = set_of_three.rename(tmp_path / "node" / "renamed.zip")
    refused(on_three, "does not exist")
    assert resume(on_three, f"--data={moved}")[0] == 0
    assert one_step[0].files.dataset.path == str(moved)
    assert resume(on_three)[0] == 0, "the new place is kept"
    with zipfile.ZipFile(moved) as file:
        file.extractall(tmp_path / "unpacked")
    assert resume(on_three, f"--data={tmp_path / 'unpacked'}")[0] == 0
    shard = tmp_path / "shards" / "any-00000.zip"
    shard.parent.mkdir()
    shard.write_bytes(moved.read_bytes())
    assert resume(on_three, f"--data={shard.parent}")[0] == 0


def changed_set(kind, path):
    """A set of as many videos that differs in one way from that of `set_of_three`."""
    metadata = {"labels": [[f"v{i}", i % 2] for i in range(3)], "fps": 25}
    files = video_files(3, 4, metadata=metadata)
    frames = sorted(name for name in files if not name.endswith(".json"))
    if kind == "names of frames":
        files["v0/zz" + Path(frames[-1]).suffix] = files.pop(frames[0])
    elif kind == "checksums of files":
        files[frames[0]], files[frames[-1]] = files[frames[-1]], files[frames[0]]
    elif kind == "labels":
        files["dataset.json"] = json.dumps({**metadata, "labels": [[f"v{i}", 1 - i % 2] for i in range(3)]}).encode()
    else:
        files["dataset.json"] = json.dumps({**metadata, "fps": 30}).encode()
    return write_zip(path, files)


@pytest.mark.parametrize("kind", ["names of frames", "checksums of files", "labels", "resolution, fps or motion hint"])
def test_other_data_of_as_many_videos_are_refused(on_three, set_of_three, tmp_path, one_step, kind):
    other = changed_set(kind, tmp_path / "other.zip")
    code, line = resume(on_three, f"--data={other}")
    assert code == 2 and kind in line and str(other) in line and str(set_of_three) in line, line
    assert not one_step and load_options_path(on_three) == str(set_of_three)


def test_checksums_stay_known_while_the_data_are_a_folder(on_three, set_of_three, tmp_path):
    with zipfile.ZipFile(set_of_three) as file:
        file.extractall(tmp_path / "unpacked")
        files = {name: file.read(name) for name in file.namelist()}
    before = load_state(on_three)["data"]["fingerprint"]
    for path in on_three.glob("network-snapshot-*.pkl"):
        path.unlink()  # a run goes on without them as well
    command = ["train", f"--resume={on_three}", "--kimg=0.008", "--device=cpu", f"--data={tmp_path / 'unpacked'}"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert load_state(on_three)["data"]["fingerprint"] == before and list(on_three.glob("network-snapshot-*.pkl"))
    frame = min(name for name in files if not name.endswith(".json"))
    files[frame] = files[frame][:-1] + bytes([files[frame][-1] ^ 1])
    refused(on_three, "checksums of files", f"--data={write_zip(tmp_path / 'other.zip', files)}")


@pytest.mark.parametrize("value", [1e300, 1e101])
def test_statistics_too_large_to_be_any(on_three, value):
    state = load_state(on_three)
    state["statistics"]["x"] = torch.tensor([1, value, value], dtype=torch.float64)
    write(on_three, json.loads((on_three / OPTIONS_NAME).read_text()), state)
    refused(on_three, "statistics.x has sums above 1e+100")


def load_options_path(folder):
    return json.loads((folder / OPTIONS_NAME).read_text())["training_set_kwargs"]["path"]


def test_states_of_before_get_a_fingerprint(on_three, set_of_three, tmp_path):
    state = load_state(on_three)
    assert state["data"]["path"] == str(set_of_three)
    fingerprint = state.pop("data")["fingerprint"]
    options = json.loads((on_three / OPTIONS_NAME).read_text())
    for name in ("metrics", "on_bad_frame", "nan_policy", "allow_tf32", "allow_bf16"):
        options.pop(name)
    write(on_three, options, state)
    result = CliRunner().invoke(main, ["train", f"--resume={on_three}", "--kimg=0.008", "--device=cpu"])
    assert result.exit_code == 0, result.output
    state = load_state(on_three)
    assert state["num_steps"] == 2 and state["data"]["fingerprint"] == fingerprint


def test_an_address_in_a_file_is_not_fetched(trained, run_dir, one_step, acts, monkeypatch):
    options = copy.deepcopy(trained[0])
    options["training_set_kwargs"]["path"] = "https://example.invalid/set.zip"
    (run_dir / OPTIONS_NAME).write_text(json.dumps(options))
    refused(
        run_dir, "nothing is fetched that you did not name; if you want it, pass --data=https://example.invalid/set.zip"
    )
    assert not acts and not one_step


def test_every_config_that_a_user_can_ask_for_is_in_the_schema(sky_zip):
    for kwargs in (
        dict(aug="noaug"), dict(cfg="stylegan2", num_frames=1), dict(cfg="stylegan-v-lstm", pl_weight=2, mirror=True),
        dict(cfg="stylegan-v-cvpr", metrics=["rfvd8_16f"], max_hours=1, batch_gpu=2, desc="x", workers=2),
    ):  # fmt: skip
        config = config_for(sky_zip, **kwargs)
        assert from_stock(json.loads(json.dumps(to_stock(config)))) == config
