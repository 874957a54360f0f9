"""The CUDA kernels' code, compiled for the CPU and run under the ops, against the references."""

import math
import random

import pytest
import torch

from tests.torch_utils import host_kernels
from torch_utils import custom_ops, self_check
from torch_utils.divisor import divisor
from torch_utils.ops import bias_act, bias_act_cuda, filtered_lrelu, filtered_lrelu_kernel, upfirdn2d

pytestmark = pytest.mark.skipif(host_kernels.COMPILER is None, reason="no host compiler")


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    """Ops dispatch to their kernels for CPU tensors, and kernels run thread by thread."""
    library = torch.library.Library("stylegan_v_ext", "IMPL")
    for name, function in (
        ("upfirdn2d", upfirdn2d._kernel),
        ("bias_act", bias_act_cuda._kernel),
        ("bias_act_grad", bias_act_cuda._gradient_kernel),
        ("bias_act_grad_sums", bias_act_cuda._summing_kernel),
        ("bias_act_curve", bias_act_cuda._curve_kernel),
        ("filtered_lrelu", filtered_lrelu._kernel),
        ("filtered_lrelu_masked", filtered_lrelu._masked_kernel),
    ):
        library.impl(name, function, "CPU")
    monkeypatch.setattr(custom_ops, "wanted", lambda x: x.dtype in custom_ops.SCALARS)
    monkeypatch.setattr(custom_ops, "kernel", lambda variant, device, shared=0: host_kernels.HostKernel(variant))
    yield
    library._destroy()


