"""Motion codes, and the motion vectors that the acyclic positional encoding makes of them."""

import copy

import pytest
import torch

from stylegan_v_ext.networks import anchor_noise as noise
from stylegan_v_ext.networks.motion import ConvMotionNetwork, LSTMMotionNetwork, MotionNetwork

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


def test_between_two_anchors_v_leaves_the_line_that_joins_their_values(motion):
    share = torch.linspace(0, 1, 9)
    v = v_at(motion, share.double() * DISTANCE)
    line = v[:, :1].lerp(v[:, -1:], share[None, :, None])
    away = (v - line).norm(dim=2)
    assert away[:, [0, -1]].max() < 1e-5
    assert away[:, 1:-1].min() > 0.2
    assert away.amax(1).min() > 0.8


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


def test_lstm_strategy_is_continuous_and_seeded():
    motion = MotionNetwork(16, z_dim=8, code_dim=8, distance=4, strategy="lstm").eval()
    empty = torch.zeros(1, 0)

    def at(*times):
        return motion(torch.tensor([times], dtype=torch.float64), empty, noise.seeded_noise([3], 8))

    assert torch.allclose(at(4 - 1e-7), at(4 + 1e-7), atol=1e-4)
    assert torch.allclose(at(9.5, 2.0)[:, 1], at(2.0)[:, 0], atol=1e-6)
    with pytest.raises(ValueError, match="below 0"):
        at(-1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MotionNetwork(16, strategy="gru"), "not one of"),
        (lambda: MotionNetwork(16, distance=0), "below 1"),
        (lambda: MotionNetwork(15, z_dim=4, code_dim=4), "odd"),
        (lambda: MotionNetwork(8, z_dim=4, code_dim=4, min_period=2000), "at most max_period"),
    ],
)
def test_impossible_motion_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("strategy", "cls", "layers"),
    [("conv", ConvMotionNetwork, ["conv0", "conv1"]), ("lstm", LSTMMotionNetwork, ["lstm"])],
)
def test_the_strategy_chooses_the_network_and_keeps_the_names_of_its_tensors(strategy, cls, layers):
    network = MotionNetwork(8, z_dim=4, code_dim=4, strategy=strategy)
    assert type(network) is cls and type(copy.deepcopy(network)) is cls
    assert [name for name, _ in network.named_children()] == [*layers, "encoding"]
    assert type(cls(8, z_dim=4, code_dim=4)) is cls
    assert network.strategy == cls(8, z_dim=4, code_dim=4).strategy == strategy


def test_a_strategy_by_position_is_refused_because_it_would_not_choose_the_network():
    with pytest.raises(TypeError, match="positional"):
        MotionNetwork(8, 0, 4, 4, 16, 11, "lstm")
