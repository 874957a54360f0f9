"""The generator's contract with training loops and samplers."""

import pickle

import pytest
import torch

from stylegan_v_ext.strip import unpack_strip


def latents(generator, n=4):
    return torch.randn(n, generator.z_dim)


def test_strip_has_a_frame_for_every_timestamp(make_generator):
    generator = make_generator(num_classes=2)
    c = torch.tensor([[1.0, 0.0, 0.0, 4.0, 9.0, 30.0, 31.0]])
    assert generator(latents(generator, 1), c).shape == (1, 3, 5 * 16, 16)
    assert generator.mapping(latents(generator, 1), c).shape == (1, generator.num_ws + 5, 32)


def test_contract_attributes(make_generator):
    generator = make_generator(num_classes=2)
    assert (generator.z_dim, generator.w_dim, generator.c_dim) == (32, 32, 5)
    assert (generator.img_resolution, generator.img_channels) == (16, 3)
    assert generator.num_ws == generator.mapping.num_ws == generator.synthesis.num_ws == 6
    assert generator.mapping.w_avg.shape == (32,)
    assert all(name.startswith(("mapping.", "synthesis.")) for name, _ in generator.named_parameters())


def test_mapping_then_synthesis_is_the_generator(make_generator):
    generator = make_generator().eval()
    z, c = latents(generator), torch.tensor([[0.0, 5.0, 9.5]]).expand(4, -1)
    ws = generator.mapping(z, c)
    assert torch.equal(generator.synthesis(ws), generator(z, c))


def test_timestamps_in_the_label_and_apart_are_the_same(make_generator):
    generator = make_generator(num_classes=2).eval()
    z, t = latents(generator, 2), torch.tensor([[0.0, 5.0], [3.5, 900.0]])
    classes = torch.eye(2)
    assert torch.equal(generator(z, classes, t=t), generator(z, torch.cat([classes, t], dim=1)))


def test_without_timestamps_there_is_content_only(make_generator):
    generator = make_generator(num_classes=2).eval()
    z = latents(generator, 2)
    assert generator.mapping(z, torch.eye(2)).shape == (2, 6, 32)
    assert generator(z, torch.eye(2)).shape == (2, 3, 16, 16)
    assert generator(z.double(), None).shape == (2, 3, 16, 16)


def test_labels_are_sanitised_but_given_times_are_not(make_generator):
    generator = make_generator().eval()
    z = latents(generator, 1)
    junk = torch.tensor([[float("nan"), float("inf"), 1e30]])
    assert torch.equal(generator(z, junk), generator(z, torch.tensor([[0.0, 0.0, 1023.0]])))
    far = generator(z, None, t=torch.tensor([[1e7, 1e7 + 8]], dtype=torch.float64))
    assert torch.isfinite(far).all()
    assert not torch.allclose(far, generator(z, None, t=torch.tensor([[1023.0, 1031.0]])))


def test_labels_of_a_wrong_width_are_refused(make_generator):
    generator = make_generator(num_classes=2)
    with pytest.raises(ValueError, match="label of width 1"):
        generator(latents(generator, 1), torch.zeros(1, 1))
    with pytest.raises(ValueError, match="label of width 4"):
        generator(latents(generator, 1), torch.zeros(1, 4), t=torch.zeros(1, 2))


def test_same_seeds_same_video_across_batch_sizes_and_chunks(make_generator):
    generator = make_generator().eval()
    z, times = latents(generator, 3), torch.arange(24, dtype=torch.float64)[None] * 0.75
    seeds = [5, 6, 2**63]
    together = unpack_strip(generator(z, None, t=times.expand(3, -1), motion_seeds=seeds))
    for video in range(3):
        for chunk in range(0, 24, 8):
            alone = generator(
                z[video : video + 1], None, t=times[:, chunk : chunk + 8], motion_seeds=seeds[video : video + 1]
            )
            assert torch.allclose(unpack_strip(alone)[0], together[video, chunk : chunk + 8], atol=1e-5)


def test_eval_is_repeatable_and_training_is_not(make_generator):
    generator = make_generator().eval()
    z, c = latents(generator), torch.tensor([[0.0, 8.0, 12.0]]).expand(4, -1)
    assert torch.equal(generator(z, c), generator(z, c))
    generator.train()
    assert not torch.allclose(generator(z, c), generator(z, c))


def test_motion_seed_changes_motion_and_not_the_content_rows(make_generator):
    generator = make_generator().eval()
    z, t = latents(generator, 1), torch.tensor([[3.0, 20.0]])
    one, other = (generator.mapping(z, None, t=t, motion_seeds=[seed]) for seed in (1, 2))
    rows = generator.num_ws
    assert torch.equal(one[:, :rows], other[:, :rows]) and not torch.allclose(one[:, rows:], other[:, rows:])


def test_zero_motion_rows_are_the_single_frame(make_generator):
    generator = make_generator().eval()
    ws = generator.mapping(latents(generator, 2), None)
    still = torch.cat([ws, torch.zeros(2, 1, 32)], dim=1)
    assert torch.equal(generator.synthesis(still), generator.synthesis(ws))


