"""What can be done to content and motion: the algebra of it."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.latents import VideoLatents, load_latents
from stylegan_v_ext.generate.recipe import Recipe, StyleMix
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.networks.anchor_noise import looped_noise, recorded_noise, seeded_noise

FRAMES = torch.arange(9, dtype=torch.float64)


@pytest.fixture
def sampler(make_generator):
    generator = make_generator().requires_grad_(False)
    generator.mapping.w_avg.normal_()
    return VideoSampler(generator, torch.device("cpu"))


def rows(seed, num_ws=6):
    return torch.randn(1, num_ws, 32, generator=torch.Generator().manual_seed(seed))


def test_schedules_are_lines_between_their_points():
    schedule = tracks.keyframes([(2, 0.0), (4, 1.0), (8, -1.0)])
    assert schedule(FRAMES).tolist() == pytest.approx([0, 0, 0, 0.5, 1, 0.5, 0, -0.5, -1])
    assert tracks.keyframes([(5, 0.7)])(FRAMES).tolist() == pytest.approx([0.7])


def test_a_path_passes_through_its_contents():
    a, b, c = rows(0), rows(1), rows(2)
    path = tracks.through([a, b, c], 9)(FRAMES)
    for frame, stop in ((0, a), (4, b), (8, c)):
        assert torch.allclose(path[frame], stop[0], atol=1e-6)
    line = tracks.through([a, b], 9)(FRAMES)
    assert torch.allclose(line[2], a[0].lerp(b[0], 0.25), atol=1e-6)


def test_a_closed_path_ends_where_it_began_and_is_smooth_there():
    path = tracks.through([rows(0), rows(1), rows(2)], 300, closed=True)
    ends = path(torch.tensor([299.9, 300.0, 0.0, 0.1], dtype=torch.float64))
    assert torch.allclose(ends[1], ends[2], atol=1e-6)
    assert torch.allclose(ends[1] - ends[0], ends[3] - ends[2], atol=1e-4)
    assert (ends[1] - ends[0]).abs().max() > 1e-3


def test_style_mixing_touches_its_rows_alone():
    a, b = tracks.still(rows(0)), tracks.still(rows(1))
    mix = tracks.mixed(a, b, slice(2, 4), tracks.keyframes([(0, 0.0), (8, 1.0)]))(FRAMES)
    assert torch.equal(mix[:, :2], rows(0)[:, :2].expand(9, -1, -1)) and torch.equal(mix[0], rows(0)[0])
    assert torch.allclose(mix[8, 2:4], rows(1)[0, 2:4]) and torch.equal(mix[8, 4:], rows(0)[0, 4:])
    assert len(tracks.mixed(a, b, slice(2, 4), tracks.constant(0.5))(FRAMES)) == 1, "constant mixing stays one row"


def test_rows_of_resolutions_partition_the_network():
    num_ws, found = 10, []  # 64 px
    for resolution in (4, 8, 16, 32, 64):
        part = tracks.rows_of(resolution, resolution, num_ws)
        found += range(part.start, part.stop)
    assert found == list(range(num_ws))
    assert tracks.rows_of(16, 1024, num_ws) == slice(3, 10)
    for wrong in ((12, 16), (16, 8), (128, 128), (2, 4), (0, 99)):
        with pytest.raises(ValueError, match="none of this network's; it has the powers of two from 4 to 64"):
            tracks.rows_of(*wrong, num_ws)


def test_truncation_by_schedule_meets_truncation_by_number(sampler):
    name = VideoName(3, 1)
    half = VideoSampler(sampler.generator, sampler.device, truncation_psi=0.5).content(name)
    pulled = tracks.truncated(
        tracks.still(sampler.content(name)), sampler.generator.mapping.w_avg, tracks.keyframes([(0, 0.5), (8, 0.0)])
    )
    assert torch.allclose(pulled(FRAMES)[0], half[0], atol=1e-6)
    assert torch.allclose(pulled(FRAMES)[8], sampler.generator.mapping.w_avg.expand(6, -1), atol=1e-6)


def test_amplitude_zero_stands_still_and_one_changes_nothing(sampler):
    motion = sampler.motion(VideoName(0, 5))
    times = torch.linspace(0, 100, 40, dtype=torch.float64)
    centre = tracks.mean_motion(motion, 16)
    assert torch.allclose(tracks.amplified(motion, 1, centre)(times), motion(times), atol=1e-6)
    assert torch.equal(tracks.amplified(motion, 0, centre)(times), centre.expand(40, -1))
    assert torch.allclose(tracks.amplified(motion, 2, centre)(times) - centre, 2 * (motion(times) - centre), atol=1e-5)


def test_an_lstm_cannot_loop(make_generator):
    generator = make_generator(motion_kwargs=dict(z_dim=24, code_dim=24, strategy="lstm")).requires_grad_(False)
    with pytest.raises(ValueError, match="never comes back"):
        VideoSampler(generator, torch.device("cpu")).motion(VideoName(0), loop=32)


@pytest.mark.parametrize("length", [16, 40, 100, 129.5])
def test_loops_end_where_they_began(sampler, length):
    motion = sampler.motion(VideoName(0, 5), loop=length)
    t = torch.linspace(0, length, 50, dtype=torch.float64)
    assert torch.allclose(motion(t[:1]), motion(t[-1:]), atol=1e-6)
    assert torch.allclose(motion(t), motion(t + 3 * length), atol=1e-5)
    assert float(motion(t).std(0).mean()) > 0


def test_loops_have_no_seam(sampler):
    """Steps across the end are like the others."""
    length = 96
    motion = sampler.motion(VideoName(0, 5), loop=length)
    steps = motion(torch.arange(-1, length + 1, dtype=torch.float64)).diff(dim=0).norm(dim=1)
    assert float(steps[length]) <= float(steps[1:length].quantile(0.95)) and torch.allclose(steps[0], steps[length])


def test_a_loop_of_frames_closes(sampler):
    recipe = Recipe(loop=48)
    scene = recipe.scene(sampler, tracks.still(sampler.content(VideoName(1))), VideoName(1))
    strips = torch.cat(list(sampler.strips(scene, frame_times(49))))
    assert (strips[0] - strips[48]).abs().max() < 1e-5 and (strips[0] - strips[24]).abs().max() > 1e-3


def test_a_still_recipe_is_the_plain_video(sampler):
    name = VideoName(2, 7)
    scene = Recipe().scene(sampler, tracks.still(sampler.content(name)), name)
    times = list(frame_times(20))
    assert np.array_equal(np.stack(list(sampler.render(scene, times))), np.stack(list(sampler.frames(name, times))))


def test_content_that_changes_makes_the_frames_that_it_would_make_alone(sampler):
    name, other = VideoName(2, 7), VideoName(3)
    path = tracks.through([sampler.content(name), sampler.content(other)], 21)
    frames = np.stack(list(sampler.render(tracks.Scene(path, sampler.motion(name)), frame_times(21)))).astype(int)
    last = next(iter(sampler.frames(VideoName(3, 7), [20.0]))).astype(int)
    assert np.abs(frames[-1] - last).max() <= 1
    assert np.abs(frames[0] - next(iter(sampler.frames(name, [0.0]))).astype(int)).max() <= 1


def test_recipes_combine(sampler):
    name = VideoName(2)
    direction = torch.randn(32)
    recipe = Recipe(
        truncation=tracks.constant(0.8), mix=StyleMix(VideoName(9), slice(3, 6), tracks.constant(1)), push=direction,
        strength=tracks.keyframes([(0, -1.0), (10, 1.0)]), amplitude=0.5, nudge=torch.ones(32), loop=40,
    )  # fmt: skip
    scene = recipe.scene(sampler, tracks.still(sampler.content(name)), name)
    mean, psi = sampler.generator.mapping.w_avg, 0.8
    by_hand = torch.cat([sampler.content(name)[:, :3], sampler.content(VideoName(9))[:, 3:]], dim=1)
    by_hand = mean + psi * (by_hand - mean) + direction
    assert torch.allclose(scene.content(torch.tensor([10.0])), by_hand, atol=1e-5)
    assert len(list(sampler.render(scene, frame_times(11)))) == 11


def test_recorded_noise_goes_on_as_its_seed_does():
    table = torch.randn(4, 24, dtype=torch.float64)
    anchors = torch.tensor([[-1, 2, 5, 6, 0]])
    eps = recorded_noise(table, 2, seed=9)(anchors)[0]
    free = seeded_noise([9], 24)(anchors)[0]
    assert torch.equal(eps[1], table[0]) and torch.equal(eps[2], table[3])
    for row in (0, 3, 4):
        assert torch.equal(eps[row], free[row])
    assert torch.equal(recorded_noise(table[:0], 0, 9)(anchors)[0], free)


def test_looped_noise_repeats():
    eps = looped_noise(seeded_noise([1], 24), 3)(torch.arange(-3, 9)[None])[0]
    assert torch.equal(eps[:3], eps[3:6]) and torch.equal(eps[:3], eps[9:])


def test_latents_of_seeds_make_the_video_of_the_seeds(sampler, tmp_path):
    name = VideoName(4, 11)
    latents = VideoLatents(sampler.content(name), torch.zeros(0, 24), motion_seed=11, settings={"by": "test"})
    latents.save(tmp_path / "a.npz")
    loaded = load_latents(tmp_path / "a.npz")
    loaded.check(sampler.generator, "a.npz")
    times = list(frame_times(10, start=7, speed=0.3))
    assert np.array_equal(np.stack(list(sampler.frames(loaded, times))), np.stack(list(sampler.frames(name, times))))
    assert loaded.settings == {"by": "test"} and loaded.class_index is None


def test_files_that_hold_no_latents_are_refused(sampler, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", w=np.zeros([1, 6, 32]))
    np.savez(tmp_path / "pickled.npz", w=np.array([{}], dtype=object))
    for name in ("text", "other", "pickled"):
        with pytest.raises(ValueError, match="holds no video latents"):
            load_latents(tmp_path / f"{name}.npz")
    with pytest.raises(ValueError, match="does not exist"):
        load_latents(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="use the network it was made with"):
        VideoLatents(torch.zeros(1, 5, 32), torch.zeros(0, 24)).check(sampler.generator, "x")
    with pytest.raises(ValueError, match="class 1, the network has 0"):
        VideoLatents(torch.zeros(1, 6, 32), torch.zeros(0, 24), class_index=1).check(sampler.generator, "x")
