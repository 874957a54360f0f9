"""The kernels on a GPU: against the references, under autocast, in CUDA graphs, under torch.compile.

One test runs the others on a CPU, so that they are tested too.
"""

import pytest
import torch

from torch_utils import custom_ops
from torch_utils.ops import bias_act, filtered_lrelu, upfirdn2d

pytestmark = pytest.mark.device

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5, torch.float16: 3e-3, torch.bfloat16: 2e-2}
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(params=["cuda"])
def device(device):
    """CUDA alone."""
    return device


def _images(*shape, device="cuda", dtype=torch.float32, layout=torch.contiguous_format):
    return torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=layout)


def _agree(ours, reference, tolerance):
    assert ours.shape == reference.shape
    ours, reference = ours.detach().double(), reference.detach().double()
    assert (ours - reference).abs().max() < tolerance * max(float(reference.abs().max()), 1e-3)


def _with_gradients(function, *tensors):
    """The result, the gradients, and gradients of those, zeros if there is no way back."""
    leaves = [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in tensors]
    y = function(*leaves)
    weights = torch.linspace(-1, 2, y.numel(), device=y.device, dtype=torch.float64).reshape(y.shape).to(y.dtype)
    first = torch.autograd.grad((y * weights).sum(), leaves, create_graph=True)
    total = sum((g.square() * 0.5).sum() for g in first)
    second = torch.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else [None] * len(leaves)
    return [y, *first, *(torch.zeros_like(t) if g is None else g for t, g in zip(leaves, second, strict=True))]


def test_kernels_are_in_force(device):
    assert custom_ops.problem(0) is None
    assert custom_ops.wanted(torch.zeros(1, device="cuda"))


