"""What a network takes over from one with other classes, another resolution or no motion, by its outputs."""

import pytest
import torch

from stylegan_v_ext.checkpoints import load, save_snapshot
from stylegan_v_ext.checkpoints.transfer import load_networks, transfer
from stylegan_v_ext.strip import unpack_strip
from tests.conftest import relative_error

T = torch.tensor([[0.0, 7.5, 40.0]])


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def moved(source, target):
    """The report, and the target in eval mode."""
    return transfer(target, source.state_dict(), source.num_classes), target.eval()


def labels(num_classes, count):
    return torch.eye(max(num_classes, 1))[torch.arange(count) % max(num_classes, 1), :num_classes]


def without_class_channels(network):
    """The network with weights of 0 for all channels of classes, whose embedding stays."""
    if hasattr(network, "synthesis"):
        network.mapping.fc0.weight[:, network.z_dim :] = 0
        if network.mapping.motion is not None:
            network.mapping.motion.conv0.weight[:, network.mapping.motion.z_dim :] = 0
    else:
        network.mapping.embed.weight[:, : network.num_classes] = 0
    return network.eval()


def test_a_model_without_classes_makes_the_same_videos_for_every_class_at_first(make_generator):
    old, z = make_generator(0).eval(), torch.randn(4, 32)
    report, new = moved(old, make_generator(4))
    assert {"mapping.fc0.weight", "mapping.motion.conv0.weight"} == set(report.fitted)
    assert {"mapping.embed.weight", "mapping.embed.bias"} == set(report.new) and not report.misfits
    assert report.notes == ["mapping.embed starts anew: the model there has no classes, this training 4 classes"]
    expected = old(z, None, t=T.expand(4, -1), motion_seeds=[1, 2, 3, 4])
    assert relative_error(new(z, labels(4, 4), t=T.expand(4, -1), motion_seeds=[1, 2, 3, 4]), expected) < 1e-5


@pytest.mark.parametrize("here", [0, 5])
def test_a_model_of_classes_keeps_all_but_their_embedding(make_generator, here):
    old, z = make_generator(3), torch.randn(4, 32)
    fresh = make_generator(here)
    embed = {name: t.clone() for name, t in fresh.state_dict().items() if name.startswith("mapping.embed.")}
    report, new = moved(old, fresh)
    assert not report.misfits and report.notes[0].endswith(
        f"the model there has 3 classes, this training {'5 classes' if here else 'no classes'}"
    )
    assert all(torch.equal(new.state_dict()[name], tensor) for name, tensor in embed.items())
    ours, theirs = new.state_dict(), old.state_dict()
    same = [name for name in theirs if name.startswith(("synthesis.", "mapping.fc1"))]
    assert len(same) > 20 and all(torch.equal(ours[name], theirs[name]) for name in same)
    assert set(report.new) == set(embed) and len(report.copied) + len(report.fitted) + len(embed) == len(ours)
    if here:  # the layer after the embedding has as many channels, and stays
        assert torch.equal(ours["mapping.fc0.weight"], theirs["mapping.fc0.weight"])
        assert report.fitted == ["mapping.motion.conv0.weight"]
    else:
        expected = without_class_channels(old).mapping.map(z, labels(3, 4))
        assert relative_error(new.mapping.map(z, None), expected) < 1e-5
    motion = without_class_channels(old).mapping.motion_rows(T.expand(4, -1).double(), labels(3, 4), [1, 2, 3, 4])
    rows = new.mapping.motion_rows(T.expand(4, -1).double(), labels(here, 4), [1, 2, 3, 4])
    assert relative_error(rows, motion) < 1e-5


@pytest.mark.parametrize(("there", "here"), [(0, 4), (3, 5), (5, 3), (3, 0)])
def test_a_discriminator_judges_as_before_without_looking_at_classes(make_discriminator, there, here):
    old, strip = make_discriminator(there), torch.randn(4, 3, 48, 16)
    report, new = moved(old, make_discriminator(here))
    assert report.fitted == ["mapping.embed.weight"] and not report.misfits and not report.new
    expected = without_class_channels(old)(strip, torch.cat([labels(there, 4), T.expand(4, -1)], dim=1))
    assert relative_error(new(strip, torch.cat([labels(here, 4), T.expand(4, -1)], dim=1)), expected) < 1e-4


