"""Text-guided editing with a CLIP of random weights: similarities rise, edits hold for all times."""

import copy

import numpy as np
import pytest
import torch

from stylegan_v_ext.editing import descent
from stylegan_v_ext.editing.style_space import bake, shifted_styles, style_layers, style_spread
from stylegan_v_ext.editing.text_directions import RelevanceMeter, load_relevance, measure_relevance, save_relevance
from stylegan_v_ext.editing.text_image import load_encoder
from stylegan_v_ext.editing.text_latent import TextEditOptions, TextEditor
from stylegan_v_ext.generate.latents import VideoLatents
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from tests.editing.tiny_clip import SIDE, write_tiny_clip

CPU = torch.device("cpu")
FIRST = VideoName(0)
PROMPTS = ["a smiling face", "a sunset", "an old man", "storm clouds", "a red ball", "winter", "a city at night",
           "a cat", "oil painting", "bright daylight"]  # fmt: skip


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    pytest.importorskip("transformers")
    return write_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def encoder(clip_folder):
    return load_encoder(str(clip_folder), CPU)


@pytest.fixture
def sampler(make_generator):
    return VideoSampler(make_generator().requires_grad_(False), CPU)


def editor(sampler, encoder, prompt="a sunset", neutral=None, source=FIRST, **options):
    return TextEditor(sampler, source, np.arange(16), encoder, prompt, neutral, TextEditOptions(**options))


def run(found):
    while not found.done:
        found.step()
    return found


def test_embeddings_are_unit_vectors_of_any_frame_size(encoder):
    for side in (16, SIDE, 100):
        found = encoder.images(torch.rand(2, 3, side, side) * 2 - 1)
        assert found.shape == (2, 24) and torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-5)
    texts = encoder.texts(["a", "b", "a very long text " * 40])
    assert texts.shape == (3, 24) and torch.allclose(texts.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(encoder.direction("a cat", "a dog"), -encoder.direction("a dog", "a cat"), atol=1e-6)


def test_frames_are_normalised_as_the_model_expects(encoder, clip_folder):
    """Against transformers' own path on pixels that need no resizing."""
    frames = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.48, 0.46, 0.41], [0.27, 0.26, 0.28]))
    pixels = ((frames + 1) / 2 - mean) / std
    features = encoder.model.get_image_features(pixel_values=pixels)
    features = getattr(features, "pooler_output", features)
    expected = torch.nn.functional.normalize(features, dim=1)
    assert torch.allclose(encoder.images(frames), expected, atol=1e-5)


def test_a_prompt_that_says_nothing_new_is_refused(encoder):
    with pytest.raises(ValueError, match="say the same"):
        encoder.direction("a cat", "a cat")


def test_a_model_that_is_not_there_is_named(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match="could not be opened"):
        load_encoder(str(tmp_path / "none"), CPU)


def test_opening_a_model_leaves_the_messages_of_its_package_as_they_were(clip_folder):
    from transformers.utils import logging

    before = logging.get_verbosity()
    try:
        logging.set_verbosity_debug()
        load_encoder(str(clip_folder), CPU)
        assert logging.get_verbosity() == logging.DEBUG and logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity(before)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_descent_raises_the_similarity_to_a_prompt(trained, encoder, prompt):
    found = run(editor(VideoSampler(trained, CPU), encoder, prompt, num_steps=12))
    before, after = found.similarities()
    assert after > before


def test_an_edit_is_the_same_at_all_times(sampler, encoder):
    """One w for the clip: the edited video differs from the old one by content alone."""
    found = run(editor(sampler, encoder, num_steps=5))
    latents = found.latents()
    assert latents.w.shape == (1, 6, 32) and not torch.equal(latents.w, sampler.content(VideoName(0)))
    times = torch.tensor([0.0, 3.5, 5000.0], dtype=torch.float64)
    assert torch.equal(sampler.motion(latents)(times), sampler.motion(VideoName(0))(times))
    frames = list(sampler.frames(latents, times.tolist()))
    alone = [next(iter(sampler.frames(latents, [time]))) for time in times.tolist()]
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(frames, alone, strict=True))


