"""Layer swapping: shares by position, exactness of what is taken and left, and what is refused."""

import math

import pytest
import torch

from stylegan_v_ext.checkpoints import NetworkData
from stylegan_v_ext.checkpoints.transfer import transfer
from stylegan_v_ext.editing.layer_range import LayerRange, coarse_layers, fine_layers
from stylegan_v_ext.editing.layer_swap import ImageSource, blend_networks


@pytest.fixture
def image(make_generator):
    """An image model as data."""
    return NetworkData.of(make_generator(num_frames=1, use_noise=True).eval())


@pytest.fixture
def tuned(image):
    """A relative of it: all weights moved a little."""
    state = {
        name: tensor if name.endswith("filter") else tensor + 0.1 * torch.randn_like(tensor)
        for name, tensor in image.state.items()
    }
    return NetworkData(image.class_name, image.kwargs, state)


@pytest.fixture
def video(image, make_generator):
    """A video model started from the image model, with motion of its own since."""
    G = make_generator(mapping_kwargs={"num_layers": 2}).eval()
    state = {name: tensor for name, tensor in image.state.items() if "noise" not in name}
    transfer(G, state)
    with torch.no_grad():
        G.synthesis.b4.conv1.weight[:, 16:].normal_()
    return NetworkData.of(G)


def names(network, resolutions):
    return [n for n in network.state if n.startswith("synthesis.") and int(n.split(".")[1][1:]) in resolutions]


# Shares.


def test_a_hard_step_takes_all_or_nothing():
    fine = fine_layers(16, 64)
    assert [fine.weight(position, 9) for position in range(10)] == [0] * 4 + [1] * 6
    coarse = coarse_layers(16)
    assert [coarse.weight(position, 9) for position in range(10)] == [1] * 4 + [0] * 6
    middle = LayerRange(8, 16)
    assert [middle.weight(position, 9) for position in range(10)] == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert LayerRange(4, 64).weight(0, 9) == 1


def test_a_soft_step_is_the_logistic_of_the_recipe():
    fine = fine_layers(16, 64, blend_width=1.5)
    for position in range(10):
        assert fine.weight(position, 9) == pytest.approx(1 / (1 + math.exp(-(position - 4) / 1.5)))
    coarse = coarse_layers(16, blend_width=1.5)
    for position in range(10):
        assert coarse.weight(position, 9) == pytest.approx(1 - fine.weight(position, 9))
    assert fine_layers(64, 64, 1e-4).weight(0, 9) < 1e-300  # no overflow


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LayerRange(12, 32), "12 is not a power of two"), (lambda: LayerRange(32, 16), "are none"),
        (lambda: LayerRange(4, 8, -1), "below 0"), (lambda: LayerRange(4, 8, math.nan), "no number"),
        (lambda: coarse_layers(4), "use a split from 8 on"),
    ],
)  # fmt: skip
def test_ranges_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Layers.


def test_layers_are_taken_and_left_exactly(video, tuned):
    result = blend_networks(video, [ImageSource("tuned", tuned, fine_layers(8, 16))]).network
    for name in names(video, {4}) + [n for n in video.state if n.startswith("mapping.")]:
        assert torch.equal(result.state[name], video.state[name]), name
    for name in names(video, {8, 16}):
        assert torch.equal(result.state[name], tuned.state[name]), name
    assert result.kwargs == video.kwargs


def test_coarse_layers_keep_the_motion_of_the_video_model(video, tuned):
    result = blend_networks(video, [ImageSource("tuned", tuned, coarse_layers(8))]).network
    name = "synthesis.b4.conv1.weight"
    channels = tuned.state[name].shape[1]
    assert torch.equal(result.state[name][:, :channels], tuned.state[name])
    assert torch.equal(result.state[name][:, channels:], video.state[name][:, channels:])
    for name in names(video, {8, 16}):
        assert torch.equal(result.state[name], video.state[name]), name


def test_a_swap_with_itself_changes_nothing(video, image):
    result = blend_networks(video, [ImageSource("same", image, LayerRange(8, 16, 0.7))])
    z, t = torch.randn(2, 32), torch.tensor([[0.0, 9.0, 500.0]]).expand(2, -1)
    ours, before = result.network.build(), video.build()
    assert (ours(z, None, t=t) - before(z, None, t=t)).abs().max() < 1e-5
    assert all(distance == 0 for layer in result.layers for distance in layer.distances)


