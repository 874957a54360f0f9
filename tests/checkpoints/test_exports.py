"""What is written comes back with the same bits, and without code where that is promised."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import CheckpointError, NetworkData, bundle, exports, load
from stylegan_v_ext.networks.stylegan3 import AliasFreeGenerator
from tests.checkpoints import stock
from tests.conftest import relative_error

SMALL_SG3 = dict(num_layers=4, channel_base=256, channel_max=16)


@pytest.fixture
def video_networks(make_generator, make_discriminator):
    G = make_generator(num_classes=2, use_noise=True).eval()
    return {"G": NetworkData.of(G), "D": NetworkData.of(make_discriminator(num_classes=2)), "G_ema": NetworkData.of(G)}


def same_bits(ours, theirs):
    assert ours.class_name == theirs.class_name and ours.kwargs == theirs.kwargs
    assert set(ours.state) == set(theirs.state)
    return all(torch.equal(ours.state[name], theirs.state[name]) for name in ours.state)


def source_of(path):
    return exports.describe_source(path, "test")


def test_snapshot_round_trip(tmp_path, video_networks):
    exports.export_snapshot(tmp_path / "a.pkl", video_networks, {"path": "x.zip"})
    again = load(tmp_path / "a.pkl")
    assert all(same_bits(again.network(key), data) for key, data in video_networks.items())
    assert again.training_set_kwargs == {"path": "x.zip"}


def test_safetensors_round_trip(tmp_path, video_networks):
    path = tmp_path / "a.safetensors"
    (tmp_path / "in.pkl").write_bytes(b"x")
    exports.export_safetensors(path, video_networks, {"p": np.arange(2)}, source_of(tmp_path / "in.pkl"))
    for name in ("a.safetensors", "a.json"):
        again = load(tmp_path / name)
        assert again.format == "safetensors" and again.training_set_kwargs == {"p": [0, 1]}
        assert all(same_bits(again.network(key), data) for key, data in video_networks.items())
    description = json.loads((tmp_path / "a.json").read_text())
    assert description["provenance"]["file"] == "in.pkl" and len(description["provenance"]["sha256"]) == 64
    z, c = torch.randn(2, 32), torch.eye(2)
    assert torch.equal(load(path).build("G_ema")(z, c), video_networks["G_ema"].build()(z, c))


def test_a_pair_that_does_not_belong_together_is_refused(tmp_path, video_networks):
    (tmp_path / "in.pkl").write_bytes(b"x")
    exports.export_safetensors(tmp_path / "a.safetensors", video_networks, {}, source_of(tmp_path / "in.pkl"))
    text = (tmp_path / "a.json").read_text()
    for damage, message in (
        (text.replace('"a.json"', ""), None), (text.replace("G_ema", "G_eva"), "was changed"),
        (text[:-20], "is damaged"), ("[]", "is damaged"), ("[" * 100_000, "is damaged"),
    ):  # fmt: skip
        (tmp_path / "a.json").write_text(damage)
        if message:
            with pytest.raises(CheckpointError, match=message):
                load(tmp_path / "a.safetensors")
    (tmp_path / "a.json").unlink()
    with pytest.raises(CheckpointError, match="needs its .json beside it"):
        load(tmp_path / "a.safetensors")


def test_stylegan3_round_trips(tmp_path):
    G = NetworkData.of(AliasFreeGenerator(16, 0, 16, 16, 3, conv_kernel=1, use_radial_filters=True, **SMALL_SG3))
    exports.export_snapshot(tmp_path / "a.pkl", {"G_ema": G}, {})
    assert same_bits(load(tmp_path / "a.pkl").network("G_ema"), G)
    exports.export_safetensors(tmp_path / "a.safetensors", {"G_ema": G}, {}, source_of(tmp_path / "a.pkl"))
    assert same_bits(load(tmp_path / "a.safetensors").network("G_ema"), G)


@pytest.mark.parametrize("name", ["stylegan2_32", "stylegan2_64_c3"])
def test_imported_networks_survive_every_export_bit_by_bit(golden, tmp_path, name):
    v = golden(name)
    networks = {"G_ema": stock.module_tree("Generator", v.state("G")), "D": stock.module_tree("D", v.state("D"))}
    first = load(stock.write(tmp_path / "in.pkl", **networks))
    data = {key: first.network(key) for key in ("G_ema", "D")}
    exports.export_snapshot(tmp_path / "a.pkl", data, {})
    exports.export_safetensors(tmp_path / "a.safetensors", data, {}, source_of(tmp_path / "in.pkl"))
    frozen = exports.freeze(first.network("G_ema"), 0, 0)
    exports.export_image(tmp_path / "image.pkl", frozen, first.network("D"))
    for path in ("a.pkl", "a.safetensors", "image.pkl"):
        again = load(tmp_path / path)
        for key, prefix in (("G_ema", "G"), ("D", "D")):
            state = again.network(key).state
            assert all(torch.equal(state[n], t) for n, t in v.state(prefix).items()), (path, key)
        images = again.build_generator()(v["z"], v["c"], noise_mode="const")
        assert relative_error(images, v["img_const"]) < 1e-4


@pytest.mark.parametrize("num_classes", [0, 2])
def test_a_frozen_video_is_its_frame(tmp_path, make_generator, num_classes):
    G = make_generator(num_classes=num_classes, use_noise=True).eval()
    class_index = 1 if num_classes else None
    frozen = exports.freeze(NetworkData.of(G), 123.25, 7, class_index)
    exports.export_image(tmp_path / "image.pkl", frozen, None)
    image = load(tmp_path / "image.pkl").build_generator()
    z, c = torch.randn(3, 32), torch.eye(num_classes)[[class_index] * 3] if num_classes else None
    t = torch.full([3, 1], 123.25, dtype=torch.float64)
    frame = G(z, torch.zeros(3, 0) if c is None else c, t=t, motion_seeds=[7] * 3, noise_mode="const")
    assert torch.equal(image(z, c, noise_mode="const"), frame)
    assert image.c_dim == num_classes


def test_freezing_names_what_is_wrong(make_generator):
    data = NetworkData.of(make_generator(num_classes=2))
    for class_index in (None, 2, -1):
        with pytest.raises(ValueError, match="the model has 2 classes; choose one with --class=0 ... --class=1"):
            exports.freeze(data, 0, 0, class_index)
    with pytest.raises(ValueError, match="has no time to be frozen at"):
        exports.freeze(NetworkData("AliasFreeGenerator", {}, {}), 0, 0)


def test_image_pickles_open_without_this_package(tmp_path, make_generator):
    """With nothing but `torch_utils` and `dnnlib`, as in a stock checkout."""
    G = make_generator(use_noise=True).eval()
    exports.export_image(tmp_path / "image.pkl", exports.freeze(NetworkData.of(G), 5, 1), None)
    root = Path(__file__).parents[2]
    for package in ("torch_utils", "dnnlib"):
        (tmp_path / package).symlink_to(root / package)
    program = (
        "import sys, pickle, torch\n"
        "sys.path[:] = [p for p in sys.path if 'main' not in p and not p.endswith('__editable__')]\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'stylegan_v_ext': raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"data = pickle.load(open({str(tmp_path / 'image.pkl')!r}, 'rb'))\n"
        "assert all(isinstance(data[k], torch.nn.Module) for k in ('G', 'D', 'G_ema'))\n"
        "G = data['G_ema']; w = G.mapping(torch.ones(1, G.z_dim), None)\n"
        "print(G.c_dim, G.num_ws, float(G.synthesis(w, noise_mode='const').sum()))\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert output.returncode == 0, output.stderr
    c_dim, num_ws, total = output.stdout.split()
    image = load(tmp_path / "image.pkl").build_generator()
    assert (int(c_dim), int(num_ws)) == (0, G.num_ws)
    assert float(total) == pytest.approx(float(image(torch.ones(1, 32), None, noise_mode="const").sum()), rel=1e-3)


def test_the_bundle_imports_nothing_of_this_package():
    source = bundle.image_networks_source()
    assert "import stylegan_v_ext" not in source and "from stylegan_v_ext" not in source
    assert pickle.loads(pickle.dumps(bundle.image_networks().ImageGenerator(8, 0, 8, 8, 3, channel_max=8))) is not None
