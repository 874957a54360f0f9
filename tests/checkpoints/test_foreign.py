"""Networks of other families are named as what they are, with the reason and something to do; nothing is run."""

import json
import pickle
import sys
import types

import pytest
import torch

from stylegan_v_ext.checkpoints import CheckpointError, load
from stylegan_v_ext.checkpoints.foreign import FAMILIES, find_family
from stylegan_v_ext.checkpoints.state_dicts import KINDS
from tests.checkpoints import stock
from tests.cli.test_bad_input import assert_one_line_error, run


def tensors(names):
    """Small tensors of these names, which stand in one text."""
    return {name: torch.zeros(2, 3) for name in names.split()}


# What each is, and what a few of its tensors are called; a row that begins with blanks belongs to the one before.
_ROWS = """
a LoRA: lora_unet_down_blocks_0_attentions_0.lora_down.weight lora_te_text_model.alpha
a LoRA of diffusers: unet.down_blocks.0.attentions.0.to_q.lora_A.weight
a diffusion model: model.diffusion_model.input_blocks.0.0.weight first_stage_model.encoder.conv_in.weight
a part of a diffusion model (U-Net): conv_in.weight time_embedding.linear_1.weight down_blocks.0.a.bias
a part of a diffusion model (VAE): encoder.down.0.block.0.norm1.weight decoder.up.0.block.0.norm1.weight
a part of a diffusion model (transformer): double_blocks.0.img_attn.qkv.weight
a part of a diffusion model (DiT): blocks.0.adaLN_modulation.1.weight
a part of a diffusion model (text): text_model.encoder.layers.0.mlp.fc1.weight
a MoStGAN-V network: synthesis.multimotionmap.0.weight synthesis.b16.conv0.hypernet.conv0.weight
    synthesis.motion_encoder.conv.0.weight mapping.fc0.weight
a StyleSV network: synthesis.input.freqs synthesis.motion_mask synthesis.input.motion_affine.weight
    mapping.fc0.weight
a DIGAN network: synthesis.b8.coord_fuser.affine.weight synthesis.b4.input.input.coord_fuser.affine.weight
    mapping.w_avg
a MoCoGAN+SG2 network: synthesis.motion_encoder.rnn.weight_ih_l0 mapping.w_avg
an EG3D network: backbone.synthesis.b4.const backbone.mapping.fc0.weight superresolution.block0.conv0.weight
a StyleGAN-T network: synthesis.b4.conv0.affine.proj.weight synthesis.b4.const mapping.w_avg mapping.fc0.weight
a FastGAN network: init.init.0.weight_orig feat_8.1.weight_orig feat_16.1.weight_orig to_big.weight_orig
a FastGAN network of Projected GAN: synthesis.feat_8.1.weight synthesis.se_64.main.1.weight
a discriminator of Projected GAN: feature_network.pretrained.a.weight discriminator.mini_discs.0.a
a discriminator of Projected GAN or StyleGAN-XL: feature_networks.deit.a.weight discriminators.deit.a
a BigGAN network: shared.weight blocks.0.0.conv1.weight output_layer.0.gain
a BigGAN network (Hugging Face): generator.gen_z.weight_orig generator.layers.0.bn_0.scale.weight_orig
a StyleGAN1 network: g_mapping.dense0.weight g_synthesis.blocks.4x4.const
a StyleGAN1 network (rosinality): generator.progression.0.conv1.weight style.1.linear.weight_orig
a network of lucidrains' stylegan2-pytorch: G.blocks.0.to_style1.weight GE.blocks.0.to_style1.weight
a GFPGAN network: stylegan_decoder.style_convs.0.modulated_conv.weight conv_body_first.weight
a StyleGAN2 network of BasicSR: style_mlp.1.weight style_conv1.modulated_conv.weight
a StyleGAN2 network of MMGeneration: generator_ema.constant_input.const
    generator_ema.conv1.conv.style_modulation.fc.weight
a network of GenForce: mapping.dense0.weight synthesis.layer0.weight truncation.w_avg
"""
OTHERS = dict(row.split(": ", 1) for row in _ROWS.strip().replace("\n   ", "").split("\n"))


WRAPPERS = {
    "alone": lambda state: state,
    "state_dict": lambda state: {"state_dict": {f"module.{name}": t for name, t in state.items()}, "epoch": 3},
    "g_ema": lambda state: {"g": state, "g_ema": state, "args": None},
}


@pytest.mark.parametrize("name", list(OTHERS))
def test_tensors_of_other_families_are_named(tmp_path, name):
    title = name.partition(" (")[0].removesuffix(" of diffusers")
    if title.startswith("a FastGAN"):
        title = "a FastGAN network"
    for wrapper, wrap in WRAPPERS.items():
        torch.save(wrap(tensors(OTHERS[name])), tmp_path / f"{wrapper}.pt")
        with pytest.raises(CheckpointError) as caught:
            load(tmp_path / f"{wrapper}.pt").network("G_ema")
        message = str(caught.value)
        assert f": {title}" in message and ", which is not read: " in message and "; " in message, message
        assert "\n" not in message


