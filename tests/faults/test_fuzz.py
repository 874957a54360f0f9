"""Files and command lines of all kinds of wrong: nothing but the documented errors, 1,000 cases for each
reader, 10,000 at night.
"""

import contextlib
import io
import json
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylegan_v_ext.checkpoints import CheckpointError, load, save_snapshot
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.metadata import class_sizes, read_metadata
from stylegan_v_ext.data.pictures import decode_frame
from stylegan_v_ext.data.videos import list_videos
from tests.data.helpers import video_files, write_zip

in_number = pytest.mark.parametrize("cases", [1_000, pytest.param(10_000, marks=pytest.mark.nightly)])


def many(cases):
    return settings(
        max_examples=cases, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


# (what is done, where as a share of the file from its beginning or its end, with what)
change = st.tuples(
    st.sampled_from(["replace", "insert", "remove", "cut", "double"]), st.booleans(), st.integers(0, 2**20),
    st.binary(min_size=1, max_size=6),
)  # fmt: skip
changes = st.lists(change, min_size=1, max_size=6)


def changed(data, list_of_changes, reach=2**20):
    """data after changes, each within `reach` bytes of one of its ends."""
    data = bytearray(data)
    for kind, from_end, position, value in list_of_changes:
        size = max(min(len(data), reach), 1)
        at = position % size
        at = len(data) - 1 - at if from_end else at
        if kind == "replace":
            data[at : at + len(value)] = value
        elif kind == "insert":
            data[at:at] = value
        elif kind == "remove":
            del data[at : at + len(value)]
        elif kind == "double":
            data[at:at] = data[at : at + 40]
        else:
            del data[max(at, len(data) - 400) :]
    return bytes(data)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    files = video_files(3, 3, metadata={"labels": [["v0", 1]], "fps": 25})
    stored = write_zip(folder / "stored.zip", files, zipfile.ZIP_STORED)
    deflated = write_zip(folder / "deflated.zip", files, zipfile.ZIP_DEFLATED)
    large = folder / "large.zip"
    with zipfile.ZipFile(large, "w") as file, file.open("v/0.jpg", "w", force_zip64=True) as member:
        member.write(b"x" * 50)
    return [Path(path).read_bytes() for path in (stored, deflated, large)], folder / "case.zip"


@in_number
def test_archives(archives, cases):
    sources, path = archives
    outcomes = {"read": 0, "refused": 0}

    @many(cases)
    @given(st.sampled_from(range(len(sources))), changes)
    def run(number, list_of_changes):
        path.write_bytes(changed(sources[number], list_of_changes, reach=1200))
        try:
            archive = open_archive(path)
            for video in list_videos(archive):
                for member in video.frames:
                    with contextlib.suppress(DataError):
                        decode_frame(archive.read(int(member)), archive.names[int(member)])
            class_sizes(read_metadata(archive), list_videos(archive))
            outcomes["read"] += 1
        except DataError as error:
            assert str(error)
            outcomes["refused"] += 1

    run()
    assert min(outcomes.values()) > cases / 20, outcomes


class Described:
    """An archive that is a dataset.json."""

    names = ["dataset.json"]

    def __init__(self, content):
        self.content = content

    def read(self, index):
        return self.content


keys = st.sampled_from(["labels", "fps", "a"]) | st.text(max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
labels = st.lists(st.tuples(st.text(max_size=5), st.integers(-1, 2**70)) | json_values, max_size=5)
documents = st.fixed_dictionaries({}, optional={"labels": labels | json_values, "fps": json_values,
                                                "motion_distance": json_values, "classes": json_values})  # fmt: skip


@in_number
def test_dataset_json(cases):
    good = json.dumps({"labels": [["v0", 1], ["v1", 0]], "fps": 25, "motion_distance": 16}).encode()
    seen = set()

    @many(cases)
    @given(st.one_of(documents.map(lambda value: json.dumps(value).encode()), changes.map(lambda c: changed(good, c)),
                     st.integers(1, 10**5).map(lambda depth: b"[" * depth), st.binary(max_size=40)))  # fmt: skip
    def run(content):
        metadata = read_metadata(Described(content))
        assert all(isinstance(name, str) and 0 <= number <= 2**16 for name, number in metadata.labels.items())
        assert metadata.fps is None or 0 < metadata.fps < 1e6
        for problem in [*metadata.problems, *metadata.label_problems]:
            assert len(problem) < 500
        seen.add(bool(metadata.problems))

    run()
    assert seen == {True, False}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, make_tiny):
    """Bytes of a snapshot, of a file by torch.save, and of tensors with their description."""
    folder = tmp_path_factory.mktemp("checkpoints")
    G, D = make_tiny()
    snapshot = folder / "snapshot.pkl"
    save_snapshot(snapshot, dict(G=G, D=D, G_ema=G, augment_pipe=None, training_set_kwargs={"path": "x.zip"}))
    result = CliRunner().invoke(main, ["checkpoint", "convert", str(snapshot), str(folder / "a.safetensors")])
    assert result.exit_code == 0, result.output
    buffer = io.BytesIO()
    torch.save({"g_ema": G.state_dict(), "args": {"size": 8}}, buffer)
    files = {"pkl": snapshot.read_bytes(), "pt": buffer.getvalue(), "json": (folder / "a.json").read_bytes(),
             "safetensors": (folder / "a.safetensors").read_bytes()}  # fmt: skip
    return folder, files


@pytest.fixture(scope="module")
def make_tiny():
    from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
    from stylegan_v_ext.networks.generator import VideoGenerator

    def make():
        small = dict(img_resolution=8, img_channels=3, channel_base=16, channel_max=2, num_fp16_res=0, conv_clamp=None)
        G = VideoGenerator(3, z_dim=2, w_dim=2, num_frames=3, motion_kwargs=dict(z_dim=2, code_dim=2), **small)
        return G.eval(), TimeConditionedDiscriminator(3, num_frames=3, **small)

    return make


@in_number
def test_checkpoints(checkpoints, cases):
    folder, files = checkpoints
    outcomes = {"opened": 0, "refused": 0}

    @many(cases)
    @given(st.sampled_from(sorted(files)), st.lists(change, min_size=1, max_size=2), st.sampled_from([3000, 2**20]))
    def run(kind, list_of_changes, reach):
        path = folder / f"case.{'safetensors' if kind == 'json' else kind}"
        if path.suffix == ".safetensors":
            (folder / "case.json").write_bytes(files["json"])
            path.write_bytes(files["safetensors"])
        (folder / f"case.{kind}").write_bytes(changed(files[kind], list_of_changes, reach))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load(path).network(load(path).generator_key)
            outcomes["opened"] += 1
        except CheckpointError as error:
            assert str(error)
            outcomes["refused"] += 1

    run()
    assert min(outcomes.values()) > cases / 50, outcomes


def options_of(command):
    """Option names of a command and of its subcommands, with the path of names to it."""
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from (([name, *path], known) for path, known in options_of(inner))
        yield [name], [option for parameter in inner.params for option in parameter.opts]


words = st.text(max_size=6) | st.sampled_from([
    "1", "0", "-1", "1e9", "nan", "inf", "", "x", "0-7", "7-0", "4x2", "0x0", "/nowhere", "a.zip", "none", "stylegan-v",
    "16-64", "0:1,5:2", "99999999999999999999", "\u00fc", "cpu",
])  # fmt: skip
given_options = st.lists(st.tuples(st.integers(0, 200), words, st.booleans()), max_size=7)


@in_number
def test_command_lines(monkeypatch, tmp_path, cases):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("requests.Session.get", lambda *args, **kwargs: pytest.fail("a fuzzed command went to the web"))
    skipped = {("demo",), ("view",), ("doctor",)}  # they need nothing, and take minutes
    commands = [(path, known) for path, known in options_of(main) if tuple(path) not in skipped]
    codes = set()

    @many(cases)
    @given(
        st.sampled_from(range(len(commands))),
        st.lists(st.tuples(st.integers(0, 200), words, st.booleans()), max_size=7),
    )
    def run(number, given_options):
        path, known = commands[number]
        arguments = []
        for choice, word, joined in given_options:
            option = known[choice % len(known)] if known else word
            value = word.replace("\0", "")
            arguments += [f"{option}={value}"] if joined and option.startswith("--") else [option, value]
        result = CliRunner().invoke(main, [*path, *arguments])
        allowed = isinstance(result.exception, SystemExit) or result.exception is None
        assert allowed and result.exit_code in (0, 2), (path, arguments, result.output, result.exception)
        codes.add(result.exit_code)

    run()
    assert codes == {0, 2}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "nothing is written for input that is wrong"
