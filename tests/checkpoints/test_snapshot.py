"""Snapshots are written whole and read without running what is in them."""

import os
import pickle

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import dnnlib
from stylegan_v_ext.checkpoints import CheckpointError, find_snapshot, load, save_snapshot
from stylegan_v_ext.checkpoints.checkpoint import NotFiniteError
from stylegan_v_ext.checkpoints.exports import export_safetensors
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.files import atomic_path
from torch_utils import persistence


@pytest.fixture
def snapshot(tmp_path, make_generator, make_discriminator):
    path = tmp_path / "network-snapshot-000001.pkl"
    generator = make_generator(num_classes=2, use_noise=True).eval()
    content = dict(
        G=generator, D=make_discriminator(num_classes=2), G_ema=generator, augment_pipe=None,
        training_set_kwargs=dnnlib.EasyDict(path="a.zip", num_frames=3, seeds=np.arange(3)),
    )  # fmt: skip
    save_snapshot(path, content)
    return path, content


def test_networks_come_back_with_the_same_output(snapshot):
    path, content = snapshot
    again = load(path)
    generator = again.build_generator()
    z, c, t = torch.randn(2, 32), torch.eye(2), torch.tensor([[0.0, 5.0, 1e6]]).expand(2, -1)
    expected = content["G"](z, c, t=t, noise_mode="const")
    assert torch.equal(generator(z, c, t=t, noise_mode="const"), expected)
    label = torch.cat([c, t], dim=1)
    assert torch.equal(again.build("D")(expected, label), content["D"](expected, label))
    assert again.training_set_kwargs["seeds"].tolist() == [0, 1, 2]


def test_plain_pickle_opens_it_too(snapshot):
    """As a stock checkout would."""
    path, content = snapshot
    with open(path, "rb") as file:
        again = pickle.load(file)
    z = torch.randn(1, 32)
    assert torch.equal(again["G_ema"](z, torch.eye(2)[:1]), content["G_ema"](z, torch.eye(2)[:1]))


def test_what_is_no_snapshot_is_said_in_one_line(tmp_path, snapshot):
    path, _ = snapshot
    whole = path.read_bytes()
    cases = {
        "empty.pkl": b"", "text.pkl": b"hello", "zip.pkl": b"PK\x03\x04" + bytes(100), "cut.pkl": whole[:-500],
        "half.pkl": whole[: len(whole) // 2], "list.pkl": pickle.dumps([1, 2]), "other.pkl": pickle.dumps({"a": 1}),
    }  # fmt: skip
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match=name) as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="does not exist"):
        load(tmp_path / "none.pkl")


def test_unknown_classes_are_named(tmp_path):
    @persistence.persistent_class
    class Unknown(torch.nn.Module):
        pass

    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps({"G_ema": Unknown()}))
    with pytest.raises(CheckpointError, match="G_ema: a Unknown; known classes are"):
        load(path).build("G_ema")
    with pytest.raises(CheckpointError, match="holds no D"):
        load(path).build("D")


def test_last_snapshot_of_a_run_is_found(tmp_path):
    for kimg in (0, 8, 12):
        (tmp_path / f"network-snapshot-{kimg:06d}.pkl").write_bytes(b"")
    assert find_snapshot(tmp_path).name == "network-snapshot-000012.pkl"
    assert find_snapshot(tmp_path / "network-snapshot-000008.pkl").name == "network-snapshot-000008.pkl"
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no network-snapshot"):
        find_snapshot(tmp_path / "empty")
    with pytest.raises(CheckpointError, match="does not exist"):
        find_snapshot(tmp_path / "none")


def test_writing_is_all_or_nothing(tmp_path):
    path = tmp_path / "file.bin"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"first")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the sec")
        raise RuntimeError
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["file.bin"]
    with pytest.raises(ValueError, match="a snapshot has the keys"):
        save_snapshot(path, {"G": None})


def test_damaged_snapshots_end_in_one_line(snapshot, tmp_path):
    """Flipped bytes give either a network or a sentence."""
    whole = snapshot[0].read_bytes()
    rng = np.random.RandomState(0)
    outcomes = {"opened": 0, "refused": 0}
    for _ in range(120):
        data = bytearray(whole)
        # Most of the file is weights; the first part and the ends of tensors are structure.
        for position in [rng.randint(4000), *rng.randint(len(whole), size=3)]:
            data[position] = rng.randint(256)
        (tmp_path / "damaged.pkl").write_bytes(data)
        try:
            load(tmp_path / "damaged.pkl").build_generator()
            outcomes["opened"] += 1
        except CheckpointError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert outcomes["refused"] > 10