def test_soft_layers_are_mixtures(video, tuned):
    layers = fine_layers(8, 16, blend_width=1)
    result = blend_networks(video, [ImageSource("tuned", tuned, layers)])
    for layer in result.layers:
        (y,) = layer.weights
        name = f"synthesis.{layer.name}" + ("" if layer.name.endswith("const") else ".weight")
        theirs, ours = tuned.state[name], video.state[name]
        if ours.shape == theirs.shape:
            assert torch.allclose(result.network.state[name], (1 - y) * ours + y * theirs, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_an_image_model_of_another_precision_is_blended(video, tuned, dtype):
    other = NetworkData(
        tuned.class_name, tuned.kwargs, {name: tensor.to(dtype) for name, tensor in tuned.state.items()}
    )
    result = blend_networks(video, [ImageSource("tuned", other, fine_layers(8, 16, blend_width=1))]).network
    assert all(tensor.dtype == torch.float32 for tensor in result.state.values())
    assert result.build() is not None


def test_several_image_models_have_their_own_ranges(video, image, tuned):
    shifted = NetworkData(tuned.class_name, tuned.kwargs, {k: 2 * v for k, v in tuned.state.items()})
    sources = [ImageSource("a", tuned, LayerRange(8, 8)), ImageSource("b", shifted, LayerRange(16, 16))]
    result = blend_networks(video, sources).network
    assert all(torch.equal(result.state[n], tuned.state[n]) for n in names(video, {8}))
    assert all(torch.equal(result.state[n], shifted.state[n]) for n in names(video, {16}) if "filter" not in n)


def test_the_mapping_is_the_chosen_ones(video, tuned):
    source = ImageSource("tuned", tuned, fine_layers(16, 16))
    result = blend_networks(video, [source], mapping="image").network
    for name, tensor in result.state.items():
        if name.startswith("mapping.motion."):
            assert torch.equal(tensor, video.state[name])
        elif name.startswith("mapping."):
            assert torch.equal(tensor, tuned.state[name])
    assert result.build() is not None


def test_all_layers_and_the_mapping_make_the_image_model_with_motion(video, tuned):
    """Where the motion weights are zero, every frame is the image model's image."""
    video.state["synthesis.b4.conv1.weight"][:, 16:] = 0
    source = ImageSource("tuned", tuned, LayerRange(4, 16))
    result = blend_networks(video, [source], mapping="image", noise="keep").network.build()
    z, t = torch.randn(2, 32), torch.tensor([[0.0, 700.0]]).expand(2, -1)
    strip = result(z, None, t=t, noise_mode="const")
    picture = tuned.build()(z, None, noise_mode="const")
    assert (strip[:, :, :16] - picture).abs().max() < 1e-5 and (strip[:, :, 16:] - picture).abs().max() < 1e-5


def test_noise_is_dropped_or_kept_and_said(video, tuned):
    source = ImageSource("tuned", tuned, fine_layers(16, 16))
    dropped = blend_networks(video, [source])
    assert not any("noise" in name for name in dropped.network.state)
    assert any("noise inputs of tuned are left out" in warning for warning in dropped.warnings)
    kept = blend_networks(video, [source], noise="keep")
    state = kept.network.state
    assert torch.equal(state["synthesis.b16.conv1.noise_const"], tuned.state["synthesis.b16.conv1.noise_const"])
    assert torch.equal(state["synthesis.b16.conv1.noise_strength"], tuned.state["synthesis.b16.conv1.noise_strength"])
    assert state["synthesis.b8.conv1.noise_strength"] == 0 and kept.network.build() is not None
    assert not kept.warnings


def test_ancestry_is_measured(video, tuned, make_generator):
    related = blend_networks(video, [ImageSource("tuned", tuned, fine_layers(8, 16))], noise="keep")
    assert not related.warnings
    assert all(0 < layer.distances[0] < 0.5 for layer in related.layers if layer.name.startswith("b16.conv"))
    torch.manual_seed(5)
    stranger = {n: torch.randn_like(t) if n.endswith("weight") else t for n, t in tuned.state.items()}
    source = ImageSource("stranger", NetworkData("VideoGenerator", tuned.kwargs, stranger), fine_layers(8, 16))
    result = blend_networks(video, [source], noise="keep")
    assert "share no ancestor" in result.warnings[0]
    assert all(layer.distances[0] > 1 for layer in result.layers if layer.name.startswith("b16.conv"))
    assert "b16.conv1" in result.table(["stranger"]) and "1.00" in result.table(["stranger"])


# Refusals.


def test_layers_that_do_not_fit_are_named_with_a_remedy(video, make_generator):
    wide = NetworkData.of(make_generator(num_frames=1, channel_max=24, channel_base=384))
    with pytest.raises(ValueError, match=r"do not fit, the first: synthesis\.b16.*--cbase=384") as caught:
        blend_networks(video, [ImageSource("wide", wide, fine_layers(16, 16))])
    assert "synthesis.b16.conv1.weight is [24, 24, 3, 3] in wide, [16, 16, 3, 3] here" in caught.value.misfits
    small = NetworkData.of(make_generator(num_frames=1, img_resolution=8))
    with pytest.raises(ValueError, match=r"synthesis\.b16\.conv0\.weight is not in small"):
        blend_networks(video, [ImageSource("small", small, fine_layers(16, 16))])
    assert blend_networks(video, [ImageSource("small", small, coarse_layers(16))]) is not None


def test_a_larger_image_model_lends_the_layers_both_have(video, make_generator):
    large = NetworkData.of(make_generator(num_frames=1, img_resolution=32, channel_base=512))
    result = blend_networks(video, [ImageSource("large", large, LayerRange(8, 16))])
    assert all(torch.equal(result.network.state[n], large.state[n]) for n in names(video, {8, 16}))


def test_models_of_the_wrong_kind_are_refused(video, image, make_generator):
    cases = [
        (image, image, {}, "makes no videos"), (video, video, {}, "is no StyleGAN2 image generator"),
        (video, image, {"mapping": "both"}, "is not one of"),
        (video, NetworkData.of(make_generator(num_frames=1, w_dim=16)), {}, "w of 16 values"),
        (video, NetworkData.of(make_generator(num_classes=2, num_frames=1)), {"mapping": "image"}, "classes: 2 there"),
        (video, NetworkData.of(make_generator(num_frames=1, z_dim=8)), {"mapping": "image"}, "latents of 8 there"),
    ]  # fmt: skip
    for base, source, options, message in cases:
        with pytest.raises(ValueError, match=message):
            blend_networks(base, [ImageSource("other", source, fine_layers(8, 16))], **options)
    with pytest.raises(ValueError, match="ends at 16 px"):
        blend_networks(video, [ImageSource("image", image, LayerRange(32, 32))])
    with pytest.raises(ValueError, match="no image model"):
        blend_networks(video, [])