def test_every_family_of_the_table_is_tried_and_takes_no_network_that_is_read(golden):
    tried = {find_family(dict.fromkeys(names.split(), (2, 3))).name for names in OTHERS.values()}
    assert find_family({"hypernet.encoder.weight": (2, 3), "decoder.input.input": (1, 2, 4, 4)}) is None  # HyperStyle's
    assert tried | {"a StyleGAN-XL network"} == {family.name for family in FAMILIES}
    for name in ("stylegan2_32", "stylegan2_64_c3", "stylegan3_t_32", "stylegan_v_32_f3"):
        v = golden(name)
        for key in ("G", "D"):
            shapes = {tensor: tuple(t.shape) for tensor, t in v.state(key).items()}
            assert find_family(shapes) is None
            if name == "stylegan2_32":
                made = stock.rosinality_generator if key == "G" else stock.rosinality_discriminator
                assert find_family({tensor: t.shape for tensor, t in made(v.state(key)).items()}) is None
    for kind in KINDS:
        assert find_family(dict.fromkeys(kind.marks, (2, 3))) is None


@pytest.mark.parametrize("name", ["a LoRA", "a diffusion model", "a GFPGAN network"])
def test_safetensors_of_others_are_named(tmp_path, name):
    from safetensors.torch import save_file

    save_file(tensors(OTHERS[name]), tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=f"a.safetensors: {name}, which is not read"):
        load(tmp_path / "a.safetensors")
    save_file({"layer.weight": torch.zeros(2)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="no network of a format that is read .1 tensors."):
        load(tmp_path / "b.safetensors")
    (tmp_path / "c.safetensors").write_bytes(b"\x08" + bytes(20))
    with pytest.raises(CheckpointError, match=r"c\.safetensors"):
        load(tmp_path / "c.safetensors")


def test_safetensors_of_tensors_that_are_known_are_read(golden, tmp_path):
    from safetensors.torch import save_file

    v = golden("stylegan2_32")
    save_file({f"G_ema.{name}": tensor for name, tensor in v.state("G").items()}, tmp_path / "a.safetensors")
    assert torch.allclose(
        load(tmp_path / "a.safetensors").build_generator()(v["z"], v["c"], noise_mode="const"),
        v["img_const"],
        atol=1e-3,
    )


def xl(v, classes=10):
    """The tensors of a StyleGAN3 generator with StyleGAN-XL's mapping network."""
    state = dict(v.state("G"))
    width = len(state["mapping.w_avg"])
    return {
        **state, "mapping.w_avg": torch.zeros(classes, width), "mapping.embed.weight": torch.zeros(classes, 24),
        "mapping.embed_proj.weight": torch.zeros(16, 24), "mapping.embed_proj.bias": torch.zeros(16),
        "mapping.fc0.weight": torch.zeros(width, 32),
    }  # fmt: skip


def test_inspect_says_of_stylegan_xl_what_it_is_and_how_many_classes_it_has(golden, tmp_path):
    path = stock.write(tmp_path / "xl.pkl", G_ema=stock.module_tree("Generator", xl(golden("stylegan3_t_32"), 7)))
    code, output = run("checkpoint", "inspect", path)
    assert code == 0 and "cannot be used" in output and "a StyleGAN-XL network (7 classes), which is not read" in output
    assert "labels" not in output and "StyleGAN3 (PyTorch)" not in output
    for command in (["generate", f"--network={path}", "--seeds=0", f"--output={tmp_path}/o"],
                    ["checkpoint", "convert", path, tmp_path / "a.pkl"]):  # fmt: skip
        code, output = run(*command)
        assert code == 2
        assert_one_line_error(output, "a StyleGAN-XL network (7 classes)")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["xl.pkl"]


@pytest.mark.parametrize("size", [(4, 7), (2, 4), (5, 5)])
@pytest.mark.parametrize("kind", ["record", "tensors", "rosinality"])
def test_generators_of_other_pictures_are_named_with_their_size(golden, tmp_path, size, kind):
    state = dict(golden("stylegan2_32").state("G"))
    state["synthesis.b4.const"] = torch.zeros(len(state["synthesis.b4.const"]), *size)
    if kind == "record":
        stock.write(tmp_path / "a.pkl", G_ema=stock.module_tree("Generator", state))
    else:
        torch.save({"g_ema": stock.rosinality_generator(state) if kind == "rosinality" else state}, tmp_path / "a.pkl")
    with pytest.raises(
        CheckpointError, match=f"a StyleGAN2 generator of {8 * size[1]}x{8 * size[0]} pixels .it begins"
    ):
        load(tmp_path / "a.pkl").network("G_ema")


def architecture(state, kind):
    """The tensors of a generator or discriminator of another architecture."""
    result = dict(state)
    sizes = [size for size in (4, 8, 16, 32) if any(f"b{size}." in name for name in state)]
    if "b4.out.weight" in state:
        for size in sizes[1:]:
            del result[f"b{size}.skip.weight"]
            if kind == "skip":
                result[f"b{size}.fromrgb.weight"] = torch.zeros(8, 3, 1, 1)
        return {**result, **({"b4.fromrgb.weight": torch.zeros(8, 3, 1, 1)} if kind == "skip" else {})}
    for size in sizes[:-1]:
        result = {name: tensor for name, tensor in result.items() if f"b{size}.torgb" not in name}
    if kind == "resnet":
        result |= {f"synthesis.b{size}.skip.weight": torch.zeros(8, 8, 1, 1) for size in sizes[1:]}
    return result


@pytest.mark.parametrize("form", ["record", "tensors"])
def test_other_architectures_of_stylegan2_are_named(golden, tmp_path, form):
    v = golden("stylegan2_32")
    cases = [("G", "resnet", "without the skip architecture (resnet: a shortcut at 8 px)"),
             ("G", "orig", "without the skip architecture (orig: no ToRGB at 4 px)"),
             ("D", "orig", "without the resnet architecture (orig: no shortcut at 8 px)"),
             ("D", "skip", "without the resnet architecture (skip: no shortcut at 8 px)")]  # fmt: skip
    for number, (key, kind, message) in enumerate(cases):
        state, role, path = architecture(v.state(key), kind), "G_ema" if key == "G" else "D", tmp_path / f"{number}.pkl"
        if form == "record":
            stock.write(path, **{role: stock.module_tree("Network", state)})
        else:
            torch.save({role: state}, path)
        with pytest.raises(CheckpointError) as caught:
            load(path).network(role)
        assert message in str(caught.value) and "which is not read" in str(caught.value)


def test_stylegan1_of_tensorflow_is_named(tmp_path):
    import numpy as np

    rows = [("4x4/Const/const", np.zeros([1, 8, 4, 4], np.float32)), ("4x4/Const/StyleMod/weight", np.zeros([8, 16]))]
    with stock.tensorflow_network() as Network:
        part = Network(
            version=4, name="synthesis", static_kwargs={}, components={}, build_module_src="", variables=rows
        )
        G = Network(
            version=4, name="G", static_kwargs={}, components={"synthesis": part}, build_module_src="", variables=[]
        )
        (tmp_path / "a.pkl").write_bytes(pickle.dumps((G, G, G)))
    with pytest.raises(CheckpointError, match="a StyleGAN1 network, which is not read"):
        load(tmp_path / "a.pkl").network("G_ema")


def test_classes_of_other_packages_are_looked_at_as_data(tmp_path):
    """As Projected GAN pickles its generator: a class of its own, by name, with hooks of PyTorch."""
    name = "pg_modules_of_a_test"
    module = types.ModuleType(name)
    module.Generator = type("Generator", (torch.nn.Module,), {"__module__": name})
    module.Block = type("Block", (torch.nn.Module,), {"__module__": name})
    sys.modules[name] = module
    try:
        generator, blocks = module.Generator(), module.Block()
        for part in ("feat_8", "feat_16", "se_64"):
            blocks.add_module(part, torch.nn.utils.spectral_norm(torch.nn.Conv2d(2, 2, 1)))
        generator.synthesis = blocks
        path = stock.write(tmp_path / "a.pkl", G=generator, G_ema=generator)
    finally:
        del sys.modules[name]
    with pytest.raises(CheckpointError, match="a FastGAN network, which is not read"):
        load(path)
    assert name not in sys.modules


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><body>quota exceeded", "a web page and no checkpoint"),
        (b"\n  <html>", "a web page and no checkpoint"), (b"\xef\xbb\xbf<!-- x -->", "a web page and no checkpoint"),
        (b"<Error><Code>AccessDenied</Code></Error>", "a web page"), (b"Not Found\n", "a web page and no checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "a picture or a video"), (b"\0\0\0\x20ftypisom" + bytes(90), "a video"),
        (b"PK\3\4" + bytes(90), "a zip file that is cut short or damaged; fetch it again"),
        (bytes(257) + b"ustar\0" + bytes(255), "a tar archive; unpack it"), (bytes(90), "at byte 1; fetch it again"),
        (json.dumps({"error": {"code": 404}}).encode(), "a web page and no checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file"), (b"\x1f\x8b\x08\x00" + bytes(90), "a compressed archive"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(90), "a compressed archive"), (b"GGUF" + bytes(90), "a GGUF file"),
        (b"", "the file is empty"),
    ],
)  # fmt: skip
def test_what_people_take_for_a_checkpoint_is_named(tmp_path, content, message):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "a.pkl")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_programs_of_torchscript_are_named(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="a TorchScript program, which is code; it was not run: give"):
        load(tmp_path / "a.pt")