def test_truncation_pulls_content_and_leaves_motion(make_generator):
    generator = make_generator().eval()
    generator.mapping.w_avg.normal_()
    z, c = latents(generator), torch.tensor([[0.0, 8.0, 12.0]]).expand(4, -1)
    full, half = generator.mapping(z, c), generator.mapping(z, c, truncation_psi=0.5, truncation_cutoff=2)
    assert torch.allclose(half[:, :2], (full[:, :2] + generator.mapping.w_avg) / 2, atol=1e-6)
    assert torch.equal(half[:, 2:], full[:, 2:])
    assert torch.allclose(generator.mapping(z, c, truncation_psi=0)[:, :6], generator.mapping.w_avg.expand(4, 6, -1))


@pytest.mark.parametrize(
    ("training", "kwargs", "moves"),
    [
        (True, {}, True),
        (True, {"skip_w_avg_update": True}, False),
        (True, {"update_emas": False}, False),
        (False, {}, False),
        (False, {"update_emas": True}, True),
        (True, {"update_emas": True, "skip_w_avg_update": True}, True),
    ],
)
def test_when_the_average_w_moves(make_generator, training, kwargs, moves):
    generator = make_generator().train(training)
    before = generator.mapping.w_avg.normal_().clone()
    w = generator.mapping(latents(generator), None, **kwargs)[:, 0].detach()
    after = 0.995 * before + 0.005 * w.mean(0)
    assert torch.allclose(generator.mapping.w_avg, after if moves else before, rtol=0, atol=1e-6)
    assert (after - before).abs().min() > 1e-5, "the two cases differ in every value"


def test_one_clip_and_many_take_different_paths_to_the_same_frames(make_generator):
    """A single clip folds its styles into the weights; several scale activations."""
    generator = make_generator(num_classes=0).eval()
    z, t = latents(generator, 2), torch.tensor([[0.0, 9.0]])
    both = generator(z, None, t=t.expand(2, -1), motion_seeds=[1, 2])
    alone = generator(z[:1], None, t=t, motion_seeds=[1])
    assert torch.allclose(both[:1], alone, atol=1e-5)


def test_gradients_reach_every_parameter_but_unused_noise(make_generator):
    generator = make_generator(num_classes=2, use_noise=True)
    c = torch.cat([torch.eye(2), torch.tensor([[0.0, 3.0, 20.0]]).expand(2, -1)], dim=1)
    generator(latents(generator, 2), c).square().sum().backward()
    missing = [n for n, p in generator.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert missing == []


def test_path_length_gradient_reaches_the_weights(make_generator):
    generator = make_generator()
    ws = generator.mapping(latents(generator), torch.zeros(4, 3))
    (gradient,) = torch.autograd.grad(generator.synthesis(ws).square().sum(), ws, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in generator.synthesis.b16.conv0.parameters())


def test_noise_is_the_same_for_all_frames_of_a_clip(make_generator):
    generator = make_generator(use_noise=True).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(1)
    still = torch.cat([generator.mapping(latents(generator, 2), None), torch.zeros(2, 3, 32)], dim=1)
    frames = unpack_strip(generator.synthesis(still, noise_mode="random"))
    assert torch.allclose(frames[:, 0], frames[:, 2], atol=1e-5)
    assert not torch.equal(generator.synthesis(still), generator.synthesis(still))
    with pytest.raises(ValueError, match="not one of"):
        generator.synthesis(still, noise_mode="loud")


STYLEGAN2_NAMES = {
    "synthesis.b4.const", "synthesis.b4.conv1.affine.weight", "synthesis.b8.conv0.resample_filter",
    "synthesis.b8.torgb.affine.bias", "synthesis.b16.resample_filter", "mapping.fc0.weight", "mapping.w_avg",
}  # fmt: skip


def test_state_dict_names_are_stylegan2s_plus_motion(make_generator):
    names = set(make_generator(num_classes=2, use_noise=True).state_dict())
    image = set(make_generator(num_classes=2, num_frames=1, use_noise=True).state_dict())
    assert image > STYLEGAN2_NAMES
    assert all(name.startswith("mapping.motion.") for name in names - image) and not image - names


def test_pickled_generator_makes_the_same_frames(make_generator):
    generator = make_generator().eval()
    again = pickle.loads(pickle.dumps(generator))
    z, t = latents(generator, 1), torch.tensor([[0.0, 9.0]])
    assert torch.equal(again(z, None, t=t), generator(z, None, t=t))
    assert again.init_kwargs["img_resolution"] == 16


@pytest.mark.parametrize("resolution", [4, 48, 100])
def test_resolutions_are_powers_of_two(make_generator, resolution):
    with pytest.raises(ValueError, match="power of two"):
        make_generator(img_resolution=resolution)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_mixed_precision_stays_close_to_float32(make_generator):
    generator = make_generator(num_fp16_res=4, conv_clamp=256).eval().cuda()
    z, t = latents(generator, 2).cuda(), torch.tensor([[0.0, 9.0]]).expand(2, -1)
    full = generator(z, None, t=t, force_fp32=True)
    assert (generator(z, None, t=t) - full).abs().max() < 0.05 * full.abs().max()
