"""Networks against golden numbers of the reference implementations, on their weights."""

import pytest
import torch

from stylegan_v_ext.checkpoints.importers.stylegan_v import renamed
from stylegan_v_ext.checkpoints.transfer import transfer
from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.networks.stylegan3 import AliasFreeGenerator
from stylegan_v_ext.strip import pack_strip, unpack_strip
from tests.conftest import relative_error

TOLERANCE = 1e-4


@pytest.fixture(params=["stylegan_v_32_f3", "stylegan_v_64_f2_c5"])
def video_case(request, golden, device):
    vectors = golden(request.param, device)
    c = vectors.config
    common = dict(
        c_dim=c["c_dim"] + c["F"], img_resolution=c["res"], img_channels=3, num_frames=c["F"],
        max_num_frames=c["max_num_frames"], channel_base=c["cbase"], channel_max=c["cmax"],
        mapping_kwargs={"num_layers": c["mapping_layers"]}, num_fp16_res=0, conv_clamp=None,
    )  # fmt: skip
    generator = VideoGenerator(
        **common, z_dim=c["z_dim"], w_dim=c["w_dim"],
        motion_kwargs=dict(z_dim=c["motion"]["z_dim"], code_dim=c["motion"]["v_dim"], amplitude=False),
    )  # fmt: skip
    discriminator = TimeConditionedDiscriminator(**common, time_conditioning="project", concat_res=c["concat_res"])
    generator.load_state_dict(renamed(vectors.state("G")))
    discriminator.load_state_dict(renamed(vectors.state("D")))
    return vectors, generator.eval().to(device), discriminator.eval().to(device)


def as_frames(strip):
    return unpack_strip(strip).flatten(0, 1)


def test_stylegan_v_motion_and_styles(video_case):
    v, generator, _ = video_case
    ws = generator.mapping(v["z"], v["c"], t=v["t"], motion_z=v["motion_z"])
    assert relative_error(ws[:, : generator.num_ws], v["ws"]) < TOLERANCE
    assert relative_error(ws[:, generator.num_ws :].flatten(0, 1), v["motion_v"]) < TOLERANCE


@pytest.mark.quick
def test_stylegan_v_frames(video_case):
    v, generator, _ = video_case
    strip = generator(v["z"], v["c"], t=v["t"], motion_z=v["motion_z"])
    assert relative_error(as_frames(strip), v["img"]) < TOLERANCE
    label = torch.cat([v["c"], v["t"]], dim=1)
    strip = generator(v["z"], label, truncation_psi=0.7, motion_z=v["motion_z"])
    assert relative_error(as_frames(strip), v["img_psi07"]) < TOLERANCE


def test_stylegan_v_logits_and_r1(video_case):
    v, _, discriminator = video_case
    num_frames = v.config["F"]
    strip = pack_strip(v["d_x"].unflatten(0, (-1, num_frames))).requires_grad_()
    logits = discriminator(strip, torch.cat([v["c"], v["d_t"]], dim=1))
    assert relative_error(logits[:, 0], v["d_logits"]) < TOLERANCE

    (gradient,) = torch.autograd.grad(logits.sum(), strip, create_graph=True)
    r1 = gradient.square().sum([1, 2, 3]).mean() / num_frames
    assert relative_error(r1, v["r1"]) < TOLERANCE
    discriminator.zero_grad()
    r1.backward()
    parameters = dict(discriminator.named_parameters())
    largest = float(v["r1_grad_norms"].max())
    for name, norm in zip(v.arrays["r1_grad_names"].tolist(), v["r1_grad_norms"].tolist(), strict=True):
        gradient = parameters[name.replace("time_encoder.const_embed", "time.embed")].grad
        ours = 0.0 if gradient is None else float(gradient.norm())
        assert ours == pytest.approx(norm, rel=1e-3, abs=1e-5 * largest), name


@pytest.fixture(params=["stylegan2_32", "stylegan2_64_c3"])
def image_case(request, golden, device):
    vectors = golden(request.param, device)
    c = vectors.config
    common = dict(
        img_resolution=c["res"], img_channels=3, channel_base=c["cbase"], channel_max=c["cmax"], num_fp16_res=0
    )
    mapping = {"num_layers": c["mapping_layers"]}
    return vectors, common, dict(z_dim=c["z_dim"], w_dim=c["w_dim"], mapping_kwargs=mapping, use_noise=True)


