"""Every foreign format opens as our classes with the same output, on the golden networks' weights."""

import argparse
import pickle

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import CheckpointError, load
from stylegan_v_ext.strip import pack_strip, unpack_strip
from tests.checkpoints import stock
from tests.conftest import relative_error

TOLERANCE = 1e-4
IMAGES = ["stylegan2_32", "stylegan2_64_c3"]


def image_attributes(v):
    """What stock objects say of themselves, beside their tensors."""
    layers = {f"synthesis.b{v.config['res']}.conv1": {"conv_clamp": None, "activation": "lrelu"}}
    return {"mapping": {"w_avg_beta": 0.995}, "mapping.fc0": {"bias_gain": 0.01}, **layers}


def check_images(checkpoint, v, tolerance=TOLERANCE):
    generator = checkpoint.build_generator()
    for mode in ("const", "none"):
        assert relative_error(generator(v["z"], v["c"], noise_mode=mode), v[f"img_{mode}"]) < tolerance
    cut = generator(v["z"], v["c"], truncation_psi=0.5, truncation_cutoff=4, noise_mode="const")
    assert relative_error(cut, v["img_psi05_cut4_const"]) < tolerance
    assert relative_error(checkpoint.build("D")(v["d_x"], v["c"]), v["d_logits"]) < tolerance


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_stylegan2_pickles(golden, tmp_path, name, protocol):
    v = golden(name)
    networks = {
        "G_ema": stock.module_tree("Generator", v.state("G"), image_attributes(v)),
        "D": stock.module_tree("Discriminator", v.state("D"), {"b4.mbstd": {"group_size": 4, "num_channels": 1}}),
    }
    checkpoint = load(stock.write(tmp_path / "sg2.pkl", protocol, **networks))
    assert checkpoint.format == "StyleGAN2 (PyTorch)"
    assert checkpoint.network("G_ema").is_image_model and checkpoint.network("G_ema").num_classes == v.config["c_dim"]
    check_images(checkpoint, v)


def test_what_a_stock_object_says_of_itself_is_followed(golden, tmp_path):
    v = golden("stylegan2_32")
    attributes = image_attributes(v) | {
        "synthesis.b32": {"use_fp16": True}, "synthesis.b16": {"use_fp16": True},
        "synthesis.b32.conv1": {"conv_clamp": 256}, "mapping": {"w_avg_beta": 0.998},
    }  # fmt: skip
    path = stock.write(tmp_path / "a.pkl", G_ema=stock.module_tree("Generator", v.state("G"), attributes))
    kwargs = load(path).network("G_ema").kwargs
    assert kwargs["num_fp16_res"] == 2 and kwargs["conv_clamp"] == 256 and kwargs["use_noise"]
    assert kwargs["mapping_kwargs"] == {
        "num_layers": v.config["mapping_layers"], "lr_multiplier": 0.01, "w_avg_beta": 0.998,
    }  # fmt: skip
    odd = stock.module_tree("Generator", v.state("G"), {"synthesis.b8.conv1": {"activation": "swish"}})
    with pytest.raises(CheckpointError, match="activation 'swish' in synthesis.b8.conv1"):
        load(stock.write(tmp_path / "b.pkl", G_ema=odd)).network("G_ema")


def test_architectures_other_than_the_known_are_refused_by_name(golden, tmp_path):
    v = golden("stylegan2_32")
    no_skip = {k: t for k, t in v.state("G").items() if "b16.torgb" not in k}
    with pytest.raises(CheckpointError, match="without the skip architecture"):
        load(stock.write(tmp_path / "a.pkl", G_ema=stock.module_tree("Generator", no_skip))).network("G_ema")
    narrow = dict(v.state("G"))
    narrow["synthesis.b8.conv1.weight"] = narrow["synthesis.b8.conv1.weight"][:7]
    with pytest.raises(CheckpointError, match="do not follow"):
        load(stock.write(tmp_path / "b.pkl", G_ema=stock.module_tree("Generator", narrow))).network("G_ema")
    plain = {k: t for k, t in v.state("D").items() if "b16.skip" not in k}
    with pytest.raises(CheckpointError, match="without the resnet architecture"):
        load(stock.write(tmp_path / "c.pkl", D=stock.module_tree("Discriminator", plain))).network("D")


