"""Ops against golden numbers, float64 references and numerical derivatives of first and second order."""

import ast
import itertools
import types

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from tests.conftest import relative_error
from torch_utils.ops import (
    bias_act,
    conv2d_ending,
    conv2d_gradfix,
    conv2d_resample,
    fma,
    grid_sample_gradfix,
    upfirdn2d,
)
from torch_utils.ops.filtered_lrelu import filtered_lrelu

TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def ops(golden):
    return golden("ops")


def case(ops, name):
    return ast.literal_eval(str(ops.arrays[name]))


@pytest.mark.parametrize("i", range(8))
def test_upfirdn2d_matches_golden_numbers(ops, i):
    filter_name, kwargs = case(ops, f"up{i}_case")
    assert relative_error(upfirdn2d.upfirdn2d(ops["x"], ops[filter_name], **kwargs), ops[f"up{i}"]) < TOLERANCE


def test_filter_upsample_and_downsample_match_golden_numbers(ops):
    x, f4 = ops["x"], ops["f4"]
    assert relative_error(upfirdn2d.filter2d(x, f4, padding=1), ops["filter2d"]) < TOLERANCE
    assert relative_error(upfirdn2d.upsample2d(x, f4), ops["upsample2d"]) < TOLERANCE
    assert relative_error(upfirdn2d.downsample2d(x, f4), ops["downsample2d"]) < TOLERANCE


@pytest.mark.parametrize("impl", ["ref", "cuda"])
@pytest.mark.parametrize("act", list(bias_act.activation_funcs))
def test_bias_act_matches_golden_numbers(ops, act, impl):
    x, b = ops["x"], ops["b"]
    assert relative_error(bias_act.bias_act(x, b, act=act, impl=impl), ops[f"bias_act_{act}"]) < TOLERANCE
    clamped = bias_act.bias_act(x, b, act=act, gain=2, clamp=0.5, impl=impl)
    assert relative_error(clamped, ops[f"bias_act_{act}_g2_c05"]) < TOLERANCE


def test_filtered_lrelu_matches_golden_numbers(ops):
    y = filtered_lrelu(
        ops["x"], ops["fu"], ops["fd"], ops["b"], up=2, down=2, padding=[9, 8, 10, 8], gain=1.3, slope=0.1, clamp=0.8
    )
    assert relative_error(y, ops["filtered_lrelu"]) < TOLERANCE


@pytest.mark.parametrize("i", range(6))
def test_conv2d_resample_matches_golden_numbers(ops, i):
    y = conv2d_resample.conv2d_resample(ops["x"], ops["w"], ops["f4"], **case(ops, f"resample{i}_case"))
    assert relative_error(y, ops[f"resample{i}"]) < TOLERANCE


def naive_upfirdn(x, f, up, down, padding, flip_filter, gain):
    """The definition, written out: zeros between pixels, padding or cropping, a full 2-D filter, every n-th pixel."""
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, h * up[1], w * up[0])
    wide[:, :, :: up[1], :: up[0]] = x
    wide = F.pad(wide, padding)
    f = (f if f.ndim == 2 else torch.outer(f, f)).to(x.dtype)
    f = f if flip_filter else f.flip([0, 1])
    fh, fw = f.shape
    out_h, out_w = wide.shape[2] - fh + 1, wide.shape[3] - fw + 1
    y = sum(f[i, j] * wide[:, :, i : i + out_h, j : j + out_w] for i in range(fh) for j in range(fw))
    return gain * y[:, :, :: down[1], :: down[0]]


