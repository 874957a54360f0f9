"""Projection: what was made by a generator is found again, steps are exact, and nothing is lost on the way."""

import warnings

import numpy as np
import pytest
import torch

from stylegan_v_ext.editing import descent
from stylegan_v_ext.editing.comparison import motion_profile, profile_correlation, psnr
from stylegan_v_ext.editing.perceptual import load_loss, pixel_loss, vgg_loss
from stylegan_v_ext.editing.projection import ProjectionOptions, Projector
from stylegan_v_ext.editing.tuning import Tuner
from stylegan_v_ext.generate.latents import load_latents
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times

QUICK = ProjectionOptions(num_candidates=8, num_starts=2, num_race_steps=4, num_steps=8, chunk_frames=4)
NUM_FRAMES = 20


@pytest.fixture
def generator(make_generator):
    return make_generator().eval().requires_grad_(False)


@pytest.fixture
def clip(generator):
    return video(generator, VideoName(3, 77), frame_times(NUM_FRAMES))


def video(generator, source, times):
    return np.stack(list(VideoSampler(generator, torch.device("cpu")).frames(source, times)))


def projector(generator, clip, options=QUICK, **kwargs):
    return Projector(generator, clip, np.arange(len(clip)), pixel_loss, options, **kwargs)


def run(found):
    while not found.done:
        found.step()
    return found


def test_projection_comes_close_to_a_video_of_the_generator(generator, clip):
    options = ProjectionOptions(num_candidates=16, num_starts=2, num_race_steps=40, num_steps=160)
    found = run(projector(generator, clip, options))
    assert np.mean(found.history[-10:]) < 0.4 * found.history[0]


def test_a_trained_generator_finds_its_own_video_again(trained):
    """At 64 px, from seeds that projection does not know."""
    clip = video(trained, VideoName(777, 4242), frame_times(48))
    options = ProjectionOptions(num_candidates=64, num_race_steps=60, num_steps=400)
    found = run(projector(trained, clip, options))
    frames = video(trained, found.latents(), np.arange(48))
    assert psnr(frames, clip) > 28
    assert profile_correlation(frames, clip) > 0.9


def test_motion_is_found_together_with_content(trained):
    """Content alone cannot follow: with the motion noise held, more of the error stays."""
    clip = video(trained, VideoName(5, 6), frame_times(32))
    base = dict(num_candidates=16, num_starts=1, num_steps=150)
    both = run(projector(trained, clip, ProjectionOptions(**base)))
    content = run(projector(trained, clip, ProjectionOptions(**base, motion_lr=0)))
    errors = [np.mean(found.history[-10:]) for found in (both, content)]
    assert errors[0] < 0.5 * errors[1]
    assert torch.equal(content.eps[0], projector(trained, clip, content.options).eps[0])


def test_a_projection_that_was_stopped_goes_on_bit_for_bit(generator, clip, tmp_path):
    whole = run(projector(generator, clip))
    for stop in (2, 4, 7):
        first = projector(generator, clip)
        for _ in range(stop):
            first.step()
        descent.save(first, tmp_path / "state.pt", "p")
        second = projector(generator, clip)
        descent.run(second, tmp_path / "state.pt", "p")
        assert second.history == whole.history
        assert torch.equal(second.w, whole.w) and torch.equal(second.eps, whole.eps)


def test_state_of_another_projection_is_refused(generator, clip, tmp_path):
    descent.save(projector(generator, clip), tmp_path / "state.pt", "p")
    with pytest.raises(ValueError, match="belongs to another clip"):
        descent.run(projector(generator, clip), tmp_path / "state.pt", "q")
    (tmp_path / "state.pt").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="is no state of an optimisation"):
        descent.run(projector(generator, clip), tmp_path / "state.pt", "p")


def test_fingerprints_tell_networks_and_clips_apart(make_generator, clip):
    one, other = make_generator(), make_generator()
    with torch.no_grad():
        other.synthesis.b4.const[0, 0, 0] += 1e-6
    prints = {
        descent.fingerprint(values)
        for values in (dict(g=one, c=clip), dict(g=other, c=clip), dict(g=one, c=clip[1:]), dict(g=one, d=clip))
    }
    assert len(prints) == 4 and descent.fingerprint(dict(g=one, c=clip)) in prints