def test_regularisers_hold_an_edit_back(sampler, encoder):
    def change(**weights):
        found = run(editor(sampler, encoder, num_steps=20, **weights))
        with torch.no_grad():
            old, new = (sampler.synthesize(w, found.motion) for w in (found.before, found.w))
        return float((found.w.detach() - found.before).square().mean()), float((new - old).abs().mean())

    free = change(w_reg=0, identity=0, locality=0)
    assert change(w_reg=10, identity=0, locality=0)[0] < 0.5 * free[0]
    assert change(w_reg=0, identity=10, locality=0)[1] < 0.8 * free[1]
    assert change(w_reg=0, identity=0, locality=10)[1] < 0.8 * free[1]


def test_a_neutral_text_is_moved_away_from(sampler, encoder):
    found = run(editor(sampler, encoder, "a sunset", "a cat", num_steps=20))
    with torch.no_grad():
        scores = [
            float((encoder.images(sampler.synthesize(w, found.motion)) @ found.texts.mT).mean(0).diff())
            for w in (found.before, found.w)
        ]
    assert scores[1] < scores[0], "second text less first"


def test_an_edit_of_a_projection_keeps_its_motion(sampler, encoder):
    source = VideoLatents(sampler.content(VideoName(1)).clone(), torch.randn(23, 24).double(), 0, 5, np.arange(8.0))
    found = run(editor(sampler, encoder, source=source, num_steps=3)).latents()
    assert torch.equal(found.motion, source.motion) and found.motion_seed == 5
    assert found.settings["prompt"] == "a sunset"


def test_an_edit_that_was_stopped_goes_on_bit_for_bit(sampler, encoder, tmp_path):
    whole = run(editor(sampler, encoder, num_steps=8))
    first = editor(sampler, encoder, num_steps=8)
    for _ in range(3):
        first.step()
    descent.save(first, tmp_path / "s", "p")
    second = editor(sampler, encoder, num_steps=8)
    descent.run(second, tmp_path / "s", "p")
    assert torch.equal(second.w, whole.w)


def strip(sampler, name=FIRST):
    with torch.no_grad():
        return torch.cat(list(sampler.strips(sampler.scene(name), frame_times(3))))


def test_style_layers_cover_all_content_channels_of_convolutions(sampler):
    layers = style_layers(sampler.generator)
    assert [layer.name for layer in layers] == ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
    assert [layer.row for layer in layers] == [0, 1, 2, 3, 4]
    assert all(a.stop == b.start for a, b in zip(layers, layers[1:], strict=False))
    assert layers[0].stop == 16, "of 48 input channels, 32 are motion's"


def test_baked_offsets_are_shifted_styles(sampler):
    offsets = torch.randn(style_layers(sampler.generator)[-1].stop)
    with shifted_styles(sampler.generator, offsets):
        shifted = strip(sampler)
    plain = strip(sampler)
    edited = copy.deepcopy(sampler.generator)
    bake(edited, offsets)
    assert (shifted - plain).abs().max() > 1e-2
    assert torch.allclose(strip(VideoSampler(edited, CPU)), shifted, atol=1e-4)
    bake(edited, -offsets)
    assert torch.allclose(strip(VideoSampler(edited, CPU)), plain, atol=1e-4)


def test_clips_of_a_batch_can_have_shifts_of_their_own(sampler):
    content = sampler.content(VideoName(0)).repeat(2, 1, 1)
    motion = sampler.motion(VideoName(0))(torch.zeros(2, dtype=torch.float64)).float()
    offsets = torch.zeros(2, style_layers(sampler.generator)[-1].stop)
    offsets[1, 20] = 3.0
    with torch.no_grad(), shifted_styles(sampler.generator, offsets):
        frames = sampler.synthesize(content, motion)
    with torch.no_grad(), shifted_styles(sampler.generator, offsets[1]):
        alone = sampler.synthesize(content[:1], motion[:1])
    assert torch.allclose(frames[:1], strip(sampler)[:1], atol=1e-5) and torch.allclose(frames[1:], alone, atol=1e-5)