@pytest.mark.parametrize("name", ["stylegan3_t_32", "stylegan3_r_32_c2"])
@pytest.mark.parametrize("nested", [False, True])
def test_stylegan3_pickles(golden, tmp_path, name, nested):
    v = golden(name)
    c = v.config
    names = ("num_layers", "channel_base", "channel_max", "conv_kernel", "use_radial_filters")
    options = {key: c[key] for key in names if key in c}
    kwargs = dict(
        z_dim=c["z_dim"], c_dim=c["c_dim"], w_dim=c["w_dim"], img_resolution=c["res"], img_channels=3,
        mapping_kwargs={"num_layers": c["mapping_layers"]}, **({"synthesis_kwargs": options} if nested else options),
    )  # fmt: skip
    path = stock.write(tmp_path / "sg3.pkl", G_ema=stock.module_tree("Generator", v.state("G"), None, kwargs))
    checkpoint = load(path)
    assert checkpoint.format == "StyleGAN3 (PyTorch)"
    generator = checkpoint.build_generator()
    assert relative_error(generator(v["z"], v["c"]), v["img"]) < TOLERANCE
    with pytest.raises(CheckpointError, match="unknown option"):
        odd = stock.module_tree("Generator", v.state("G"), None, {**kwargs, "spiral": 1})
        load(stock.write(tmp_path / "odd.pkl", G_ema=odd)).network("G_ema")


class DictConfig:
    """Pickled as OmegaConf's class of this name."""

    def __init__(self, **content):
        self.__dict__.update(_content=content, _metadata=None, _parent=None)


class AnyNode:
    def __init__(self, value):
        self.__dict__.update(_val=value, _metadata=None, _parent=None)


DictConfig.__module__, AnyNode.__module__ = "omegaconf.dictconfig", "omegaconf.nodes"


@pytest.fixture
def omegaconf(monkeypatch):
    """Modules by the names that pickle looks the two classes up under; the package itself is not installed."""
    import sys
    import types

    for cls in (DictConfig, AnyNode):
        module = types.ModuleType(cls.__module__)
        setattr(module, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, cls.__module__, module)
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))


def release(v, distance=16):
    c = v.config
    cfg = DictConfig(
        sampling=DictConfig(num_frames_per_video=AnyNode(c["F"]), max_num_frames=c["max_num_frames"]),
        motion=DictConfig(motion_z_distance=AnyNode(distance), kind=AnyNode("${sampling.kind}")),
    )
    G = stock.module_tree("Generator", v.state("G"), None, {"cfg": cfg})
    D = stock.module_tree("Discriminator", v.state("D"), {"b4.mbstd": {"group_size": c["mbstd_group"]}}, {"cfg": cfg})
    return {"G": G, "D": D, "G_ema": G, "stats": {"cur_nimg": 1}, "vis": {"grid": np.zeros(3)}, "G_opt": {"state": {}}}


@pytest.mark.parametrize("name", ["stylegan_v_32_f3", "stylegan_v_64_f2_c5"])
def test_the_stylegan_v_release(golden, tmp_path, omegaconf, name):
    v = golden(name)
    checkpoint = load(stock.write(tmp_path / "release.pkl", **release(v)))
    assert checkpoint.format == "StyleGAN-V release"
    data = checkpoint.network("G_ema")
    assert data.num_frames == v.config["F"] and data.num_classes == v.config["c_dim"]
    assert (
        data.kwargs["motion_kwargs"] | {"distance": 16, "min_period": 16, "max_period": 1024, "amplitude": False}
        == (data.kwargs["motion_kwargs"])
    )
    generator = checkpoint.build_generator()
    strip = generator(v["z"], v["c"], t=v["t"], motion_z=v["motion_z"])
    assert relative_error(unpack_strip(strip).flatten(0, 1), v["img"]) < TOLERANCE
    assert checkpoint.network("D").kwargs["concat_res"] == v.config["concat_res"]
    strip = pack_strip(v["d_x"].unflatten(0, (-1, v.config["F"])))
    logits = checkpoint.build("D")(strip, torch.cat([v["c"], v["d_t"]], dim=1))
    assert relative_error(logits[:, 0], v["d_logits"]) < TOLERANCE


def test_settings_of_the_release_are_read_as_data(golden, tmp_path, omegaconf):
    v = golden("stylegan_v_32_f3")
    path = stock.write(tmp_path / "release.pkl", **release(v, distance=256))
    assert load(path).network("G").kwargs["motion_kwargs"]["distance"] == 256
    silent = stock.module_tree("Generator", v.state("G"))
    data = load(stock.write(tmp_path / "silent.pkl", G_ema=silent)).network("G_ema")
    assert data.kwargs["motion_kwargs"]["distance"] == 16 and "16 frames assumed" in data.notes[0]


