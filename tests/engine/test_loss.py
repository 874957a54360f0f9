"""Losses and their gradients against plain formulas."""

import copy
import functools

import pytest
import torch
import torch.nn.functional as F

from stylegan_v_ext.config.augmentations import AUGMENTATIONS
from stylegan_v_ext.engine.augment import AugmentPipe
from stylegan_v_ext.engine.loss import StyleGAN2Loss
from stylegan_v_ext.networks import discriminator_blocks as discriminator_module
from stylegan_v_ext.networks import precision, synthesis
from torch_utils import training_stats
from torch_utils.ops import conv2d_ending

C = torch.tensor([[0.0, 4.0, 9.0]]).expand(4, -1)
RESOLUTION = {"cpu": 16, "cuda": 32}


@pytest.fixture
def networks(make_generator, make_discriminator):
    generator, discriminator = make_generator(), make_discriminator()
    return generator.requires_grad_(False), discriminator.requires_grad_(False)


def make_loss(networks, **kwargs):
    return StyleGAN2Loss(networks[0].synthesis.b4.const.device, *networks, **kwargs)


def gradients(network):
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def gradients_by_step(networks, z, strip, **kwargs):
    """Gradients on the CPU by name, for each of the four steps; the steps draw the same numbers every time."""
    found = {}
    for step in ("generator", "discriminator", "r1", "path_length"):
        loss = make_loss(networks, pl_weight=2.0, **kwargs)
        loss.augment_p = 0.6
        for network in networks:
            network.zero_grad()
        torch.manual_seed(3)
        {
            "generator": lambda loss=loss: loss.generator_step(z, C),
            "discriminator": lambda loss=loss: loss.discriminator_step(strip, C, z, C),
            "r1": lambda loss=loss: loss.r1_step(strip, C),
            "path_length": lambda loss=loss: loss.path_length_step(z, C),
        }[step]()
        found[step] = {f"{i}.{name}": g.cpu() for i in range(2) for name, g in gradients(networks[i]).items()}
    return found


def flat(gradients):
    return torch.cat([g.flatten() for g in gradients.values()])


@pytest.fixture
def draws_from_the_cpu(monkeypatch):
    """Normal noise is drawn on the CPU, so that it is the same on every device."""
    randn = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *size, device=None, **kwargs: randn(*size, **kwargs).to(device or "cpu"))
    monkeypatch.setattr(torch, "randn_like", lambda x: randn(x.shape).to(x))


def test_generator_step_is_the_non_saturating_loss(networks):
    generator, discriminator = networks
    generator.eval()  # fixed motion noise
    z = torch.randn(4, generator.z_dim)
    make_loss(networks).generator_step(z, C, gain=0.5)
    ours = gradients(generator)
    generator.zero_grad()
    generator.requires_grad_(True)
    (0.5 * -torch.log(torch.sigmoid(discriminator(generator(z, C), C))).mean()).backward()
    assert ours.keys() == gradients(generator).keys() and ours
    for name, gradient in gradients(generator).items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-6), name
    assert not gradients(discriminator)


def test_discriminator_step_is_the_logistic_loss(networks):
    generator, discriminator = networks
    generator.eval()
    z, real = torch.randn(4, generator.z_dim), torch.randn(4, 3, 48, 16)
    make_loss(networks).discriminator_step(real, C, z, C)
    ours = gradients(discriminator)
    discriminator.zero_grad()
    discriminator.requires_grad_(True)
    loss = F.softplus(discriminator(generator(z, C), C)).mean() + F.softplus(-discriminator(real, C)).mean()
    loss.backward()
    for name, gradient in gradients(discriminator).items():
        assert torch.allclose(ours[name], gradient, rtol=1e-3, atol=1e-6), name
    assert not gradients(generator)