@pytest.mark.parametrize(("there", "here"), [(0, 4), (3, 5), (3, 0)])
def test_image_discriminators_keep_what_knows_no_classes(make_discriminator, there, here):
    old, fresh = make_discriminator(there, num_frames=1), make_discriminator(here, num_frames=1)
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    report, new = moved(old, fresh)
    ours, theirs = new.state_dict(), old.state_dict()
    assert torch.equal(ours["b16.conv0.weight"], theirs["b16.conv0.weight"]) and torch.equal(
        ours["b4.fc.weight"], theirs["b4.fc.weight"]
    )
    for name in [*report.new, *report.misfits]:
        assert name.startswith(("mapping.", "b4.out.")) and torch.equal(ours[name], before[name])
    assert here == 0 or "mapping.embed.weight" in report.new


def test_an_image_model_of_classes_starts_a_video_model_of_others(make_generator):
    old, z = make_generator(3, num_frames=1).eval(), torch.randn(2, 32)
    report, new = moved(old, make_generator(0))
    assert not report.misfits and "synthesis.b4.conv1.weight" in report.extended
    w = without_class_channels(old).mapping(z, labels(3, 2))
    expected = old.synthesis(w, noise_mode="const")
    frames = unpack_strip(new(z, None, t=T.expand(2, -1), noise_mode="const"))
    assert all(relative_error(frames[:, i], expected) < 1e-4 for i in range(3))


def test_a_video_model_starts_an_image_model_without_its_motion(make_generator):
    old, new = make_generator(0), make_generator(0, num_frames=1)
    report, new = moved(old, new)
    assert len(report.fitted) == 3 and not report.misfits and not report.new
    old.synthesis.b4.conv1.weight[:, old.synthesis.b4.const.shape[0] :] = 0
    z = torch.randn(2, 32)
    still = unpack_strip(old.eval()(z, None, t=T.expand(2, -1)))[:, 0]
    assert relative_error(new(z, None), still) < 1e-4


def test_another_resolution_keeps_the_blocks_that_both_have(make_generator, make_discriminator):
    report, _ = moved(make_generator(0), make_generator(0, img_resolution=32))
    assert not report.misfits and {name.split(".")[1] for name in report.new} == {"b32"}
    report, _ = moved(make_discriminator(0, img_resolution=32), make_discriminator(0, img_resolution=64))
    assert "b32.conv1.weight" in report.copied and "b8.conv0.weight" in report.copied and not report.misfits
    assert all(name.startswith("b64.") for name in report.new)
    assert report.unused and all(name.startswith("b32.fromrgb") for name in report.unused)


def test_other_latents_keep_what_does_not_depend_on_them_and_are_told(make_generator):
    report, _ = moved(make_generator(3), make_generator(5, z_dim=16))
    assert report.misfits == {"mapping.fc0.weight": ([32, 64], [32, 48])}
    assert "mapping.fc0.weight" not in report.fitted and "fc0.weight is [32, 64] there, [32, 48] here" in report.table(
        ""
    )


def save(path, G, D):
    save_snapshot(path, dict(G=G, D=D, G_ema=G, augment_pipe=None, training_set_kwargs={}))
    return load(path)


def test_all_that_fits_is_one_line_and_all_else_a_table(make_generator, make_discriminator, tmp_path):
    source = save(tmp_path / "a.pkl", make_generator(3), make_discriminator(3))
    text = load_networks(source, make_generator(3), make_discriminator(3), make_generator(3))
    assert text == f"Networks from {tmp_path}/a.pkl (stylegan_v_ext snapshot)"
    G, G_ema = make_generator(5), make_generator(5)
    text = load_networks(source, G, make_discriminator(5), G_ema)
    assert "  mapping.embed starts anew: the model there has 3 classes, this training 5 classes" in text.splitlines()
    assert "1 fitted, all but the channels of classes" in text
    assert all(torch.equal(t, G_ema.state_dict()[name]) for name, t in G.state_dict().items())
    text = load_networks(
        source, make_generator(3, channel_max=8), make_discriminator(3), make_generator(3, channel_max=8)
    )
    assert "no convolution fits: leave out --cbase, --cmax and --latent-dim" in text
