"""Hostile names through every command that prints names: no control character on the screen or in a log."""

import io
import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import save_snapshot
from stylegan_v_ext.checkpoints.exports import export_safetensors
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.text import printable, say, sentence
from tests.data.helpers import image_bytes
from tests.faults.test_fuzz import make_tiny  # noqa: F401

CASES = 500
SHARE = 12  # of the cases, in every run of the tests
FORGED = "FORGED"
CONTROLS = "".join(map(chr, [*range(32), *range(0x7F, 0xA0)]))  # C0, delete and C1
DIRECTIONS = "\u202e\u202d\u2066\u2069\u200f\u200b\u2028\u2029\ufeff\ufff9\U000e0041"  # and others that are not seen
SURROGATES = "\ud800\udfff\udcff\udc1b\ue000\uffff"
SEQUENCES = "\x1b[31m|\x1b]0;title\x07|\x1b[2J\x1b[H|\x1b]8;;http://evil.example\x1b\\|\x9b31m|\x1bP|\r\x1b[K"
LINES = [end + FORGED for end in ("\n", "\r\n", "\x0b", "\x85")]
WORDS = (
    r"%s%n%d {0} {x!r} %(a)s $\frac{ [red] [/] <b> <script> &amp; --help -rf é 日本 naïve .. ~ * ? [0-9] `id` $(id) ; "
    r"' \ CON שלום 🙂"
)
PARTS = [*CONTROLS, *DIRECTIONS, *SURROGATES, *SEQUENCES.split("|"), *LINES, *WORDS.split(),
         '"', " ", "a" * 120, "\u0301"]  # fmt: skip


def hostile_names(count, seed=0):
    chosen = random.Random(seed)
    names = [part for part in PARTS if len(part.strip()) > 0]
    chosen.shuffle(names)
    while len(names) < count:
        name = "".join(chosen.choices(PARTS, k=chosen.randint(2, 6)))
        if name not in names:
            names.append(name)
    return names


NAMES = hostile_names(CASES)
SOME = [*NAMES[:: CASES // (SHARE - 4)][: SHARE - 4], f"a\n{FORGED}: b", "\x1b]0;x\x07\u202e", "x\udcff\ud800", "日本é"]


def as_argument(name):
    """The name as a command line may have it: no NUL, and of surrogates those that stand for bytes."""
    return "".join(c for c in name if not 0xD800 <= ord(c) <= 0xDFFF or 0xDC80 <= ord(c) <= 0xDCFF).replace("\0", "")


def as_text(name):
    """The name without unpaired surrogates, for which a whole archive is refused."""
    return name.encode("utf-8", "ignore").decode()


def on_disk(name):
    """The name as a file may have it."""
    return os.fsdecode(os.fsencode("n" + as_argument(name).replace("/", ""))[:150])


class Member(zipfile.ZipInfo):
    """A member whose name may hold what UTF-8 does not."""

    def _encodeFilenameFlags(self):  # noqa: N802
        return self.filename.encode("utf-8", "surrogatepass"), 0x800


class Commands:
    """Runs commands in this process and keeps watch over what they say."""

    def __init__(self):
        self.calls, self.codes = 0, set()

    def __call__(self, *arguments, code=(0, 2)):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        self.calls += 1
        assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exception)
        assert result.exit_code in code, (arguments, result.output)
        for text in (result.stdout, result.stderr):
            assert_clean(text, arguments)
        self.codes.add(result.exit_code)
        return result


def assert_clean(text, about):
    wrong = {c for c in text if not c.isprintable() and c != "\n"}
    assert not wrong, (about, wrong, text)
    assert not any(line.strip().startswith(FORGED) for line in text.split("\n")), (about, text)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, make_tiny):  # noqa: F811
    """Path of a snapshot of a network of 8 px."""
    G, D = make_tiny()
    path = tmp_path_factory.mktemp("tiny") / "tiny.pkl"
    save_snapshot(path, dict(G=G, D=D, G_ema=G, augment_pipe=None, training_set_kwargs={}))
    return path, G, D


def zip_of(path, name):
    """A data set with a sound video, and videos, files and labels of that name."""
    member = name.replace("\0", "")  # where zipfile cuts a name
    with zipfile.ZipFile(path, "w") as archive:
        for frame in range(4):
            archive.writestr(f"sound/{frame}.png", image_bytes(frame, (8, 8)))
            archive.writestr(
                Member(f"a{member}/{frame}.png"), b"no picture" if frame == 1 else image_bytes(frame, (8, 8))
            )
        archive.writestr(Member(f"s{member}/1.png"), image_bytes(1, (8, 8)))
        archive.writestr(Member(f"{member}.png"), b"")
        archive.writestr("dataset.json", json.dumps({"labels": [["sound", 0], [f"l{name}", 1], [f"a{name}", name]],
                                                     name: name, "fps": name}))  # fmt: skip
    return path