def test_one_frame_is_stylegan2(image_case):
    v, common, extra = image_case
    c_dim = v.config["c_dim"] + 1
    generator = VideoGenerator(c_dim, num_frames=1, **common, **extra).eval().to(v.device)
    generator.load_state_dict(v.state("G"))
    label = torch.cat([v["c"], torch.zeros(4, 1, device=v.device)], dim=1)
    for mode in ("const", "none"):
        assert relative_error(generator(v["z"], label, noise_mode=mode), v[f"img_{mode}"]) < TOLERANCE
    cut = generator(v["z"], label, truncation_psi=0.5, truncation_cutoff=4, noise_mode="const")
    assert relative_error(cut, v["img_psi05_cut4_const"]) < TOLERANCE
    assert relative_error(generator.mapping(v["z"], label), v["ws"]) < TOLERANCE

    discriminator = TimeConditionedDiscriminator(c_dim, num_frames=1, mapping_kwargs={"num_layers": 8}, **common)
    discriminator.load_state_dict(v.state("D"))
    discriminator.to(v.device)
    assert relative_error(discriminator(v["d_x"], label), v["d_logits"]) < TOLERANCE


def test_every_frame_of_an_image_initialised_generator_is_the_image(image_case):
    v, common, extra = image_case
    motion = dict(z_dim=16, code_dim=16)
    generator = VideoGenerator(v.config["c_dim"] + 3, num_frames=3, motion_kwargs=motion, **common, **extra).eval()
    report = transfer(generator, v.state("G"))
    assert not report.misfits and not report.unused
    assert report.new and all(name.startswith("mapping.motion.") for name in report.new)
    generator.to(v.device)
    t = torch.tensor([[0.0, 7.5, 900.0]]).expand(4, -1)
    frames = unpack_strip(generator(v["z"], v["c"], t=t.to(v.device), noise_mode="const"))
    for frame in range(3):
        assert relative_error(frames[:, frame], v["img_const"]) < TOLERANCE


def test_image_weights_of_another_shape_are_told(image_case):
    v, common, extra = image_case
    other = VideoGenerator(v.config["c_dim"] + 2, num_frames=2, **{**common, "channel_max": 16}, **extra)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    report = transfer(other, {**v.state("G"), "no.such": torch.zeros(1)})
    assert report.unused == ["no.such"] and "mapping.fc0.weight" in report.copied
    there, here = report.misfits["synthesis.b8.conv1.weight"]
    assert there[0] == 32 and here[0] == 16
    for name in [*report.misfits, *report.new]:
        assert torch.equal(other.state_dict()[name], before[name]), name
    assert "b8" in report.table("From images:") and "not copied" in report.table("From images:")


@pytest.mark.parametrize("name", ["stylegan3_t_32", "stylegan3_r_32_c2"])
def test_stylegan3_images(golden, name, device):
    v = golden(name, device)
    c = v.config
    layer_kwargs = {key: c[key] for key in ("conv_kernel", "use_radial_filters") if key in c}
    generator = AliasFreeGenerator(
        c["z_dim"], c["c_dim"], c["w_dim"], c["res"], 3, mapping_kwargs={"num_layers": c["mapping_layers"]},
        num_layers=c["num_layers"], channel_base=c["channel_base"], channel_max=c["channel_max"], num_fp16_res=0,
        **layer_kwargs,
    ).eval().to(device)  # fmt: skip
    state = v.state("G")
    for key, own in generator.state_dict().items():
        if key.endswith("_filter"):  # designed here, stored there
            assert relative_error(own, state[key]) < TOLERANCE
    generator.load_state_dict(state)
    assert relative_error(generator.mapping(v["z"], v["c"]), v["ws"]) < TOLERANCE
    assert relative_error(generator(v["z"], v["c"]), v["img"]) < TOLERANCE
    generator.synthesis.input.transform.copy_(v["transform"])
    assert relative_error(generator(v["z"], v["c"]), v["img_transformed"]) < TOLERANCE
