"""Which number types blocks compute in."""

import pytest
import torch

from stylegan_v_ext.networks import precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("bfloat16", [False, True])
def test_types_by_device(bfloat16):
    on_cpu = torch.bfloat16 if bfloat16 else torch.float32
    with precision.bfloat16_on_cpu(bfloat16):
        assert precision.working_dtype(CPU, use_fp16=False) == precision.working_dtype(CPU, use_fp16=True) == on_cpu
        assert precision.working_dtype(CPU, use_fp16=False, force_fp32=True) == torch.float32
    assert precision.working_dtype(CPU, use_fp16=False) == torch.float32
    assert precision.working_dtype(CUDA, use_fp16=True) == torch.float16
    assert precision.working_dtype(CUDA, use_fp16=False) == torch.float32
    for device in (CPU, CUDA, torch.device("mps")):
        assert precision.working_dtype(device, use_fp16=True, force_fp32=True) == torch.float32
    assert precision.working_dtype(torch.device("mps"), use_fp16=True) == torch.float32


@pytest.mark.parametrize(
    ("capabilities", "fast"), [({"amx_bf16": True}, True), ({"amx_bf16": False}, False), ({}, False)]
)
def test_only_matrix_units_make_bfloat16_fast(capabilities, fast, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert precision.has_fast_bfloat16() is fast


def test_an_older_pytorch_does_not_know(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not precision.has_fast_bfloat16()


def test_motion_and_pictures_stay_in_float32(make_generator):
    generator = make_generator().eval()
    types = {}
    for name, module in generator.named_modules():
        if name.startswith("synthesis.") and name.endswith(("conv0", "conv1")):
            module.register_forward_hook(lambda module, args, y, name=name: types.update({name: y.dtype}))
    with precision.bfloat16_on_cpu(True):
        strip = generator(torch.randn(2, generator.z_dim), torch.tensor([[0.0, 4.0, 9.0]]).expand(2, -1))
    assert types.pop("synthesis.b4.conv1") == strip.dtype == torch.float32
    assert set(types.values()) == {torch.bfloat16}
