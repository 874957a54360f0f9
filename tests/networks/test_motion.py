"""Motion noise, motion codes and the acyclic positional encoding."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.networks import anchor_noise as noise
from stylegan_v_ext.networks.motion import MotionNetwork
from stylegan_v_ext.networks.positional_encoding import AcyclicPositionalEncoding

DISTANCE = 16


@pytest.fixture
def motion():
    return MotionNetwork(32, c_dim=2, z_dim=24, code_dim=20, distance=DISTANCE).eval()


CLASSES = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
SEEDS = [11, 12]


def v_at(motion, times, seeds=SEEDS):
    t = torch.as_tensor(times, dtype=torch.float64).expand(len(seeds), -1)
    return motion(t, CLASSES[: len(seeds)], noise.seeded_noise(seeds, motion.z_dim))


def codes(motion, anchors, seeds=SEEDS):
    """u at these anchors, float64 `[N, len(anchors), code_dim]`, straight from the definition."""
    window = torch.arange(motion.lookahead + 1)
    rows = []
    for k in anchors:
        eps = noise.seeded_noise(seeds, motion.z_dim)((k + window).expand(len(seeds), -1))
        eps = torch.cat([eps, CLASSES[: len(seeds), None].double().expand(-1, len(window), -1)], dim=2)
        rows.append(motion.conv1(motion.conv0(eps.mT))[:, :, 0])
    return torch.stack(rows, dim=1)


def test_v_is_the_aligned_code_at_anchors(motion):
    anchors = [0, 1, 5, 1000]
    expected = motion.encoding.aligner(codes(motion, anchors))
    v = v_at(motion, [k * DISTANCE for k in anchors])
    assert torch.allclose(v, expected.float(), atol=1e-6)


def test_v_is_continuous_everywhere(motion):
    step = 1e-7
    at = torch.cat([torch.arange(0, 8) * DISTANCE, torch.rand(50) * 200 + 1]).double()
    jump = (v_at(motion, at + step) - v_at(motion, (at - step).clamp(min=0))).abs().max()
    assert jump < 1e-4


def test_v_moves_between_anchors(motion):
    v = v_at(motion, np.linspace(0, DISTANCE, 9))
    assert v.diff(dim=1).abs().mean() > 1e-3


def reference_v(motion, t, seed_index=0):
    """The equations of the paper in float64 for one time of one video."""
    left, right = (codes(motion, [int(t // DISTANCE) + i])[seed_index, 0] for i in (0, 1))
    e = motion.encoding
    freqs, scales = e.freqs.double(), e.phase_scales.double()
    root = left.numel() ** 0.5
    sigma = torch.tanh(e.periods.weight.double() @ left / root) + 1
    rho = e.phases.weight.double() @ left / root
    amplitude = 1 + e.amplitudes.weight.double() @ left / root

    def raw(tau):
        angle = freqs * sigma * tau + rho * scales
        return torch.cat([amplitude * torch.sin(angle), amplitude * torch.cos(angle)])

    t_left = t // DISTANCE * DISTANCE
    a = (t - t_left) / DISTANCE
    aligned = e.aligner.weight.double() / root
    ends = (1 - a) * raw(t_left) + a * raw(t_left + DISTANCE)
    return raw(t) - ends + (1 - a) * (aligned @ left) + a * (aligned @ right)


@pytest.mark.parametrize("t", [0.0, 3.25, 100.5, 1e7 + 0.5])
def test_v_equals_the_equations_at_any_time(motion, t):
    assert torch.allclose(v_at(motion, [t])[0, 0].double(), reference_v(motion, t), rtol=1e-5, atol=1e-5)


def test_late_times_cost_no_more_anchors_than_early_ones(motion):
    asked = []

    def spy(anchors):
        asked.append(anchors.shape[1])
        return noise.seeded_noise(SEEDS, motion.z_dim)(anchors)

    for t in (0.0, 1e7):
        motion(torch.full([2, 1], t, dtype=torch.float64), CLASSES, spy)
    assert asked == [motion.lookahead + 2] * 2


def test_v_does_not_depend_on_what_else_is_asked_for(motion):
    times = [0.0, 3.5, 40.0, 1e6, 1e6 + 5]
    together = v_at(motion, times)
    alone = torch.cat([v_at(motion, [t]) for t in times], dim=1)
    assert torch.allclose(together, alone, atol=1e-7)
    first_video = v_at(motion, times, seeds=SEEDS[:1])
    assert torch.allclose(together[:1], first_video, atol=1e-7)


def test_order_of_times_does_not_matter(motion):
    v = v_at(motion, [5.0, 90.0, 31.0])
    assert torch.allclose(v.flip(1), v_at(motion, [31.0, 90.0, 5.0]), atol=1e-7)


def test_training_in_float32_agrees_with_generation(motion):
    eps = torch.randn(2, 40, motion.z_dim)
    t = torch.tensor([[0.5, 20.25, 100.0], [17.0, 33.0, 250.5]])
    exact = motion(t, CLASSES, noise.given_noise(eps))
    assert torch.allclose(motion.train()(t, CLASSES, noise.given_noise(eps)), exact, atol=1e-3)


def test_in_training_a_clip_shares_its_noise(motion):
    """Equal times of one clip get equal codes however the noise is drawn."""
    motion.train()
    for times in ([5.0, 5.0, 9.0], [5.0, 5e5, 5.0]):
        t = torch.tensor([times, times], dtype=torch.float64)
        v = motion(t, CLASSES, noise.fresh_noise(motion.z_dim, t.device))
        same = (0, 1) if times[1] == 5 else (0, 2)
        assert torch.allclose(v[:, same[0]], v[:, same[1]], atol=1e-5)
        assert not torch.allclose(v[0], v[1], atol=1e-2)


def test_without_amplitudes_the_encoding_has_no_such_layer():
    encoding = AcyclicPositionalEncoding(8, 8, amplitude=False)
    assert encoding.amplitudes is None and not any("amplitude" in name for name in encoding.state_dict())


def test_frequencies_ascend_from_the_longest_to_the_shortest_period():
    encoding = AcyclicPositionalEncoding(8, 16, min_period=16, max_period=1024)
    periods = 2 * torch.pi / encoding.freqs
    assert periods[0] == pytest.approx(1024) and periods[-1] == pytest.approx(16)
    assert torch.allclose(encoding.phase_scales * periods, torch.full([8], 1024.0))


def test_lstm_strategy_is_continuous_and_seeded():
    motion = MotionNetwork(16, z_dim=8, code_dim=8, distance=4, strategy="lstm").eval()
    empty = torch.zeros(1, 0)

    def at(*times):
        return motion(torch.tensor([times], dtype=torch.float64), empty, noise.seeded_noise([3], 8))

    assert torch.allclose(at(4 - 1e-7), at(4 + 1e-7), atol=1e-4)
    assert torch.allclose(at(9.5, 2.0)[:, 1], at(2.0)[:, 0], atol=1e-6)
    with pytest.raises(ValueError, match="below 0"):
        at(-1.0)


def test_seeded_noise_is_normal_and_a_function_of_seed_and_anchor():
    eps = noise.seeded_noise([1, 2], 512)(torch.arange(100).expand(2, -1))
    assert abs(float(eps.mean())) < 0.01 and abs(float(eps.std()) - 1) < 0.01
    assert abs(float((eps**4).mean()) - 3) < 0.1
    assert abs(float(torch.corrcoef(eps[0])[0, 1:].mean())) < 0.02
    again = noise.seeded_noise([2], 512)(torch.tensor([[50, 3]]))
    assert torch.equal(again[0, 0], eps[1, 50]) and torch.equal(again[0, 1], eps[1, 3])
    assert not torch.equal(eps[0], eps[1])


def test_seeded_noise_stays_the_same_from_release_to_release():
    eps = noise.seeded_noise([7], 4)(torch.tensor([[0, 123456789]]))
    expected = [
        [-0.14712793, -1.09110103, 0.50211215, 0.73758702],
        [-0.82960642, -0.60051513, -0.03682731, -1.15333148],
    ]
    assert np.allclose(eps[0].numpy(), expected, atol=1e-7)


def test_motion_seed_from_z_ignores_precision_and_batch():
    z = torch.randn(3, 16)
    seeds = noise.seeds_from_latents(z)
    assert len(set(seeds)) == 3
    assert noise.seeds_from_latents(z[1:2].double()) == seeds[1:2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MotionNetwork(16, strategy="gru"), "not one of"),
        (lambda: MotionNetwork(16, distance=0), "below 1"),
        (lambda: MotionNetwork(15, z_dim=4, code_dim=4), "odd"),
        (lambda: AcyclicPositionalEncoding(8, 8, min_period=2000), "at most max_period"),
        (lambda: noise.given_noise(torch.zeros(1, 5, 2))(torch.tensor([[3, 5]])), "give more rows"),
        (lambda: noise.seeded_noise([1], 4)(torch.zeros(2, 3, dtype=torch.long)), "give one each"),
    ],
)
def test_impossible_motion_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