def _agree(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance * max(b.abs().max(), 1e-3)


def _strides(x, rng):
    """The same values in one of the layouts that tensors come in."""
    kind = rng.randrange(4)
    if kind == 0:
        return x.contiguous(memory_format=torch.channels_last)
    if kind == 1:  # a view into a larger image
        wide = torch.zeros(*x.shape[:2], x.shape[2] + 3, x.shape[3] + 2)
        wide[:, :, 1 : 1 + x.shape[2], 1 : 1 + x.shape[3]] = x
        return wide[:, :, 1 : 1 + x.shape[2], 1 : 1 + x.shape[3]]
    if kind == 2 and x.shape[1] > 2:  # some of the channels
        return torch.cat([x, x], 1).contiguous(memory_format=torch.channels_last)[:, : x.shape[1]]
    return x


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
@pytest.mark.parametrize("taps", [(4, 4), (12,), (1, 1), (9, 10)])
def test_upfirdn2d_equals_the_reference_for_random_shapes(up, down, taps):
    rng = random.Random(f"{up} {down} {taps}")
    torch.manual_seed(0)
    for _ in range(16):
        n, channels = rng.choice([(2, 8), (1, 3), (3, 4), (1, 1), (2, 2)])
        x = torch.randn(n, channels, rng.randint(12, 26), rng.randint(12, 26))
        x = _strides(x, rng)
        before = rng.choice([-up, 0, up + 1])  # few phases: each is compiled
        padding = [before, rng.randint(-2, 9), before, rng.randint(-2, 9)]
        arguments = dict(up=up, down=down, padding=padding, flip_filter=rng.random() < 0.5, gain=rng.uniform(0.5, 4))
        f = torch.randn(taps)
        _agree(upfirdn2d.upfirdn2d(x, f, **arguments), upfirdn2d.upfirdn2d(x, f, **arguments, impl="ref"))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_upfirdn2d_is_differentiable_any_number_of_times(layout):
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    f = torch.randn(4, 3)
    for up, down in ((1, 1), (2, 1), (1, 2)):

        def run(x, up=up, down=down):
            return upfirdn2d.upfirdn2d(x, f, up=up, down=down, padding=[2, 1, 1, 2], gain=1.5)

        assert torch.autograd.gradcheck(run, x)
        assert torch.autograd.gradgradcheck(run, x)


@pytest.mark.parametrize("act", bias_act.activation_funcs)
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_bias_act_equals_the_reference_for_random_shapes(act, clamp):
    rng = random.Random(act)
    torch.manual_seed(0)
    for _ in range(12):
        shape = [rng.randint(1, 3), rng.choice([1, 3, 8, 12]), rng.randint(1, 6), rng.choice([1, 4, 5, 8])]
        shape = shape if rng.random() < 0.7 else shape[:2]
        x = torch.randn(shape)
        if x.ndim == 4:
            x = _strides(x, rng)
        dim = rng.choice([1, 1, 0, -1])
        b = torch.randn(x.shape[dim]) if rng.random() < 0.7 else None
        results = []
        for impl in ("cuda", "ref"):
            leaves = [t.detach().clone().requires_grad_() for t in (x, b) if t is not None]
            y = bias_act.bias_act(leaves[0], leaves[1] if b is not None else None, dim, act, clamp=clamp, impl=impl)
            weights = torch.linspace(-1, 2, y.numel()).reshape(y.shape)
            results.append([y, *torch.autograd.grad((y * weights).sum(), leaves)])
        for ours, reference in zip(*results, strict=True):
            _agree(ours, reference)


@pytest.mark.parametrize("act", bias_act.activation_funcs)
def test_bias_act_is_differentiable_three_times(act):
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    x = (x + x.sign() * 0.1).requires_grad_()
    b = torch.zeros(3, dtype=torch.float64, requires_grad=True)

    def run(x, b):
        return bias_act.bias_act(x, b, act=act)

    def gradient(x, b):
        return torch.autograd.grad(run(x, b).square().sum(), x, create_graph=True)[0]

    assert torch.autograd.gradcheck(run, (x, b))
    assert torch.autograd.gradgradcheck(run, (x, b))
    assert torch.autograd.gradgradcheck(gradient, (x, b))


@pytest.mark.parametrize("channels", [4, 12])
@pytest.mark.parametrize("noises", [0, 1, 2])
@pytest.mark.parametrize("with_after", [False, True])
def test_scaled_bias_act_equals_its_composition(channels, noises, with_after):
    torch.manual_seed(0)
    clips, frames, size = 2, 3, 33
    for act, clamp in (("lrelu", 1.5), ("linear", None), ("swish", 2.0)):
        tensors = [
            torch.randn(clips * frames, channels, size, size).contiguous(memory_format=torch.channels_last),
            torch.rand(clips, channels) + 0.5,
            torch.randn(channels),
            torch.randn(noises, size, size) if noises else None,
            torch.randn(clips, channels) if with_after else None,
        ]
        results = []
        for function in (bias_act.scaled_bias_act, bias_act._scaled_composed):
            leaves = [None if t is None else t.detach().clone().requires_grad_() for t in tensors]
            spec = bias_act.activation_funcs[act]
            settings = dict(act=act, gain=float(spec.def_gain), clamp=clamp)
            if function is bias_act._scaled_composed:
                settings["alpha"] = float(spec.def_alpha)
            y = function(*leaves, **settings)
            weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
            wanted = [t for t in leaves if t is not None and t.requires_grad]
            results.append([y, *torch.autograd.grad((y * weights).sum(), wanted)])
        for ours, reference in zip(*results, strict=True):
            _agree(ours, reference)


def test_scaled_bias_act_is_differentiable_twice():
    x = torch.randn(4, 2, 2, 2, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    scale, b, after = (torch.rand(shape, dtype=torch.float64, requires_grad=True) for shape in ([2, 2], [2], [2, 2]))

    def run(x, scale, b, after):
        return bias_act.scaled_bias_act(x, scale, b, None, after, act="swish")

    assert torch.autograd.gradcheck(run, (x, scale, b, after))
    assert torch.autograd.gradgradcheck(run, (x, scale, b, after))


@pytest.mark.parametrize(
    ("up", "down", "taps_u", "taps_d"), [(2, 2, 12, 12), (1, 2, 1, 12), (2, 1, 8, 1), (4, 2, 24, 12)]
)
def test_filtered_lrelu_equals_the_reference_for_random_shapes(up, down, taps_u, taps_d):
    rng = random.Random(f"{up} {down}")
    torch.manual_seed(0)
    for _ in range(10):
        x = _strides(torch.randn(rng.randint(1, 2), rng.choice([1, 3]), rng.randint(20, 80), rng.randint(20, 80)), rng)
        b = torch.randn(x.shape[1])
        fu, fd = torch.randn(taps_u) / math.sqrt(taps_u), torch.randn(taps_d) / math.sqrt(taps_d)
        before = rng.choice([0, 9])
        arguments = dict(
            up=up, down=down, padding=[before, rng.randint(4, 12), before, rng.randint(4, 12)],
            clamp=rng.choice([None, 0.9]), flip_filter=rng.random() < 0.5,
        )  # fmt: skip
        results = []
        for impl in ("cuda", "ref"):
            leaves = [t.detach().clone().requires_grad_() for t in (x, b)]
            y = filtered_lrelu.filtered_lrelu(leaves[0], fu, fd, leaves[1], **arguments, impl=impl)
            weights = torch.linspace(-1, 2, y.numel()).reshape(y.shape)
            results.append([y, *torch.autograd.grad((y * weights).sum(), leaves)])
        for ours, reference in zip(*results, strict=True):
            _agree(ours, reference, 1e-4)


@pytest.mark.parametrize("padding", [0, [3, 2, 1, 4], [9, 8, 12, 9]])
def test_filtered_lrelu_is_differentiable_any_number_of_times(padding):
    x = torch.randn(1, 2, 7, 6, dtype=torch.float64, requires_grad=True)
    b = torch.randn(2, dtype=torch.float64, requires_grad=True)
    fu, fd = torch.randn(6), torch.randn(4)

    def run(x, b):
        return filtered_lrelu.filtered_lrelu(x, fu, fd, b, up=2, down=2, padding=padding, clamp=3)

    def gradient(x, b):
        return torch.autograd.grad(run(x, b).square().sum(), x, create_graph=True)[0]

    assert torch.autograd.gradcheck(run, (x, b))
    assert torch.autograd.gradgradcheck(run, (x, b))
    assert torch.autograd.gradgradcheck(gradient, (x, b))


@pytest.mark.device
@pytest.mark.quick
def test_shared_memory_is_asked_for_as_the_kernel_lays_it_out():
    x = torch.empty(1, 1, 64, 64)
    for up, down, signs in ((2, 2, 1), (2, 2, 2), (4, 2, 0), (1, 1, 1)):
        f = torch.empty(12)
        variant, _ = filtered_lrelu_kernel.plan(
            x, (50, 50), f, f, up, down, 9, 8, 1.0, 1.0, 0.2, None, False, True, signs
        )
        assert host_kernels.library(variant).nbytes() == filtered_lrelu_kernel.shared_nbytes(variant)


def test_division_by_multiplication_is_exact():
    rng = random.Random(0)
    for _ in range(20000):
        d = rng.choice([rng.randint(1, 2**31 - 1), rng.randint(1, 5000)])
        n = rng.choice([rng.randint(0, 2**31 - 1), d * rng.randint(0, (2**31 - 1) // d), 2**31 - 1])
        by = divisor(d)
        assert ((n * by.multiplier >> 32) + n) >> by.shift == n // d
        assert by.multiplier < 2**32 and (n * by.multiplier >> 32) + n < 2**32


@pytest.mark.device
@pytest.mark.quick
def test_the_self_check_passes_right_kernels_and_names_a_wrong_one(monkeypatch):
    cpu = torch.device("cpu")
    assert self_check.problem(cpu) is None
    right = upfirdn2d.upfirdn2d_kernel.run
    for wrong in (lambda *a: right(*a) * 1.01, lambda *a: right(*a) * float("nan")):
        monkeypatch.setattr(upfirdn2d.upfirdn2d_kernel, "run", wrong)
        assert "upfirdn2d is off by" in self_check.problem(cpu)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")  # the compiler's own
@pytest.mark.parametrize("num_frames", [3, 1])
def test_networks_compile_without_graph_breaks(num_frames, make_generator, make_discriminator):
    G, D = make_generator(num_frames=num_frames), make_discriminator(num_frames=num_frames)
    c = torch.tensor([[0.0, 4.0, 9.0]])[:, :num_frames].repeat(4, 1)
    ws = G.mapping(torch.randn(4, G.z_dim), c).detach()
    synthesise, judge = (
        torch.compile(f, backend="aot_eager", fullgraph=True) for f in (G.synthesis.forward, D.forward)
    )
    results = []
    for synthesis, discriminator in ((G.synthesis, D), (synthesise, judge)):
        loss = discriminator(synthesis(ws), c).square().sum()
        results.append([loss, *torch.autograd.grad(loss, [*G.synthesis.parameters(), *D.parameters()])])
    for ours, expected in zip(*results, strict=True):
        _agree(ours, expected, 1e-4)