def test_r1_step_is_half_gamma_times_the_squared_gradient(networks):
    _, discriminator = networks
    real = torch.randn(4, 3, 48, 16)
    make_loss(networks, r1_gamma=3.0).r1_step(real, C)
    ours = gradients(discriminator)
    discriminator.zero_grad()
    discriminator.requires_grad_(True)
    x = real.clone().requires_grad_()
    (g,) = torch.autograd.grad(discriminator(x, C).sum(), x, create_graph=True)
    (1.5 * g.square().sum([1, 2, 3]).mean()).backward()
    for name, gradient in gradients(discriminator).items():
        assert torch.allclose(ours[name], gradient, rtol=1e-4, atol=1e-7), name


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")  # the compiler's own
def test_compiled_steps_give_the_same_gradients(networks, monkeypatch):
    """All four steps, though a compiled graph has no second derivatives."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager", fullgraph=True))
    generator, discriminator = networks
    generator.eval()
    z, real = torch.randn(4, generator.z_dim), torch.randn(4, 3, 48, 16)
    results = []
    for compiled in (True, False):
        loss = make_loss(networks, r1_gamma=1.0, pl_weight=2.0, compiled=compiled)
        for network in networks:
            network.zero_grad()
        for _ in range(2):
            torch.manual_seed(0)
            losses = [loss.generator_step(z, C), loss.discriminator_step(real, C, z, C), loss.r1_step(real, C)]
            losses.append(loss.path_length_step(z, C))
        results.append((losses, gradients(generator) | gradients(discriminator)))
    (ours, our_gradients), (expected, expected_gradients) = results
    for a, b in zip(ours, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-5)
    assert our_gradients.keys() == expected_gradients.keys() and our_gradients
    for name, gradient in expected_gradients.items():
        assert torch.allclose(our_gradients[name], gradient, rtol=1e-3, atol=1e-6), name


def test_a_compiler_that_does_not_work_is_named(networks, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("Dynamo is not supported on Python 9\nmore")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(ValueError, match=r"on cpu \(Dynamo is not supported on Python 9\).*leave --compile out"):
        make_loss(networks, compiled=True)


def test_rounds_of_accumulation_add_up(make_generator, make_discriminator):
    """Without minibatch statistics, halves of a batch give the gradient of the whole."""
    discriminator = make_discriminator(epilogue_kwargs={"mbstd_group_size": 1}).requires_grad_(False)
    loss = make_loss((make_generator(), discriminator), r1_gamma=1.0)
    real = torch.randn(4, 3, 48, 16)
    loss.r1_step(real, C)
    whole = gradients(discriminator)
    discriminator.zero_grad()
    for part in (real[:2], real[2:]):
        loss.r1_step(part, C[:2], gain=0.5)
    for name, gradient in gradients(discriminator).items():
        assert torch.allclose(whole[name], gradient, rtol=1e-3, atol=1e-7), name


def test_path_length_moves_its_mean_and_reaches_the_generator(networks):
    generator, _ = networks
    loss = make_loss(networks, pl_weight=2.0)
    loss.path_length_step(torch.randn(4, generator.z_dim), C)
    assert float(loss.pl_mean) > 0
    assert all(torch.isfinite(g).all() for g in gradients(generator).values())
    assert "synthesis.b16.conv0.weight" in gradients(generator)


def test_style_mixing_takes_last_content_rows_and_no_motion(networks):
    generator, _ = networks
    generator.eval()
    z = torch.randn(4, generator.z_dim)
    plain = generator.mapping(z, C)
    mixed = make_loss(networks, style_mixing_prob=1.0)._ws(z, C)
    rows = generator.num_ws
    assert torch.equal(mixed[:, rows:], plain[:, rows:])
    changed = (mixed != plain).any(2)[:, :rows]
    assert not changed[:, 0].any() and changed[:, -1].all()
    assert (changed.int().diff(dim=1) >= 0).all()


def test_augmentation_stands_before_the_discriminator(networks):
    generator, _ = networks
    seen = []

    def augment(strip, p):
        seen.append((tuple(strip.shape), p))
        return strip

    loss = make_loss(networks, augment_pipe=augment)
    loss.augment_p = 0.25
    z, real = torch.randn(4, generator.z_dim), torch.randn(4, 3, 48, 16)
    loss.generator_step(z, C)
    loss.discriminator_step(real, C, z, C)
    loss.r1_step(real, C)
    assert seen == [((4, 3, 48, 16), 0.25)] * 4


def test_labels_stay_on_the_cpu_wherever_the_networks_are(make_generator, make_discriminator):
    """PyTorch's device without data refuses to mix with tensors of another, as a GPU would."""
    device = torch.device("meta")
    networks = [make_generator(num_classes=2, use_noise=True), make_discriminator(num_classes=2)]
    generator, discriminator = (network.requires_grad_(False).to(device) for network in networks)
    augment = AugmentPipe(**AUGMENTATIONS["bgcfnc"]).to(device)
    loss = StyleGAN2Loss(device, generator, discriminator, augment, style_mixing_prob=0.9, pl_weight=2.0)
    loss.augment_p = 1.0
    c = torch.cat([torch.eye(2)[[0, 1, 0, 1]], C], dim=1)
    z, real = torch.randn(4, 32, device=device), torch.randn(4, 3, 48, 16, device=device)
    with training_stats.recording(training_stats.Statistics()):  # nothing of this device is left to later tests
        loss.generator_step(z, c)
        loss.discriminator_step(real, c, z, c)
        loss.r1_step(real, c)
        loss.path_length_step(z, c)
    assert all(p.grad.device == device for p in discriminator.b8.parameters())


