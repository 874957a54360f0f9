"""The discriminator's contract and conditioning."""

import pytest
import torch

from stylegan_v_ext.networks.discriminator_blocks import MinibatchStdLayer
from stylegan_v_ext.networks.modulation import modulated_conv2d
from stylegan_v_ext.strip import pack_strip, unpack_strip


def inputs(n=4, num_frames=3, num_classes=0):
    classes = torch.eye(max(num_classes, 1))[torch.arange(n) % max(num_classes, 1)][:, :num_classes]
    t = torch.rand(n, num_frames).cumsum(1) * 10
    return torch.randn(n, 3, num_frames * 16, 16), torch.cat([classes, t], dim=1)


@pytest.mark.parametrize("conditioning", ["modulate", "project"])
@pytest.mark.parametrize(("num_frames", "num_classes"), [(1, 0), (1, 2), (2, 0), (3, 2)])
def test_every_clip_has_one_logit_that_its_own_frames_times_and_class_decide(
    make_discriminator, conditioning, num_frames, num_classes
):
    alone = {"mbstd_num_channels": 0}  # without the layer that compares the clips of a batch
    network = make_discriminator(num_classes, num_frames, time_conditioning=conditioning, epilogue_kwargs=alone)
    strip, c = inputs(4, num_frames, num_classes)
    logits = network(strip, c)
    assert logits.shape == (4, 1)

    def changed(strip, c):
        """Which of the four logits differ from those above."""
        return ((network(strip, c) - logits).abs() > 1e-4)[:, 0].tolist()

    third = [False, False, True, False]
    for frame in range(num_frames):
        other = strip.clone()
        other[2, :, frame * 16 : (frame + 1) * 16] *= -1
        assert changed(other, c) == third, f"frame {frame}"
    if num_classes:
        other = c.clone()
        other[2, :num_classes] = c[1, :num_classes]
        assert changed(strip, other) == third
    later = c.clone()
    later[2, -1] += 30
    assert changed(strip, later) == (third if num_frames > 1 else [False] * 4)


def test_only_distances_between_frames_matter(make_discriminator):
    network = make_discriminator()
    strip, c = inputs()
    assert torch.allclose(network(strip, c), network(strip, c + 100), atol=1e-4)
    assert not torch.allclose(network(strip, c), network(strip, c * 5), atol=1e-4)


def test_order_of_frames_matters(make_discriminator):
    network = make_discriminator()
    strip, c = inputs()
    turned = pack_strip(unpack_strip(strip).flip(1))
    assert not torch.allclose(network(strip, c), network(turned, c), atol=1e-4)


def test_order_of_the_batch_does_not_matter(make_discriminator):
    network = make_discriminator(num_classes=2)
    strip, c = inputs(num_classes=2)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(network(strip, c)[order], network(strip[order], c[order]), atol=1e-5)


def test_distances_beyond_the_table_are_clamped(make_discriminator):
    network = make_discriminator(max_num_frames=64)
    strip, _ = inputs(1)
    assert torch.isfinite(network(strip, torch.tensor([[0.0, 5.0, 1e9]]))).all()


def test_modulation_reaches_conv0_of_every_block(make_discriminator):
    modulated, projected = (make_discriminator(time_conditioning=how) for how in ("modulate", "project"))
    extra = set(modulated.state_dict()) - set(projected.state_dict())
    assert extra == {f"b{res}.conv0.affine.{part}" for res in (16, 8) for part in ("weight", "bias")}
    assert torch.equal(modulated.b8.conv0.affine.bias, torch.ones_like(modulated.b8.conv0.affine.bias))


def test_modulated_convolution_equals_its_definition():
    n, frames = 3, 2
    x = torch.randn(n * frames, 4, 6, 6, dtype=torch.float64)
    weight, styles = torch.randn(5, 4, 3, 3), torch.randn(n, 4)
    ours = modulated_conv2d(x, weight, styles, padding=1)
    for i in range(n):
        w = weight * styles[i, :, None, None]
        w = w / (w.square().sum([1, 2, 3], keepdim=True) + 1e-8).sqrt()
        expected = torch.nn.functional.conv2d(x[i * frames : (i + 1) * frames], w.double(), padding=1)
        assert torch.allclose(ours[i * frames : (i + 1) * frames], expected, atol=1e-5)
    with pytest.raises(ValueError, match="do not divide"):
        modulated_conv2d(x[:5], weight, styles)


def test_frozen_layers_are_buffers_counted_from_the_image(make_discriminator):
    network = make_discriminator(block_kwargs={"freeze_layers": 5}).requires_grad_(True)
    names = {name.rsplit(".", 1)[0] for name, _ in network.named_parameters()}
    assert not any(name.startswith(("b16.", "b8.conv0")) for name in names)
    assert {"b8.conv1", "b8.skip", "b4.conv"} < names
    assert set(network.state_dict()) == set(make_discriminator().state_dict())


@pytest.mark.parametrize("resolution", [8, 16, 64])
def test_the_option_freezes_as_many_layers_as_there_are_and_no_more(make_discriminator, resolution):
    from stylegan_v_ext.config.build import _check_freezed

    layers = 3 * len(range(3, resolution.bit_length())) + 1
    with pytest.raises(ValueError, match=rf"--freezed={layers + 1}: .* {layers} layers to freeze; use 0 to {layers}"):
        _check_freezed(layers + 1, resolution)
    for freezed, learns in ((layers, False), (layers - 1, True)):
        _check_freezed(freezed, resolution)
        network = make_discriminator(img_resolution=resolution, block_kwargs={"freeze_layers": freezed})
        assert ("b8.skip.weight" in dict(network.named_parameters())) == learns


def test_first_image_model_is_stylegan2(make_discriminator):
    network = make_discriminator(num_frames=1)
    assert network.mapping is None and network.b4.out.weight.shape[0] == 1
    assert not any(name.startswith(("time.", "mapping.")) for name in network.state_dict())


def test_halved_channels_and_concatenation(make_discriminator):
    network = make_discriminator(num_frames=3)
    assert network.concat_res == 8
    assert network.b16.conv1.weight.shape[0] == 16 // 2
    assert network.b8.conv0.weight.shape[1] == 3 * 16 // 2


def test_r1_reaches_every_parameter(make_discriminator):
    network = make_discriminator(num_classes=2)
    strip, c = inputs(num_classes=2)
    (gradient,) = torch.autograd.grad(network(strip.requires_grad_(), c).sum(), strip, create_graph=True)
    gradient.square().sum().backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    assert without <= {"b4.out.bias"}


def test_wrong_strips_are_refused(make_discriminator):
    with pytest.raises(ValueError, match="does not hold 3"):
        make_discriminator()(torch.zeros(1, 3, 32, 16), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="not one of"):
        make_discriminator(time_conditioning="wave")


def test_minibatch_std_takes_any_batch():
    layer = MinibatchStdLayer(4)
    for n in (1, 2, 5, 6, 8):
        assert layer(torch.randn(n, 4, 2, 2)).shape == (n, 5, 2, 2)
    same = torch.ones(4, 2, 2, 2)
    assert layer(same)[:, 2].abs().max() < 1e-3