def test_spread_is_that_of_the_styles(sampler):
    ws = torch.randn(50, 6, 32)
    spread = style_spread(sampler.generator, ws)
    affine = sampler.generator.synthesis.b8.conv1.affine
    layer = style_layers(sampler.generator)[2]
    assert torch.allclose(spread[layer.start : layer.stop], affine(ws[:, 2]).std(0), atol=1e-6)


@pytest.fixture
def relevance(sampler, encoder):
    return run(RelevanceMeter(sampler, encoder, num_images=4)).result()


def test_relevance_is_the_change_that_a_channel_makes(sampler, encoder, relevance):
    meter = RelevanceMeter(sampler, encoder, num_images=4)
    channel, seen = 30, []
    for sign in (1, -1):
        offsets = torch.zeros(meter.num_channels)
        offsets[channel] = sign * 5.0 * meter.spread[channel]
        with torch.no_grad(), shifted_styles(sampler.generator, offsets):
            seen.append(encoder.images(sampler.synthesize(meter.contents, meter.motions)))
    assert torch.allclose(relevance.effects[channel], (seen[0] - seen[1]).mean(0) / 10, atol=1e-5)
    assert relevance.effects.shape == (meter.num_channels, 24)


def test_a_direction_goes_towards_its_text_and_back(sampler, encoder, relevance):
    text = encoder.direction("a sunset", "a cat")

    def score(strength):
        with torch.no_grad(), shifted_styles(sampler.generator, relevance.offsets(text, strength, 0.0)):
            frames = [strip(sampler, VideoName(1_000_000 + seed, seed)) for seed in range(4)]
            return float((encoder.images(torch.cat(frames)) @ text).mean())

    assert score(-2) < score(0) < score(2)


def test_disentangling_leaves_fewer_channels(encoder, relevance):
    text = encoder.direction("a sunset", "a cat")
    counts = [int((relevance.offsets(text, 3, share) != 0).sum()) for share in (0, 0.3, 0.7, 1)]
    assert counts == sorted(counts, reverse=True) and counts[-1] == 1
    offsets = relevance.offsets(text, 3, 1)
    assert float((offsets.abs() / relevance.spread).max()) == pytest.approx(3, rel=1e-5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        relevance.offsets(text, 3, 1.5)


def test_relevance_is_measured_once_and_kept(sampler, encoder, tmp_path, monkeypatch):
    path = tmp_path / "relevance.safetensors"
    first = measure_relevance(sampler, encoder, path, num_images=2)
    monkeypatch.setattr(RelevanceMeter, "step", lambda self: pytest.fail("measured again"))
    again = measure_relevance(sampler, encoder, path, num_images=2)
    assert torch.equal(first.effects, again.effects) and torch.equal(first.spread, again.spread)


def test_relevance_of_another_network_is_measured_anew(sampler, encoder, tmp_path):
    path = tmp_path / "relevance.safetensors"
    first = measure_relevance(sampler, encoder, path, num_images=2)
    with torch.no_grad():
        sampler.generator.synthesis.b16.torgb.weight[0] *= 2
    second = measure_relevance(sampler, encoder, path, num_images=2)
    assert not torch.equal(first.effects, second.effects)
    path.write_bytes(b"rubbish")
    assert load_relevance(path, "x") is None
    save_relevance(second, path, "x")
    assert load_relevance(path, "y") is None and torch.equal(load_relevance(path, "x").effects, second.effects)


def test_measuring_goes_on_where_it_stopped(sampler, encoder, relevance, tmp_path):
    first = RelevanceMeter(sampler, encoder, num_images=4)
    for _ in range(3):
        first.step()
    descent.save(first, tmp_path / "s", "p")
    second = RelevanceMeter(sampler, encoder, num_images=4)
    descent.run(second, tmp_path / "s", "p")
    assert torch.equal(second.result().effects, relevance.effects)
