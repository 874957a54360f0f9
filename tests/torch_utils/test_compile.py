"""Every kind of kernel variant, compiled by NVRTC for GPUs that are not there; the disk cache around it."""

import importlib.util
import itertools
import subprocess
import sys

import pytest
import torch

from torch_utils import custom_ops
from torch_utils.ops import bias_act_kernel, filtered_lrelu_kernel, upfirdn2d_kernel

ARCHS = (80, 90, 100)
LAYOUTS = (torch.contiguous_format, torch.channels_last)


def _has_nvrtc():
    if importlib.util.find_spec("cuda") is None:
        return False
    try:
        return bool(custom_ops._bindings())
    except custom_ops.KernelUnavailable:
        return False


pytestmark = pytest.mark.skipif(not _has_nvrtc(), reason="needs cuda-bindings and NVRTC")


def _images(dtype, layout, channels=32):
    return torch.empty(4, channels, 20, 24, dtype=dtype).contiguous(memory_format=layout)


def _upfirdn2d_variants(dtype):
    for layout, (up, down), taps in itertools.product(LAYOUTS, ((1, 1), (2, 1), (1, 2)), ((4, 4), (1, 12), (12, 1))):
        x, f, padding = _images(dtype, layout), torch.empty(taps), [6, 5, 6, 5]
        y = upfirdn2d_kernel.empty_like_layout(x, upfirdn2d_kernel.output_size(x, f, [up] * 2, [down] * 2, padding))
        yield upfirdn2d_kernel.plan(x, y, f, [up] * 2, [down] * 2, padding, False, 1.0).variant
    x, f = _images(dtype, LAYOUTS[0]), torch.empty(19, 23)
    y = upfirdn2d_kernel.empty_like_layout(x, upfirdn2d_kernel.output_size(x, f, [3, 2], [1, 4], [20] * 4))
    yield upfirdn2d_kernel.plan(x, y, f, [3, 2], [1, 4], [20] * 4, True, 1.0).variant


def _bias_act_variants(dtype):
    for layout, order, act in itertools.product(LAYOUTS, range(3), bias_act_kernel.ACTS):
        x = _images(dtype, layout)
        yield bias_act_kernel.plan(x, order, act, 0.2, 1.4, 2.0, bias=torch.empty(32))[0]
    rows, noise = torch.empty(2, 32), torch.empty(2, 20, 24)
    x = _images(dtype, torch.channels_last)
    for order, sums, (scale, noise_rows, after) in itertools.product(
        (0, 1), (False, True), itertools.product((None, rows), (None, noise), (None, rows))
    ):
        if sums <= order:
            beside = {"scale": scale, "noise": noise_rows, "after": after}
            beside = {name: tensor for name, tensor in beside.items() if tensor is not None}
            yield bias_act_kernel.plan(x, order, "lrelu", 0.2, 1.4, None, sums=sums, **beside)[0]


def _filtered_lrelu_variants(dtype):
    x = _images(dtype, LAYOUTS[0])
    for (up, down, taps), signs in itertools.product(((2, 2, 12), (4, 2, 24), (2, 4, 12), (1, 1, 1)), range(3)):
        f = torch.empty(taps)
        yield filtered_lrelu_kernel.plan(
            x, (40, 40), f, f, up, down, 9, 9, 4.0, 1.4, 0.2, 256.0, False, signs < 2, signs
        )[0]


@pytest.mark.parametrize("arch", [pytest.param(arch, marks=[pytest.mark.nightly] * (arch != 90)) for arch in ARCHS])
@pytest.mark.parametrize("dtype", custom_ops.SCALARS, ids=str)
@pytest.mark.parametrize("variants", [_upfirdn2d_variants, _bias_act_variants, _filtered_lrelu_variants])
def test_every_kind_of_variant_compiles(variants, dtype, arch):
    seen = {}
    for variant in variants(dtype):
        sources = custom_ops.sources_of(variant)
        seen.setdefault(variant, custom_ops._compile(custom_ops._bindings()[1], variant, sources, arch))
    assert len(seen) > 10
    assert all(code[:4] == b"\x7fELF" for code in seen.values())


VARIANT = next(_upfirdn2d_variants(torch.float32))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(custom_ops, "_states", {})
    return tmp_path / "kernels"


def test_a_kernel_is_compiled_once_and_then_read(cache):
    first, second = (custom_ops.compiled(VARIANT, 90) for _ in range(2))
    assert first == second
    assert (custom_ops.state("upfirdn2d").compiled, custom_ops.state("upfirdn2d").cached) == (1, 1)
    assert custom_ops.compiled(VARIANT, 80) != first


def test_a_damaged_cache_file_is_made_anew(cache):
    code = custom_ops.compiled(VARIANT, 90)
    (file,) = cache.glob("*.bin")
    for content in (file.read_bytes()[:-5], b"", b"x" * len(code)):
        file.write_bytes(content)
        assert custom_ops.compiled(VARIANT, 90) == code


def test_a_cache_that_cannot_be_written_costs_time_only(cache):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    assert custom_ops.compiled(VARIANT, 90)[:4] == b"\x7fELF"


def test_a_killed_process_leaves_no_lock_behind(cache):
    code = custom_ops.compiled(VARIANT, 90)
    (file,) = cache.glob("*.bin")
    file.unlink()
    script = (
        "import sys, time; from pathlib import Path; from torch_utils import kernel_cache\n"
        "with kernel_cache.lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    assert custom_ops.compiled(VARIANT, 90) == code


def test_an_architecture_after_this_nvrtc_gets_portable_code(cache):
    assert b".version" in custom_ops.compiled(VARIANT, 999)


def test_an_architecture_before_this_nvrtc_is_named(cache):
    with pytest.raises(custom_ops.KernelUnavailable, match="not 35"):
        custom_ops.compiled(VARIANT, 35)


def test_what_does_not_compile_says_why(cache):
    broken = custom_ops.Variant("upfirdn2d", (*VARIANT.macros, ("UP_Y", "nonsense")))
    with pytest.raises(custom_ops.KernelUnavailable, match="does not compile for sm_90"):
        custom_ops.compiled(broken, 90)