def test_the_generator_itself_is_left_alone(generator, clip):
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    found = run(projector(generator, clip))
    tuner = run(Tuner(generator, clip, found.latents(), pixel_loss, num_steps=3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    assert not all(torch.equal(tensor, before[name]) for name, tensor in tuner.result().state_dict().items())


def test_a_later_start_needs_the_anchors_around_it_alone(generator, clip):
    found = Projector(generator, clip, 1000 + np.arange(NUM_FRAMES), pixel_loss, QUICK)
    assert found.first_anchor == 62 and found.num_anchors == 2 + 2 + 20 - 1 + 0
    latents = run(found).latents()
    assert len(video(generator, latents, [1000.0, 1019.0, 5000.0])) == 3


def test_baselines_can_be_projected_to_as_well(make_generator):
    generator = make_generator(motion_kwargs=dict(z_dim=24, code_dim=24, strategy="lstm")).eval().requires_grad_(False)
    clip = video(generator, VideoName(0), frame_times(6, start=20))
    found = run(Projector(generator, clip, np.arange(20, 26), pixel_loss, QUICK))
    assert found.first_anchor == 0 and np.isfinite(found.history).all()
    assert len(video(generator, found.latents(), found.latents().times)) == 6


def test_the_clip_goes_on_after_its_end_without_a_break(generator, clip, tmp_path):
    latents = run(projector(generator, clip)).latents()
    latents.save(tmp_path / "projection.npz")
    frames = video(generator, load_latents(tmp_path / "projection.npz"), frame_times(200))
    steps = motion_profile(frames)
    assert np.array_equal(frames[:NUM_FRAMES], video(generator, latents, frame_times(NUM_FRAMES)))
    assert steps[NUM_FRAMES - 1 :].min() >= 0 and steps[NUM_FRAMES - 1] <= steps.max()
    assert steps[NUM_FRAMES:].mean() > 0.2 * steps[:NUM_FRAMES].mean(), "it still moves"


def test_w_space_has_one_row(generator, clip):
    options = ProjectionOptions(space="w", num_candidates=4, num_starts=1, num_steps=5)
    rows = run(projector(generator, clip, options)).latents().w
    assert rows.shape == (1, generator.num_ws, 32) and torch.equal(rows, rows[:, :1].expand_as(rows))


def test_regularisers_pull_towards_what_is_known(generator, clip):
    def distances(**kwargs):
        base = dict(num_candidates=4, num_starts=1, num_steps=60)
        found = run(projector(generator, clip, ProjectionOptions(**base, **kwargs)))
        w = found.w.detach()
        return float(((w - found.w_mean) / found.w_std).square().mean()), float(found.eps.detach().square().mean())

    free = distances(w_reg=0, motion_reg=0, spread_reg=0)
    assert distances(w_reg=1.0, motion_reg=0)[0] < 0.5 * free[0]
    assert distances(w_reg=0, motion_reg=100.0)[1] < 0.5 * free[1]


def test_classes_reach_content_and_motion(make_generator):
    generator = make_generator(num_classes=2).eval().requires_grad_(False)
    clip = video(generator, VideoName(0, 1, 1), frame_times(10))
    found = projector(generator, clip, class_index=1)
    assert run(found).latents().class_index == 1
    assert not torch.equal(found.w_mean, projector(generator, clip, class_index=0).w_mean)


def test_tuning_goes_where_latents_cannot(generator, clip, tmp_path):
    marked = clip.copy()
    marked[:, 2:5, 2:5] = 255  # no latent has that
    latents = run(
        projector(generator, marked, ProjectionOptions(num_candidates=8, num_starts=1, num_steps=60))
    ).latents()
    before = psnr(video(generator, latents, latents.times), marked)
    tuner = Tuner(generator, marked, latents, pixel_loss, num_steps=60)
    for _ in range(20):
        tuner.step()
    descent.save(tuner, tmp_path / "state.pt", "p")
    run(tuner)
    assert psnr(video(tuner.result(), latents, latents.times), marked) > before + 2
    again = Tuner(generator, marked, latents, pixel_loss, num_steps=60)
    descent.run(again, tmp_path / "state.pt", "p")
    assert again.history == tuner.history


def test_pixel_loss_is_none_for_equal_frames_and_grows_with_distance():
    frames = torch.rand(2, 3, 64, 64) * 2 - 1
    assert float(pixel_loss(frames, frames)) == 0
    near, far = (float(pixel_loss(frames + shift * torch.randn_like(frames), frames)) for shift in (0.1, 0.3))
    assert 0 < near < far


def test_vgg_is_called_as_the_projector_of_stylegan2_calls_it(tmp_path, monkeypatch):
    class Features(torch.nn.Module):
        def forward(self, images: torch.Tensor, resize_images: bool, return_lpips: bool) -> torch.Tensor:
            assert not resize_images
            assert return_lpips
            return images.flatten(1) / 255.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Features()).save(tmp_path / "vgg16.pt")
    monkeypatch.setenv("STYLEGAN_V_DETECTORS", str(tmp_path))
    loss, name = load_loss("auto", torch.device("cpu"))
    assert "VGG16" in name
    frames = torch.zeros(2, 3, 16, 16, requires_grad=True)
    target = torch.full([2, 3, 16, 16], 0.2)
    assert loss(frames, target).item() == pytest.approx(3 * 256 * 0.1**2 + pixel_loss(frames, target).item(), rel=1e-4)
    loss(frames, target).backward()
    assert frames.grad.abs().sum() > 0
    sizes = []

    def spy(images, **kwargs):
        sizes.append(tuple(images.shape))
        return images.flatten(1)

    vgg_loss(spy)(torch.zeros(1, 1, 512, 512), torch.zeros(1, 1, 512, 512))
    assert sizes == [(1, 3, 256, 256)] * 2


def test_without_vgg_pixels_do_and_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEGAN_V_DETECTORS", str(tmp_path))

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("dnnlib.util.open_url", offline)
    loss, name = load_loss("auto", torch.device("cpu"))
    assert loss is pixel_loss and "vgg16.pt could not be downloaded" in name
    with pytest.raises(ValueError, match="vgg16.pt could not be downloaded"):
        load_loss("vgg16", torch.device("cpu"))


def test_comparisons_have_known_answers():
    clip = np.zeros([4, 8, 8, 3], np.uint8)
    assert psnr(clip, clip) == np.inf and psnr(clip + 255, clip) == pytest.approx(0)
    assert psnr(clip + 16, clip) == pytest.approx(20 * np.log10(255 / 16))
    clip[1], clip[2], clip[3] = 10, 15, 35
    assert motion_profile(clip).tolist() == [10, 5, 20]
    assert profile_correlation(clip, clip) == pytest.approx(1)
    assert profile_correlation(clip, 3 * clip) == pytest.approx(1), "amplitude does not count"
    assert profile_correlation(np.zeros_like(clip), clip) == 0


def test_bad_options_are_refused():
    for kwargs, message in (
        (dict(space="z"), "not one of w, w\\+"), (dict(num_steps=0), "num_steps 0 is below 1"),
        (dict(num_candidates=2, num_starts=4), "2 candidates for 4 starts"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            ProjectionOptions(**kwargs)