def data_sets(call, name, folder, tiny):
    call("data", "check", zip_of(folder / "data.zip", name), code=[2])
    data = zip_of(folder / "data.zip", as_text(name))
    call("data", "check", data, code=[2])
    call("data", "convert", data, folder / "out.zip", "--resolution=8")
    call("train", "-n", "--cfg=stylegan-v", f"--data={data}", "--device=cpu", "--skip-bad", f"--outdir={folder}")
    call("metrics", f"--network={tiny[0]}", f"--data={data}", "--metrics=motion2_16f", "--device=cpu", "--cache=0")
    call("metrics", f"--real={data}", f"--fake={data}", "--metrics=rfvd", "--device=cpu", "--cache=0", code=[2])
    call("project", f"--network={tiny[0]}", f"--images={data}", f"--output={folder / 'p'}", "--steps=1", code=[2])


def folders(call, name, folder, tiny):
    data = folder / on_disk(name)
    for frame in range(3):
        (data / f"v{data.name}").mkdir(parents=True, exist_ok=True)
        (data / f"v{data.name}" / f"{frame}.png").write_bytes(b"no picture" if frame else image_bytes(1, (8, 8)))
    call("data", "check", data, code=[2])
    call("train", "-n", "--cfg=stylegan-v", f"--data={data}", "--device=cpu", "--skip-bad", f"--outdir={folder}")
    call("data", "convert", data, folder / f"{data.name}.zip", "--resolution=8")
    videos = folder / "videos"
    videos.mkdir()
    (videos / f"{data.name}.mp4").write_bytes(b"no video")
    call("data", "convert", videos, folder / "videos.zip", "--resolution=8", code=[2])
    call("metrics", f"--real={videos}", f"--fake={videos}", "--metrics=rfvd", "--device=cpu", "--cache=0", code=[2])


def typed(call, name, folder, tiny):
    name = as_argument(name)
    path = f"/nowhere/{name}"
    for arguments in (
        ["data", "check", path], ["data", "convert", path, folder / "x.zip"],
        ["train", "-n", "--cfg=stylegan-v", "--data", path],
        ["train", "--resume", path, "--cfg=stylegan-v", "--data", "x"], ["train", f"--cfg={name}"],
        ["generate", "--network", path], ["generate", f"--network={tiny[0]}", f"--seeds={name}"],
        ["generate", f"--network={tiny[0]}", f"--frames={name}"], ["generate", f"--{name}x"],
        ["generate", f"--direction={path}", f"--network={tiny[0]}", "--strength=1"],
        ["metrics", "--network", path], ["metrics", "--real", path, "--fake", path], ["metrics", f"--metrics=x{name}",
         f"--network={tiny[0]}"], ["metrics", "plot", path],
        ["checkpoint", "inspect", path], ["checkpoint", "convert", path, folder / "x.pkl"],
        ["checkpoint", "convert", path, path],
        ["edit", "--network", path, "--prompt=x", "--clip=x", "--seeds=0"], ["directions", "--network", path],
        ["project", "--network", path, "--video", path], ["swap", "--video", path, "--image", path, "--split=8"],
        ["view", "--network", path], ["doctor", f"x{name}"], [f"x{name}"], [f"--x{name}"],
    ):  # fmt: skip
        call(*arguments, code=[2])


def checkpoints(call, name, folder, tiny):
    _, G, D = tiny
    path = folder / f"{on_disk(name)}.pkl"
    described = {name: name, "path": f"/nowhere/{name}", "labels": [name], "class_name": name}
    save_snapshot(path, dict(G=G, D=D, G_ema=G, augment_pipe=None, training_set_kwargs=described))
    call("checkpoint", "inspect", path, code=[0])
    call("checkpoint", "convert", path, folder / f"{on_disk(name)}.safetensors", code=[0])
    call("metrics", f"--network={path}", "--metrics=motion2_16f", code=[2])
    call("generate", f"--network={path}", f"--output={folder / on_disk(name)}", "--frames=2", "--seeds=0",
         "--device=cpu", code=[0])  # fmt: skip
    call("directions", f"--network={path}", f"--output={folder / on_disk(name)}.npz", "--count=1", code=[0])
    call("swap", f"--video={path}", f"--image={path}", "--split=8", f"--output={folder / on_disk(name)}-s.pkl")
    call("train", "-n", "--cfg=stylegan-v", f"--resume={path}", "--data=demo", "--device=cpu", f"--outdir={folder}")
    network = NetworkData.of(G)
    network.notes.append(name)
    export_safetensors(folder / "t.safetensors", {"G_ema": network}, described, {name: name})
    call("checkpoint", "inspect", folder / "t.safetensors", code=[0])
    document = json.loads((folder / "t.json").read_text())
    for key in document:
        (folder / "t.json").write_text(json.dumps({**document, key: name, name: name}))
        call("checkpoint", "inspect", folder / "t.safetensors")