def upfirdn_cases():
    filters = {"none": None, "four": [1, 3, 3, 1], "long": list(range(1, 10)), "flat": [[1.0, 2, 0], [0, -1, 3]]}
    factors = [(1, 1), (2, 1), (1, 2), (2, 3)]
    paddings = [(0, 0, 0, 0), (5, 4, 6, 7), (3, -1, -2, 9)]
    return [
        (filters[f], up, down, padding, flip)
        for f, (up, down), padding, flip in itertools.product(filters, factors, paddings, [False, True])
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_upfirdn2d_equals_its_definition_in_float64(channels):
    x = torch.randn(2, channels, 9, 11, dtype=torch.float64)
    compared = 0
    for taps, up, down, padding, flip in upfirdn_cases():
        f = upfirdn2d.setup_filter(taps, normalize=False)
        up, down = (up, up + 1), (down + 1, down)
        expected = naive_upfirdn(x, f, up, down, padding, flip, 1.5)
        ours = upfirdn2d.upfirdn2d(x, f, up=up, down=down, padding=padding, flip_filter=flip, gain=1.5)
        assert ours.shape == expected.shape and torch.allclose(ours, expected, atol=1e-12)
        compared += 1
    assert compared == 96


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], list(range(1, 10)), [[1.0, 2, 0], [0, -1, 3]]])
@pytest.mark.parametrize(("up", "down", "padding"), [(1, 1, 2), (2, 1, [3, 0, -1, 4]), (1, 2, [4, 5, 2, 3]), (3, 2, 4)])
def test_upfirdn2d_derivatives(taps, up, down, padding):
    f = upfirdn2d.setup_filter(taps).double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)

    def fn(x):
        return upfirdn2d.upfirdn2d(x, f, up=up, down=down, padding=padding)

    assert gradcheck(fn, x) and gradgradcheck(fn, x)


def test_upsampling_keeps_brightness():
    f = upfirdn2d.setup_filter([1, 3, 3, 1])
    inside = upfirdn2d.upsample2d(torch.ones(1, 2, 8, 8), f)[:, :, 2:-2, 2:-2]
    assert torch.allclose(inside, torch.ones_like(inside))


def test_filters_of_eight_taps_and_more_stay_separable():
    assert upfirdn2d.setup_filter(range(1, 9)).ndim == 1
    assert upfirdn2d.setup_filter([1, 2, 1]).shape == (3, 3)
    assert float(upfirdn2d.setup_filter([1, 2, 1], gain=4).sum()) == pytest.approx(4)
    assert upfirdn2d.setup_filter(None).tolist() == [[1]]


@pytest.mark.parametrize("clamp", [None, 0.6])
@pytest.mark.parametrize("act", list(bias_act.activation_funcs))
def test_bias_act_derivatives(act, clamp):
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    b = torch.randn(3, dtype=torch.float64, requires_grad=True)

    def fn(x, b):
        return bias_act.bias_act(x, b, act=act, clamp=clamp)

    assert gradcheck(fn, (x, b)) and gradgradcheck(fn, (x, b))