@pytest.mark.parametrize("dtype", custom_ops.SCALARS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("taps", [(4, 4), (12,)])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2)])
def test_upfirdn2d_equals_the_reference(device, dtype, layout, taps, up, down):
    x = _images(3, 16, 37, 41, device=device, dtype=torch.float64, layout=layout)
    f = torch.rand(taps, device=device) + 0.1
    f = f / f.sum()
    arguments = dict(up=up, down=down, padding=[5, 7, 6, 4], gain=1.3)
    ours = _with_gradients(lambda x: upfirdn2d.upfirdn2d(x, f, **arguments), x.to(dtype))
    reference = _with_gradients(lambda x: upfirdn2d.upfirdn2d(x, f, **arguments, impl="ref"), x.to(dtype).double())
    assert device.type == "cpu" or ours[0].is_contiguous(memory_format=layout)
    for a, b in zip(ours[:2], reference[:2], strict=True):
        _agree(a, b, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", custom_ops.SCALARS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("act", bias_act.activation_funcs)
def test_bias_act_equals_the_reference(device, dtype, layout, act):
    x, b = _images(3, 24, 9, 16, device=device, dtype=dtype, layout=layout), torch.randn(24, device=device)
    ours = _with_gradients(lambda x, b: bias_act.bias_act(x, b, act=act, clamp=1.2), x, b)
    reference = _with_gradients(
        lambda x, b: bias_act.bias_act(x, b, act=act, clamp=1.2, impl="ref"), x.double(), b.double()
    )
    _agree(ours[0], reference[0], TOLERANCE[dtype])
    if dtype in (torch.float32, torch.float64):  # in 16 bits some elements fall on the other side of a bend
        for a, c in zip(ours, reference, strict=True):
            _agree(a, c, 1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("channels", [8, 24, 512])
def test_scaled_bias_act_equals_its_composition(device, dtype, channels):
    x = _images(6, channels, 45, 40, device=device, dtype=dtype, layout=torch.channels_last)
    scale, b, after = (torch.rand(shape, device=device) + 0.5 for shape in ([2, channels], [channels], [2, channels]))
    noise = torch.randn(2, 45, 40, device=device)
    results = []
    for function, precision in ((bias_act.scaled_bias_act, dtype), (bias_act._scaled_composed, torch.float64)):
        leaves = [t.detach().to(precision).requires_grad_() for t in (x, scale, b, after)]
        settings = dict(act="swish", gain=1.4, clamp=2.0)
        if precision == torch.float64:
            settings["alpha"] = 0.0
        y = function(*leaves[:3], noise.to(precision), leaves[3], **settings)
        weights = torch.linspace(-1, 2, y.numel(), device=device).reshape(y.shape)
        results.append([y, *torch.autograd.grad((y * weights).sum(), leaves)])
    for ours, reference in zip(*results, strict=True):
        _agree(ours, reference, 5e-3 if dtype == torch.float16 else 1e-4)


@pytest.mark.parametrize("dtype", custom_ops.SCALARS)
@pytest.mark.parametrize(("up", "down", "taps"), [(2, 2, 12), (4, 2, 24), (2, 4, 16), (1, 1, 1)])
def test_filtered_lrelu_equals_the_reference(device, dtype, up, down, taps):
    x, b = _images(2, 5, 67, 92, device=device, dtype=dtype), torch.randn(5, device=device).to(dtype)
    f = torch.rand(taps, device=device) + 0.1
    f = f / f.sum()
    arguments = dict(fu=f, fd=f, up=up, down=down, padding=[9, 12, 8, 13], clamp=None)
    results = []
    for impl, precision in (("cuda", dtype), ("ref", torch.float64)):
        results.append(
            _with_gradients(
                lambda x, b, impl=impl: filtered_lrelu.filtered_lrelu(x, b=b, impl=impl, **arguments),
                x.to(precision), b.to(precision),
            )
        )  # fmt: skip
    for ours, reference in zip(results[0][:2], results[1][:2], strict=True):
        _agree(ours, reference, TOLERANCE[dtype] * 3)


def test_double_backward_equals_the_reference(device):
    x, b = _images(2, 4, 20, 24, device=device, dtype=torch.float64), torch.randn(4, device=device, dtype=torch.float64)
    f = torch.rand(6, device=device)

    def run(x, b, impl):
        y = upfirdn2d.upfirdn2d(x, f, up=2, padding=4, impl=impl)
        y = bias_act.bias_act(y, b, act="swish", impl=impl)
        return filtered_lrelu.filtered_lrelu(y, fu=f, fd=f, b=b, up=2, down=2, padding=5, impl=impl)

    ours, reference = (_with_gradients(lambda x, b, impl=impl: run(x, b, impl), x, b) for impl in ("cuda", "ref"))
    for a, c in zip(ours, reference, strict=True):
        _agree(a, c, 1e-6)


def _chain(x, b, f):
    y = upfirdn2d.upfirdn2d(x, f, up=2, padding=[2, 1, 2, 1], gain=4)
    y = bias_act.bias_act(y, b, act="lrelu", clamp=2)
    return filtered_lrelu.filtered_lrelu(y, fu=f[0], fd=f[0], b=b, up=2, down=2, padding=3)


def test_cuda_graphs_record_the_kernels(device):
    x, b, f = _images(2, 8, 16, 16), torch.randn(8, device="cuda"), torch.rand(4, 4, device="cuda")
    expected = [_chain(x * scale, b, f) for scale in (1, 3)]
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        _chain(x, b, f)
    torch.cuda.synchronize()
    graph, held = torch.cuda.CUDAGraph(), x.clone()
    with torch.cuda.graph(graph):
        y = _chain(held, b, f)
    for scale, wanted in zip((1, 3), expected, strict=True):
        held.copy_(x * scale)
        graph.replay()
        assert torch.equal(y, wanted)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_without_graph_breaks(device):
    x = _images(2, 8, 16, 16, layout=torch.channels_last).requires_grad_()
    b, f = torch.randn(8, device="cuda", requires_grad=True), torch.rand(4, 4, device="cuda")
    compiled = torch.compile(_chain, fullgraph=True)
    results = [[y, *torch.autograd.grad(y.square().sum(), (x, b))] for y in (compiled(x, b, f), _chain(x, b, f))]
    for a, c in zip(*results, strict=True):
        _agree(a, c, 1e-5)


def test_autocast_leaves_the_type_of_the_input(device):
    b, f = torch.randn(8, device=device), torch.rand(4, 4, device=device)
    x = _images(2, 8, 16, 16, device=device, dtype=torch.float16)
    with torch.autocast(device.type, dtype=torch.float16):
        y = bias_act.bias_act(
            torch.nn.functional.conv2d(x.float(), torch.randn(8, 8, 1, 1, device=device)), b, act="lrelu"
        )
        assert y.dtype == torch.float16
        assert upfirdn2d.upfirdn2d(y, f).dtype == torch.float16


def test_a_launch_on_another_stream_waits_for_it(device):
    x, f = _images(8, 64, 128, 128), torch.rand(4, 4, device="cuda")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        y = upfirdn2d.upfirdn2d(x * 2, f, padding=2)
    stream.synchronize()
    _agree(y, upfirdn2d.upfirdn2d(x * 2, f, padding=2, impl="ref"), 1e-5)


def test_a_cpu_passes_these_tests_with_the_references():
    cpu = torch.device("cpu")
    test_upfirdn2d_equals_the_reference(cpu, torch.float32, torch.channels_last, (12,), 2, 1)
    for act in bias_act.activation_funcs:
        test_bias_act_equals_the_reference(cpu, torch.float32, torch.channels_last, act)
    test_scaled_bias_act_equals_its_composition(cpu, torch.float32, 8)
    test_filtered_lrelu_equals_the_reference(cpu, torch.float32, 2, 2, 12)
    test_double_backward_equals_the_reference(cpu)
    test_autocast_leaves_the_type_of_the_input(cpu)