@pytest.mark.quick
def test_gradients_are_those_of_plain_passes_on_a_cpu(
    make_generator, make_discriminator, device, draws_from_the_cpu, monkeypatch
):
    """All four steps on the device, as they train, against a CPU without endings in the convolutions' passes."""
    resolution = RESOLUTION[device.type]
    generator = make_generator(img_resolution=resolution, use_noise=True)
    discriminator = make_discriminator(img_resolution=resolution)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith(("noise_strength", "bias")):
                parameter.normal_(std=0.3)
    z, strip = torch.randn(4, generator.z_dim), torch.rand(4, 3, 3 * resolution, resolution) * 2 - 1
    found, fused = [], conv2d_ending._types()
    for here in (torch.device("cpu"), device):
        networks = [copy.deepcopy(network).requires_grad_(False).to(here) for network in (generator, discriminator)]
        augment = AugmentPipe(**AUGMENTATIONS["bgcfnc"]).to(here)
        monkeypatch.setattr(conv2d_ending, "_types", lambda: fused if found else ())
        found.append(gradients_by_step(
            networks, z.to(here), strip.to(here), augment_pipe=augment, style_mixing_prob=0.9, r1_gamma=3.0
        ))  # fmt: skip
    expected, ours = found
    for step in expected:
        assert ours[step].keys() == expected[step].keys() and ours[step]
        largest = max(gradient.norm() for gradient in expected[step].values())
        for name, gradient in expected[step].items():
            error = (ours[step][name] - gradient).norm()
            assert error < 5e-3 * gradient.norm() + 5e-5 * largest, (step, name, error, gradient.norm(), largest)
        assert F.cosine_similarity(flat(ours[step]), flat(expected[step]), dim=0) > 1 - 1e-5, step


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 0.01), pytest.param(torch.bfloat16, 0.05, marks=pytest.mark.quick)]
)
def test_half_precision_stays_close_and_finite(
    make_generator, make_discriminator, monkeypatch, device, dtype, tolerance
):
    def working_dtype(device, use_fp16, force_fp32=False):
        return dtype if use_fp16 and not force_fp32 else torch.float32

    if (device.type, dtype) != ("cuda", torch.float16):  # which is what blocks compute in there
        for module in (synthesis, discriminator_module):
            monkeypatch.setattr(module, "working_dtype", working_dtype)
    mixed = dict(img_resolution=RESOLUTION[device.type], num_fp16_res=4, conv_clamp=256)
    generator, discriminator = make_generator(use_noise=True, **mixed).eval().to(device), make_discriminator(**mixed)
    discriminator.to(device)
    z = torch.randn(4, generator.z_dim, device=device)
    for clips in (4, 1):  # scaled activations, folded weights
        half, full = (generator(z[:clips], C[:clips], noise_mode="const", force_fp32=f) for f in (False, True))
        assert 0 < (half - full).abs().max() < tolerance * full.abs().max()
    strip = generator(z, C, noise_mode="const").detach()
    half, full = (discriminator(strip, C, force_fp32=force) for force in (False, True))
    assert 0 < (half - full).abs().max() < tolerance * full.abs().max()

    generator.train()
    loss = make_loss((generator.requires_grad_(False), discriminator.requires_grad_(False)), pl_weight=2.0)
    loss.generator_step(z, C)
    loss.discriminator_step(strip, C, z, C)
    loss.r1_step(strip, C)
    loss.path_length_step(z, C)
    assert all(torch.isfinite(g).all() for network in (generator, discriminator) for g in gradients(network).values())


def test_sixteen_bits_leave_the_direction_of_all_gradients(make_generator, make_discriminator, device):
    """bfloat16 on a CPU, float16 in the four highest resolutions on CUDA."""
    kwargs = dict(num_fp16_res=4, conv_clamp=256) if device.type == "cuda" else {}
    networks = [make(**kwargs).requires_grad_(False).to(device) for make in (make_generator, make_discriminator)]
    z, strip = torch.randn(4, networks[0].z_dim, device=device), torch.rand(4, 3, 48, 16, device=device) * 2 - 1
    found = []
    for wanted in (False, True):
        for module in (module for network in networks for module in network.modules()):
            if hasattr(module, "use_fp16"):
                module.use_fp16 = wanted
        with precision.bfloat16_on_cpu(wanted):
            found.append(gradients_by_step([network.eval() for network in networks], z, strip))
    for step in found[0]:
        full, half = (flat(gradients[step]) for gradients in found)
        assert 0.98 < F.cosine_similarity(full, half, dim=0) < 1 - 1e-7, step
        assert 0.9 < half.norm() / full.norm() < 1.1, step