@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_fast_bias_act_equals_its_composed_twin(act, clamp):
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    b = torch.randn(3, dtype=torch.float64, requires_grad=True)
    results = []
    for impl in ("ref", "cuda"):
        y = bias_act.bias_act(x, b, act=act, clamp=clamp, impl=impl)
        (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        ddx, ddb = torch.autograd.grad(dx.square().sum(), (x, b))
        results.append((y, dx, ddx, ddb))
    for ours, reference in zip(*results, strict=True):
        assert torch.allclose(ours, reference, atol=1e-12)


@pytest.mark.parametrize("act", list(bias_act.activation_funcs))
def test_a_gain_that_moves_to_the_input_leaves_the_result(act):
    x, b = torch.randn(2, 3, 4, 5), torch.randn(3)
    before, left = bias_act.gain_before(act, 1.5, x.device)
    assert (before == 1.5) is (act in ("linear", "relu", "lrelu")) and before * left == 1.5
    moved = bias_act.bias_act(x * before, b * before, act=act, gain=left, clamp=1)
    assert torch.allclose(moved, bias_act.bias_act(x, b, act=act, gain=1.5, clamp=1), atol=1e-6)
    assert bias_act.gain_before(act, 1.5, torch.device("cuda")) == (1, 1.5)
    assert bias_act.gain_before(act, -1.5, x.device) == (1, -1.5)


def test_bias_act_does_not_write_into_its_input():
    x = torch.randn(2, 3)
    before = x.clone()
    bias_act.bias_act(x, None, act="lrelu", clamp=0.1)
    bias_act.bias_act(x, torch.ones(3), act="lrelu")
    assert torch.equal(x, before)


def test_filtered_lrelu_derivatives():
    fu, fd = upfirdn2d.setup_filter([1, 3, 3, 1]).double(), upfirdn2d.setup_filter(range(1, 9)).double()
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    b = torch.randn(2, dtype=torch.float64, requires_grad=True)

    def fn(x, b):
        return filtered_lrelu(x, fu, fd, b, up=2, down=2, padding=5, clamp=2)

    assert gradcheck(fn, (x, b)) and gradgradcheck(fn, (x, b))


@pytest.mark.parametrize(("up", "down", "k"), [(1, 1, 3), (2, 1, 3), (1, 2, 3), (1, 2, 1), (2, 1, 1)])
def test_conv2d_resample_derivatives(up, down, k):
    f = upfirdn2d.setup_filter([1, 3, 3, 1]).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(3, 2, k, k, dtype=torch.float64, requires_grad=True)

    def fn(x, w):
        return conv2d_resample.conv2d_resample(x, w, f, up=up, down=down, padding=k // 2)

    assert gradcheck(fn, (x, w)) and gradgradcheck(fn, (x, w))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("flip_weight", [True, False])
def test_conv2d_resample_equals_resampling_around_a_convolution(groups, flip_weight):
    f = upfirdn2d.setup_filter([1, 3, 3, 1]).double()
    x, w = torch.randn(2, 4, 8, 8, dtype=torch.float64), torch.randn(6, 4 // groups, 3, 3, dtype=torch.float64)
    kernel = w if flip_weight else w.flip([2, 3])
    kwargs = dict(padding=1, groups=groups, flip_weight=flip_weight)

    enlarged = F.conv2d(upfirdn2d.upsample2d(x, f), kernel, padding=1, groups=groups)
    ours = conv2d_resample.conv2d_resample(x, w, f, up=2, **kwargs)
    inside = slice(2, -2)  # at the borders the two pad at different stages
    assert torch.allclose(ours[:, :, inside, inside], enlarged[:, :, inside, inside])

    shrunk = upfirdn2d.downsample2d(F.conv2d(x, kernel, padding=1, groups=groups), f)
    ours = conv2d_resample.conv2d_resample(x, w, f, down=2, **kwargs)
    assert torch.allclose(ours[:, :, 1:-1, 1:-1], shrunk[:, :, 1:-1, 1:-1])


def test_r1_computes_no_weight_gradients_in_its_first_pass():
    """The flag has nothing to do because autograd leaves them out by itself."""
    from torch.utils._python_dispatch import TorchDispatchMode

    masks = []

    class Spy(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.convolution_backward.default:
                masks.append(args[-1])
            return func(*args, **(kwargs or {}))

    x, w = torch.randn(1, 2, 6, 6, requires_grad=True), torch.randn(3, 2, 3, 3, requires_grad=True)
    y = conv2d_gradfix.conv2d(x, w, padding=1)
    with Spy(), conv2d_gradfix.no_weight_gradients():
        assert conv2d_gradfix.weight_gradients_disabled
        torch.autograd.grad(y.sum(), x, create_graph=True)
    assert not conv2d_gradfix.weight_gradients_disabled
    assert [mask[:2] for mask in masks] == [[True, False]]


def test_convolutions_are_pytorchs():
    x, w, b = torch.randn(1, 4, 6, 6), torch.randn(4, 4, 3, 3), torch.randn(4)
    assert torch.equal(conv2d_gradfix.conv2d(x, w, b, stride=2, padding=1), F.conv2d(x, w, b, 2, 1))
    ours = conv2d_gradfix.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1)
    assert torch.equal(ours, F.conv_transpose2d(x, w, b, 2, 1, 1))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 1, 1, 1), (2, (0, 1), 1, 2), ((1, 2), 2, 2, 1)]
)
def test_convolutions_are_differentiable_any_number_of_times(transposed, stride, padding, dilation, groups):
    x = torch.randn(2, 4, 6, 5, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 4 // groups, 3, 2, dtype=torch.float64, requires_grad=True)
    b = torch.randn(4, dtype=torch.float64, requires_grad=True)
    settings = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)

    def fn(x, w, b):
        function = conv2d_gradfix.conv_transpose2d if transposed else conv2d_gradfix.conv2d
        return function(x, w, b, **settings)

    def third(x, w):
        (dx,) = torch.autograd.grad(fn(x, w, b).pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(dx.square().sum(), (x, w), create_graph=True)

    assert torch.equal(fn(x, w, b), (F.conv_transpose2d if transposed else F.conv2d)(x, w, b, **settings))
    assert gradcheck(fn, (x, w, b)) and gradgradcheck(fn, (x, w, b)) and gradcheck(third, (x, w))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
@pytest.mark.parametrize(
    ("up", "down", "k", "clips", "filtered"),
    [
        (1, 1, 3, 1, True), (1, 1, 1, 1, True), (2, 1, 3, 1, True), (1, 2, 3, 1, True), (2, 1, 3, 1, False),
        (1, 1, 3, 3, True), (2, 1, 3, 3, True), (2, 2, 3, 3, True), (2, 1, 3, 3, False), (1, 2, 1, 3, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_endings_in_the_same_pass_change_nothing(act, up, down, k, clips, filtered, clamp, monkeypatch):
    x = torch.randn(6, 4, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    w = torch.randn([clips, 5, 4, k, k] if clips > 1 else [5, 4, k, k], requires_grad=True)
    b, f = torch.randn(5, requires_grad=True), upfirdn2d.setup_filter([1, 3, 3, 1]) if filtered else None

    def results():
        y = conv2d_resample.conv2d_resample_bias_act(
            x, w, f, b, up=up, down=down, padding=k // 2, flip_weight=up == 1, act=act, clamp=clamp
        )
        first = torch.autograd.grad(y.square().sum(), (x, w, b), create_graph=True)
        return y, *first, *torch.autograd.grad(first[0].square().sum(), (x, w))

    passes = []
    of = conv2d_ending.Ending.of
    monkeypatch.setattr(conv2d_ending.Ending, "of", lambda self, y: passes.append(self.b) or of(self, y))
    fused = results()
    assert all(bias is None for bias in passes)
    monkeypatch.setattr(conv2d_ending, "_types", lambda: ())
    for ours, expected in zip(fused, results(), strict=True):
        assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-4 * float(expected.detach().abs().max()))
    assert passes[-1] is b


ONEDNN = torch.ops.mkldnn
CHANGED_OPERATORS = {
    "missing": {},
    "other arguments": {"_convolution_pointwise": lambda x, w: x},
    "other values": {"_convolution_pointwise": lambda *args: ONEDNN._convolution_pointwise(*args) * 1.01},
}


@pytest.mark.parametrize("operators", CHANGED_OPERATORS.values(), ids=CHANGED_OPERATORS)
def test_endings_need_no_operator_of_onednn(operators, monkeypatch):
    """It is private to PyTorch: if it is missing or has changed, the ending is a pass of its own."""
    monkeypatch.setattr(torch.ops, "mkldnn", types.SimpleNamespace(**operators))
    conv2d_ending._types.cache_clear()
    try:
        assert conv2d_ending._types() == ()
        x, w, b = (torch.randn(size, requires_grad=True) for size in ([2, 4, 7, 7], [6, 2, 3, 3], [6]))
        ending = conv2d_ending.Ending(b, "lrelu", clamp=1.5)
        ours = conv2d_ending.conv2d(x, w, ending, stride=2, padding=1, groups=2)
    finally:
        conv2d_ending._types.cache_clear()
    expected = F.leaky_relu(F.conv2d(x, w, b, 2, 1, 1, 2), 0.2).clamp(-1.5, 1.5)
    assert torch.allclose(ours, expected, atol=1e-6)
    gradients = (torch.autograd.grad(y.square().sum(), (x, w, b)) for y in (ours, expected))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
def test_endings_fuse_in_float32_on_every_cpu_with_onednn():
    assert torch.float32 in conv2d_ending._types()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute")  # the compiler's own
@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
@pytest.mark.parametrize(("gain", "clamp"), [(None, None), (0.7, None), (1.0, 0.5), (2.0, 0.9)])
@pytest.mark.parametrize("biased", [False, True])
def test_compiled_activations_have_gradients(act, gain, clamp, biased):
    """An output that its function changed in place has a gradient of zero in PyTorch 2.11's compiler."""
    x, b = torch.randn(4, 6, requires_grad=True), torch.randn(6, requires_grad=True)
    factor = torch.randn(4, 6)

    def gradients(bias_act):
        y = bias_act(x * 2, b if biased else None, act=act, gain=gain, clamp=clamp)
        return y, *torch.autograd.grad((y * factor).sum(), (x, b) if biased else (x,))

    torch.compiler.reset()  # it compiles a function for a few sets of arguments alone
    compiled = torch.compile(bias_act.bias_act, backend="aot_eager", fullgraph=True)
    for ours, expected in zip(gradients(compiled), gradients(bias_act.bias_act), strict=True):
        assert torch.equal(ours, expected)
    assert expected.abs().sum() > 0


def test_endings_keep_one_output(monkeypatch):
    """Clips in parts are put together once, and the parts forgotten."""
    kept = []
    x, w, b = torch.randn(6, 4, 8, 8), torch.randn(3, 5, 4, 3, 3, requires_grad=True), torch.randn(5)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = conv2d_resample.conv2d_resample_bias_act(x, w, b=b, padding=1, act="lrelu")
    outputs = {t.untyped_storage().data_ptr() for t in kept if t.shape[1] == 5 and t.ndim == 4 and t.shape[2] == 8}
    assert outputs == {y.untyped_storage().data_ptr()}


def test_fma_broadcasts():
    a, b, c = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in [(2, 3), (1, 3), (2, 1)])
    assert torch.allclose(fma.fma(a, b, c), a * b + c)
    assert gradcheck(fma.fma, (a, b, c)) and gradgradcheck(fma.fma, (a, b, c))


def image_and_grid():
    image = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    grid = torch.rand(2, 4, 3, 2, dtype=torch.float64) * 2.6 - 1.3
    return image, grid


def test_grid_sample_equals_pytorchs_in_both_forms():
    image, grid = image_and_grid()
    expected = F.grid_sample(image, grid, align_corners=False)
    assert torch.allclose(grid_sample_gradfix.grid_sample(image, grid), expected)
    assert torch.allclose(grid_sample_gradfix.grid_sample(image, grid.requires_grad_()), expected)


def test_grid_sample_second_derivative_to_the_image():
    image, grid = image_and_grid()

    def fn(image):
        return grid_sample_gradfix.grid_sample(image, grid).square()

    assert gradcheck(fn, image.requires_grad_()) and gradgradcheck(fn, image)


def test_grid_sample_second_derivative_to_image_and_grid():
    image, grid = image_and_grid()
    inputs = image.requires_grad_(), grid.requires_grad_()
    assert gradcheck(grid_sample_gradfix.grid_sample, inputs) and gradgradcheck(grid_sample_gradfix.grid_sample, inputs)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bias_act.bias_act(torch.zeros(2, 3), act="gelu"), "not one of"),
        (lambda: bias_act.bias_act(torch.zeros(2, 3), torch.zeros(4)), "does not fit"),
        (lambda: upfirdn2d.upfirdn2d(torch.zeros(3, 4, 4), None), r"\[N, C, H, W\]"),
        (lambda: upfirdn2d.upfirdn2d(torch.zeros(1, 1, 2, 2), torch.ones(5, 5)), "smaller than the filter"),
        (lambda: upfirdn2d.upfirdn2d(torch.zeros(1, 1, 2, 2), None, up=0), "scaling factor"),
        (lambda: upfirdn2d.upfirdn2d(torch.zeros(1, 1, 2, 2), None, padding=[1, 2, 3]), "padding is"),
        (lambda: upfirdn2d.setup_filter([[1, 2], [3, 4]], separable=True), "cannot be made separable"),
        (lambda: upfirdn2d.setup_filter([]), "at least one tap"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_ops_agree_between_cpu_and_gpu(ops):
    x, f = ops["x"], ops["f12"]
    on_cpu = upfirdn2d.upfirdn2d(x, f, up=2, down=2, padding=6)
    on_gpu = upfirdn2d.upfirdn2d(x.cuda(), f.cuda(), up=2, down=2, padding=6)
    assert relative_error(on_gpu.cpu(), on_cpu) < 1e-5