def test_the_releases_recurrent_variant_is_refused_by_name(golden, tmp_path):
    state = golden("stylegan_v_32_f3").state("G") | {"synthesis.motion_encoder.rnn.weight_ih_l0": torch.zeros(4, 4)}
    path = stock.write(tmp_path / "moco.pkl", G_ema=stock.module_tree("Generator", state))
    with pytest.raises(CheckpointError, match=r"MoCoGAN\+SG2"):
        load(path).network("G_ema")


def test_the_best_snapshot_of_a_release_run_is_found(golden, tmp_path, omegaconf):
    v = golden("stylegan_v_32_f3")
    for kimg in (100, 200, 300):
        stock.write(tmp_path / f"network-snapshot-{kimg:06d}.pkl", **release(v))
    rows = [(100, "500"), (200, "90.5"), (300, "NaN"), (400, "1.0")]
    lines = [f'{{"results": {{"fvd2048_16f": {x}}}, "snapshot_pkl": "network-snapshot-{k:06d}.pkl"}}' for k, x in rows]
    (tmp_path / "metric-fvd2048_16f.jsonl").write_text("\n".join([*lines, '{"results": {"fvd20']))
    assert load(tmp_path).path.name == "network-snapshot-000200.pkl"
    assert load(tmp_path, best=False).path.name == "network-snapshot-000300.pkl"


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("protocol", [2, 4])
def test_tensorflow_pickles_parameter_by_parameter(golden, tmp_path, name, protocol):
    v = golden(name)
    layers = {"mapping_layers": 8, "mapping_lrmul": 0.01}
    with stock.tensorflow_network() as Network:
        G = stock.tensorflow_generator(Network, v.state("G"))
        D = stock.tensorflow_discriminator(Network, v.state("D"), mbstd_group_size=4, **layers)
        (tmp_path / "tf.pkl").write_bytes(pickle.dumps((G, D, G), protocol=protocol))
    checkpoint = load(tmp_path / "tf.pkl")
    assert checkpoint.format == "StyleGAN2 (TensorFlow)"
    for key, prefix in (("G", "G"), ("G_ema", "G"), ("D", "D")):
        state, expected = checkpoint.network(key).state, v.state(prefix)
        assert set(state) == set(expected)
        for tensor in expected:
            assert relative_error(state[tensor], expected[tensor]) < 1e-6, tensor
    check_images(checkpoint, v)


def test_tensorflow_networks_of_another_kind_are_refused_by_name(golden, tmp_path):
    state = golden("stylegan2_32").state("G")
    for change, message in (
        ({"resample_kernel": [1, 2, 1]}, "resample_kernel"), ({"nonlinearity": "relu"}, "nonlinearity relu"),
    ):  # fmt: skip
        with stock.tensorflow_network() as Network:
            G = stock.tensorflow_generator(Network, state, **change)
            (tmp_path / "tf.pkl").write_bytes(pickle.dumps((G, G, G)))
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / "tf.pkl").network("G_ema")


@pytest.mark.parametrize("zipped", [True, False])
def test_rosinality_checkpoints(golden, tmp_path, zipped):
    v = golden("stylegan2_32")
    G = stock.rosinality_generator(v.state("G"))
    content = {
        "g_ema": G, "g": G, "d": stock.rosinality_discriminator(v.state("D")), "g_optim": {"state": {}},
        "args": argparse.Namespace(size=32), "latent_avg": v.state("G")["mapping.w_avg"],
    }  # fmt: skip
    torch.save(content, tmp_path / "ros.pt", _use_new_zipfile_serialization=zipped)
    checkpoint = load(tmp_path / "ros.pt")
    assert checkpoint.format == "StyleGAN2 (rosinality)"
    check_images(checkpoint, v)


def test_an_average_that_rosinality_left_out_is_computed(golden, tmp_path):
    v = golden("stylegan2_32")
    torch.save({"g_ema": stock.rosinality_generator(v.state("G"))}, tmp_path / "ros.pt")
    data = load(tmp_path / "ros.pt").network("G_ema")
    assert "no average w" in data.notes[0]
    generator = data.build()
    expected = generator.mapping(torch.randn(4000, v.config["z_dim"]))[:, 0].mean(0)
    assert (data.state["mapping.w_avg"] - expected).norm() < 0.1 * expected.norm() + 0.05
    torch.save(
        {"g_ema": {"input.input": torch.zeros(1), "conv1.conv.weight": torch.zeros(1), "strange": torch.zeros(1)}},
        tmp_path / "odd.pt",
    )
    with pytest.raises(CheckpointError, match="is not part of rosinality's StyleGAN2"):
        load(tmp_path / "odd.pt").network("G_ema")
