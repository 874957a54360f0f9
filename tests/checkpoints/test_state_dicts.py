"""Networks are found in whatever dictionaries people save them in, with the right values."""

import argparse
import collections
import datetime
import sys
import time
import types

import pytest
import torch

from stylegan_v_ext.checkpoints import CheckpointError, load
from stylegan_v_ext.strip import pack_strip, unpack_strip
from tests.checkpoints import stock
from tests.conftest import relative_error


def prefixed(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def encoder():
    """Tensors beside a decoder, under names that pSp, e4e and ReStyle have."""
    return {
        "encoder.input_layer.0.weight": torch.zeros(4, 3, 3, 3),
        "encoder.styles.0.linear.weight": torch.zeros(4, 4),
    }


ROSINALITY = {
    "plain": lambda G, w: {"g_ema": G, "latent_avg": w},
    "module": lambda G, w: {"g_ema": prefixed("module.", G), "latent_avg": w},
    "module twice": lambda G, w: {"g_ema": prefixed("module.module.", G), "latent_avg": w},
    "alone": lambda G, w: {**G, "latent_avg": w},
    "alone, module": lambda G, w: {**prefixed("module.", G), "module.latent_avg": w},
    "an ordered dictionary": lambda G, w: collections.OrderedDict(G, latent_avg=w),
    "params_ema": lambda G, w: {"params_ema": G, "params": prefixed("", G), "latent_avg": w},
    "generator": lambda G, w: {"generator": G, "latent_avg": w, "iteration": 7},
    "G": lambda G, w: {"G": G, "latent_avg": w},
    "g alone": lambda G, w: {"g": G, "latent_avg": w},
    "one row": lambda G, w: {"g_ema": G, "latent_avg": w[None]},
    "a row for each layer": lambda G, w: {"g_ema": G, "latent_avg": w.repeat(8, 1)},
    "a row for each of 18 layers": lambda G, w: {"g_ema": G, "latent_avg": w.repeat(18, 1)},
    "a batch of rows": lambda G, w: {"g_ema": G, "latent_avg": w.repeat(1, 8, 1)},
    "pSp": lambda G, w: {
        "state_dict": {**encoder(), **prefixed("decoder.", G)}, "latent_avg": w.repeat(8, 1),
        "opts": {"output_size": 32, "device": torch.device("cpu")},
    },
    "pSp from DataParallel": lambda G, w: {
        "state_dict": prefixed("module.", {**encoder(), **prefixed("decoder.", G)}), "latent_avg": w,
        "opts": argparse.Namespace(lr=1),
    },
    "Lightning": lambda G, w: {
        "epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.0", "optimizer_states": [{"state": {}}],
        "state_dict": {**prefixed("G_ema.", G), "G_ema.latent_avg": w, **prefixed("G.", G)},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", list(ROSINALITY))
def test_rosinality_checkpoints_as_people_have_them(golden, tmp_path, name):
    v = golden("stylegan2_32")
    w_avg = v.state("G")["mapping.w_avg"]
    torch.save(ROSINALITY[name](stock.rosinality_generator(v.state("G")), w_avg), tmp_path / "a.pt")
    checkpoint = load(tmp_path / "a.pt")
    assert checkpoint.format == "StyleGAN2 (rosinality)"
    data = checkpoint.network(checkpoint.generator_key)
    assert torch.allclose(data.state["mapping.w_avg"], w_avg, rtol=1e-6) and not any("average" in n for n in data.notes)
    generator = checkpoint.build_generator()
    cut = generator(v["z"], v["c"], truncation_psi=0.5, truncation_cutoff=4, noise_mode="const")
    assert relative_error(cut, v["img_psi05_cut4_const"]) < 1e-4


def test_layers_of_different_averages_share_their_mean_and_a_note_says_so(golden, tmp_path):
    v = golden("stylegan2_32")
    w_avg = v.state("G")["mapping.w_avg"]
    rows = w_avg + torch.linspace(-1, 1, 8)[:, None] * torch.ones_like(w_avg)
    torch.save({"g_ema": stock.rosinality_generator(v.state("G")), "latent_avg": rows}, tmp_path / "a.pt")
    data = load(tmp_path / "a.pt").network("G_ema")
    assert torch.allclose(data.state["mapping.w_avg"], w_avg, atol=1e-5)
    assert "average w for each of 8 layers, up to 8 from their mean" in data.notes[0]
    for odd in (torch.zeros(8, 7), torch.zeros(63), torch.tensor(0.0), torch.zeros(0, 64)):
        torch.save({"g_ema": stock.rosinality_generator(v.state("G")), "latent_avg": odd}, tmp_path / "odd.pt")
        with pytest.raises(CheckpointError, match="an average w of shape .* expected 64 values"):
            load(tmp_path / "odd.pt").network("G_ema")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("average", [True, False])
def test_other_precisions_become_the_numbers_that_they_are(golden, tmp_path, dtype, average):
    state = {name: t.to(dtype) for name, t in golden("stylegan2_32").state("G").items()}
    content = {"g_ema": stock.rosinality_generator(state)}
    if average:
        content["latent_avg"] = state["mapping.w_avg"]
    torch.save(content, tmp_path / "a.pt")
    built = load(tmp_path / "a.pt").build_generator().state_dict()
    for name, tensor in state.items():
        if "w_avg" not in name and "resample_filter" not in name:
            assert built[name].dtype == torch.float32 and torch.equal(built[name], tensor.float()), name
    assert average == torch.equal(built["mapping.w_avg"], state["mapping.w_avg"].float())


def test_what_lies_beside_the_networks_is_no_hindrance(golden, tmp_path):
    """Objects of other packages become data: they are neither imported nor called."""
    v = golden("stylegan2_32")
    module = types.ModuleType("some_package.options")

    class TrainOptions:
        def __init__(self):
            self.lr = 0.1

    class Settings(dict):
        pass

    for cls in (TrainOptions, Settings):
        cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
        setattr(module, cls.__name__, cls)
    sys.modules["some_package"] = types.ModuleType("some_package")
    sys.modules[module.__name__] = module
    try:
        content = {"opts": TrainOptions(), "hparams": Settings(a=1), "counts": collections.Counter("aab"),
                   "callbacks": {TrainOptions: {"best": 1.0}}, "when": datetime.datetime(2020, 1, 2),
                   "last": collections.deque([1, 2]),
                   "g_ema": stock.rosinality_generator(v.state("G")), "latent_avg": v.state("G")["mapping.w_avg"],
                   "d": prefixed("module.", stock.rosinality_discriminator(v.state("D")))}  # fmt: skip
        torch.save(content, tmp_path / "a.pt")
    finally:
        del sys.modules["some_package"], sys.modules[module.__name__]
    checkpoint = load(tmp_path / "a.pt")
    assert "some_package" not in sys.modules
    assert relative_error(checkpoint.build("D")(v["d_x"], v["c"]), v["d_logits"]) < 1e-4
    assert relative_error(checkpoint.build("G_ema")(v["z"], v["c"], noise_mode="none"), v["img_none"]) < 1e-4


def test_a_whole_module_by_torch_save_is_read_as_data(golden, tmp_path):
    v = golden("stylegan2_32")
    wrapper = torch.nn.Module()
    for name, tensor in v.state("G").items():
        owner = wrapper
        for part in ("module." + name).split(".")[:-1]:
            if part not in owner._modules:
                owner.add_module(part, torch.nn.Module())
            owner = owner._modules[part]
        owner.register_buffer(name.split(".")[-1], tensor)
    torch.save({"netG_ema": wrapper}, tmp_path / "a.pt")
    generator = load(tmp_path / "a.pt").build("G_ema")
    assert relative_error(generator(v["z"], v["c"], noise_mode="const"), v["img_const"]) < 1e-4


NVLABS = {
    "alone": lambda G, D: G,
    "module": lambda G, D: prefixed("module.", G),
    "by key": lambda G, D: {"G_ema": G, "G": prefixed("module.", G), "D": D, "step": 5},
    "Lightning": lambda G, D: {
        "state_dict": {**prefixed("G_ema.", G), **prefixed("D.", D), "lpips.lin.weight": G["mapping.w_avg"]}
    },
    "nested": lambda G, D: {"models": {"generator_ema": {"model": G}, "discriminator": D}},
}  # fmt: skip


@pytest.mark.parametrize("name", list(NVLABS))
def test_tensors_of_stylegan2_ada_alone(golden, tmp_path, name):
    v = golden("stylegan2_64_c3")
    torch.save(NVLABS[name](v.state("G"), v.state("D")), tmp_path / "a.pth")
    checkpoint = load(tmp_path / "a.pth")
    assert checkpoint.format == "StyleGAN2 (PyTorch)" and checkpoint.network("G_ema").num_classes == 3
    assert relative_error(checkpoint.build_generator()(v["z"], v["c"], noise_mode="const"), v["img_const"]) < 1e-4
    assert ("D" in checkpoint.readers) == (name not in ("alone", "module"))
    if "D" in checkpoint.readers:
        assert relative_error(checkpoint.build("D")(v["d_x"], v["c"]), v["d_logits"]) < 1e-4
    assert "learning rate multiplier of 0.01" in checkpoint.network("G_ema").notes[0]


@pytest.mark.parametrize("classes", [0, 2])
def test_tensors_of_our_video_networks_alone(make_generator, make_discriminator, tmp_path, classes):
    G, D = (
        make_generator(classes, motion_kwargs={"z_dim": 24, "code_dim": 20}).eval(),
        make_discriminator(classes).eval(),
    )
    torch.save({"G_ema": G.state_dict(), "D": D.state_dict()}, tmp_path / "a.pt")
    checkpoint = load(tmp_path / "a.pt")
    data = checkpoint.network("G_ema")
    assert (
        data.num_classes == classes and data.num_frames == 3 and "motion distance; 16 frames assumed" in data.notes[0]
    )
    z, t, c = (
        torch.randn(2, 32),
        torch.tensor([[0.0, 7.0, 30.0]]).expand(2, -1),
        torch.eye(max(classes, 2))[:, :classes],
    )
    strip = checkpoint.build_generator()(z, c, t=t, motion_seeds=[1, 2])
    assert torch.equal(strip, G(z, c, t=t, motion_seeds=[1, 2]))
    label = torch.cat([c, t], dim=1)
    assert torch.equal(checkpoint.build("D")(strip, label), D(strip, label))


def test_tensors_of_the_release_alone(golden, tmp_path):
    v = golden("stylegan_v_32_f3")
    torch.save({"state_dict": {**prefixed("G_ema.", v.state("G")), **prefixed("D.", v.state("D"))}}, tmp_path / "a.pt")
    checkpoint = load(tmp_path / "a.pt")
    assert checkpoint.format == "StyleGAN-V release"
    strip = checkpoint.build_generator()(v["z"], v["c"], t=v["t"], motion_z=v["motion_z"])
    assert relative_error(unpack_strip(strip).flatten(0, 1), v["img"]) < 1e-4
    strip = pack_strip(v["d_x"].unflatten(0, (-1, v.config["F"])))
    logits = checkpoint.build("D")(strip, torch.cat([v["c"], v["d_t"]], dim=1))
    assert relative_error(logits[:, 0], v["d_logits"]) < 1e-4


def test_several_generators_are_told_apart_and_what_is_left_out_is_named(golden, tmp_path):
    v = golden("stylegan2_32")
    other = {name: torch.zeros_like(tensor) for name, tensor in v.state("G").items()}
    torch.save({"netG": other, "G_ema": v.state("G"), "G_ema_old": dict(other)}, tmp_path / "a.pt")
    checkpoint = load(tmp_path / "a.pt")
    data = checkpoint.network("G_ema")
    assert torch.equal(data.state["synthesis.b4.const"], v.state("G")["synthesis.b4.const"])
    assert not checkpoint.network("G").state["synthesis.b4.const"].any()
    assert any("'G_ema_old' in the file is not used" in note for note in data.notes)


def test_tensors_that_say_too_little_are_refused_with_the_reason(golden, tmp_path):
    torch.save({"G_ema": golden("stylegan3_t_32").state("G")}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="do not say how its filters were made; give the pickle"):
        load(tmp_path / "a.pt").network("G_ema")
    torch.save({"weights": {"layer.weight": torch.zeros(2)}, "epoch": 1}, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match="another format that is read .but 'weights', 'epoch'."):
        load(tmp_path / "b.pt")


def test_endless_dictionaries_cost_little(tmp_path):
    tensor = torch.zeros(1)
    many = {f"a{number}.input.input": tensor for number in range(9_000)} | {
        f"a{number}.conv1.conv.weight": tensor for number in range(9_000)
    }
    for name, content in {
        "names": [dict(many), dict(many)],
        "long": {"x" * 5_000 + f"{i}.input.input": tensor for i in range(50)},
    }.items():
        torch.save({str(i): part for i, part in enumerate(content if name == "names" else [content])}, tmp_path / name)
        start = time.process_time()
        with pytest.raises(CheckpointError, match="tensors by name|is not a network snapshot"):
            load(tmp_path / name)
        assert time.process_time() - start < 2