def figures(call, name, folder, tiny):
    run = folder / on_disk(name)
    run.mkdir()
    line = {"results": {f"fvd{name}": 1.0}, "snapshot_pkl": "network-snapshot-000001.pkl"}
    (run / f"metric-{on_disk(name)}.jsonl").write_text(json.dumps(line) + "\n")
    call("metrics", "plot", run, code=[0])


SITES = [data_sets, folders, typed, checkpoints, figures]


def through(names, site, folder, tiny):
    call, wrong = Commands(), []
    for number, name in enumerate(names):
        (folder / str(number)).mkdir()
        try:
            site(call, name, folder / str(number), tiny)
        except AssertionError as error:  # the others are tried all the same
            wrong.append((name, str(error)[:2000]))
        shutil.rmtree(folder / str(number))
    assert not wrong, f"{len(wrong)} of {len(names)}, the first: {wrong[:5]}"
    assert call.calls >= len(names)


@pytest.mark.parametrize("site", SITES)
def test_some_names(site, tmp_path, tiny):
    through(SOME, site, tmp_path, tiny)


@pytest.mark.nightly
@pytest.mark.parametrize("site", SITES)
def test_all_names(site, tmp_path, tiny):
    through(NAMES, site, tmp_path, tiny)


def test_a_run_logs_no_control_character(tmp_path, monkeypatch):
    """84 videos that cannot be read, of hostile names, in a folder of a hostile name."""
    data = tmp_path / "data.zip"
    with zipfile.ZipFile(data, "w") as archive:
        for number, name in enumerate(NAMES):
            for frame in range(3):
                content = b"no picture" if number % 6 == 3 else image_bytes(frame, (16, 16))
                member = f"{number}{as_text(name)}/{frame}.png".replace("\\", "").replace("\0", "")
                archive.writestr(Member(member), content)
    monkeypatch.setattr("stylegan_v_ext.runs.plan.check_data", lambda *arguments, **options: [])
    monkeypatch.setattr("stylegan_v_ext.engine.samples.SampleSheets.save_reals", lambda self: None)
    outdir = tmp_path / on_disk("\x1b[31m\n" + FORGED)
    call = Commands()
    command = ["train", "--cfg=stylegan-v", "--batch=8", "--cbase=64", "--cmax=4", "--latent-dim=8", "--motion-z-dim=8",
               "--workers=0", "--tick=0.02", "--snap=1", "--device=cpu", "--on-bad-frame=skip"]  # fmt: skip
    call(*command, f"--data={data}", f"--outdir={outdir}", "--kimg=0.064", code=[0])
    (run_dir,) = outdir.iterdir()
    call("train", f"--resume={run_dir}", "--kimg=0.08", "--device=cpu", code=[0])
    log = (run_dir / "log.txt").read_text(encoding="utf-8")
    assert log.count("Left out") > 3 and "Going on exactly" in log
    for name in ("log.txt", "stats.jsonl", "training_options.json"):
        assert_clean((run_dir / name).read_bytes().decode("utf-8"), name)
    options = json.loads((run_dir / "training_options.json").read_text())
    for address in ("http://127.0.0.1:1/x.zip", "s3://bucket/x.zip", "//host/share/x.zip"):
        options["training_set_kwargs"]["path"] = address
        (run_dir / "training_options.json").write_text(json.dumps(options))
        result = call("train", f"--resume={run_dir}", "--kimg=0.1", "--device=cpu", code=[2])
        assert "nothing is fetched that you did not name" in result.output and f"--data={address}" in result.output


def test_readable_names_stay_readable(tmp_path):
    for name in ("é", "日本", "naïve.zip", "שלום", "🙂", "a b"):
        result = CliRunner().invoke(main, ["data", "check", str(tmp_path / name)])
        assert f"{name} does not exist" in result.output


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "cp1252"])
def test_every_terminal_shows_what_it_can(monkeypatch, encoding):
    buffer = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(buffer, encoding=encoding, newline="\n"))
    say("é 日本", *NAMES)
    lines = buffer.getvalue().decode(encoding).split("\n")
    assert len(lines) == len(NAMES) + 2
    assert lines[0] == {"utf-8": "é 日本", "ascii": r"\xe9 \u65e5\u672c"}.get(encoding, r"é \u65e5\u672c")


@pytest.mark.parametrize("name", SOME)
def test_an_error_of_a_data_worker_keeps_its_message(name):
    message = f"{name} is not a readable image; replace it"
    inner = DataError(message)
    crossed = DataError(
        "Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        f'  File "x.py", line 1\nstylegan_v_ext.data.errors.DataError: {inner}\n'
    )
    assert str(crossed) == str(inner) == printable(message.strip())
    assert sentence(crossed) == str(inner)


def test_the_names_are_hostile():
    text = "".join(NAMES)
    assert len(set(NAMES)) == CASES and all(chr(code) in text for code in (*range(32), *range(0x7F, 0xA0)))
    assert str(Path(on_disk("a/b\0c\ud800\udcff"))) == "nabc\udcff"