def test_a_url_is_downloaded_and_opened(snapshot, tmp_path, monkeypatch):
    import functools
    import http.server
    import threading

    path, content = snapshot
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path / "cache"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(path.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        again = load(f"http://127.0.0.1:{server.server_port}/{path.name}")
    finally:
        server.shutdown()
        server.server_close()
    expected = content["G_ema"].state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.network("G_ema").state.items())


@pytest.fixture
def spoilt(tmp_path_factory, make_generator):
    """Snapshots that hold a NaN, an infinite number, or one that is too large for float32."""
    folder = tmp_path_factory.mktemp("spoilt")
    paths = []
    for name, value in (("nan", float("nan")), ("inf", -float("inf")), ("large", 1e300)):
        G = make_generator().eval()
        with torch.no_grad():
            if name == "large":
                G.synthesis.b4.torgb.double()
            G.synthesis.b4.torgb.bias[1] = value
        paths.append(folder / f"{name}.pkl")
        content = {"G": G, "D": None, "G_ema": G, "augment_pipe": None, "training_set_kwargs": {}}
        with open(paths[-1], "wb") as file:
            pickle.dump(content, file)
    return paths


def test_networks_of_nan_and_infinite_weights_are_named_and_need_a_flag(spoilt):
    for path in spoilt:
        with pytest.raises(NotFiniteError, match=r"in 1 of \d+ tensors, 'synthesis.b4.torgb.bias' first.*--allow-nan"):
            load(path).build_generator()
        generator = load(path, allow_nan=True).build_generator()
        assert not generator.synthesis.b4.torgb.bias.isfinite().all()


USES = {
    "generate": lambda pkl, out: ["generate", f"--network={pkl}", "--seeds=0", f"--output={out}"],
    "metrics": lambda pkl, out: ["metrics", f"--network={pkl}", "--metrics=fvd2048_16f"],
    "convert": lambda pkl, out: ["checkpoint", "convert", str(pkl), f"{out}.pkl"],
    "convert --image": lambda pkl, out: ["checkpoint", "convert", str(pkl), f"{out}.pkl", "--image"],
    "edit": lambda pkl, out: ["edit", f"--network={pkl}", "--seeds=0", "--prompt=a", f"--output={out}"],
    "directions": lambda pkl, out: ["directions", f"--network={pkl}", f"--output={out}.npz"],
    "project": lambda pkl, out: ["project", f"--network={pkl}", f"--images={out.parent}", f"--output={out}"],
    "swap": lambda pkl, out: ["swap", f"--video={pkl}", f"--image={pkl}", "--split=16", f"--output={out}.pkl"],
    "train": lambda pkl, out: ["train", "--cfg=stylegan-v", "--data=demo", f"--resume={pkl}", f"--outdir={out}", "-n"],
}  # fmt: skip


@pytest.mark.parametrize("name", list(USES))
def test_every_command_stops_at_nan_weights_in_one_line(spoilt, tmp_path, name):
    result = CliRunner().invoke(main, USES[name](spoilt[0], tmp_path / "out"))
    assert result.exit_code == 2 and "--allow-nan" in result.output, result.output
    assert not list(tmp_path.iterdir())


def test_inspect_tells_of_nan_weights_and_convert_keeps_them_if_asked(spoilt, tmp_path):
    result = CliRunner().invoke(main, ["checkpoint", "inspect", str(spoilt[0])])
    assert result.exit_code == 0 and "NaN or infinite in 1 of" in result.output, result.output
    target = tmp_path / "out.safetensors"
    result = CliRunner().invoke(main, ["checkpoint", "convert", str(spoilt[0]), str(target), "--allow-nan"])
    assert result.exit_code == 0, result.output
    with pytest.raises(NotFiniteError):
        load(target).network("G_ema")


def test_a_long_list_of_videos_that_were_left_out_opens(tmp_path, make_generator, make_discriminator):
    left_out = [f"videos/{number:06d}" for number in range(20_000)]
    kwargs = {"path": "x.zip", "exclude": left_out}
    networks = dict(G=make_generator(), G_ema=make_generator(), D=make_discriminator())
    save_snapshot(tmp_path / "a.pkl", {**networks, "augment_pipe": None, "training_set_kwargs": kwargs})
    found = load(tmp_path / "a.pkl")
    assert found.training_set_kwargs == kwargs
    export_safetensors(tmp_path / "b.safetensors", {"G_ema": found.network("G_ema")}, kwargs, {})
    assert load(tmp_path / "b.safetensors").training_set_kwargs == kwargs
