"""`stylegan-v doctor` on machines of several kinds."""

import sys

import torch
from click.testing import CliRunner

from stylegan_v_ext.cli.main import main
from stylegan_v_ext.networks import precision
from tests.host.conftest import make_host
from torch_utils import custom_ops, self_check


def _doctor():
    return CliRunner().invoke(main, ["doctor"])


def test_all_is_well_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("STYLEGAN_HOST", raising=False)
    monkeypatch.delenv("STYLEGAN_V_DETECTORS", raising=False)
    result = _doctor()
    assert result.exit_code == 0, result.output
    assert "FIX" not in result.output
    assert "PyTorch" in result.output and "ffmpeg version" in result.output


def test_a_cpu_that_is_made_for_bfloat16_is_named(monkeypatch):
    assert "ok   CPU                   float32" in _doctor().output
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: True)
    assert "ok   CPU                   bfloat16 by matrix units (AMX)" in _doctor().output


def test_a_missing_ffmpeg_comes_with_its_remedy(monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    result = _doctor()
    assert result.exit_code == 1
    assert "FIX  ffmpeg" in result.output and "pip install imageio-ffmpeg" in result.output


def test_a_missing_decoder_comes_with_its_remedy(monkeypatch):
    assert "ok   PyAV" in _doctor().output
    monkeypatch.setitem(sys.modules, "av", None)
    result = _doctor()
    assert result.exit_code == 1 and "FIX  PyAV" in result.output and "pip install av" in result.output


def test_a_host_and_detectors_are_looked_for_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("STYLEGAN_HOST", str(make_host(tmp_path / "stylegan3", "stylegan3")))
    monkeypatch.setenv("STYLEGAN_V_DETECTORS", str(tmp_path))
    output = _doctor().output
    assert f"ok   host                  stylegan3 in {tmp_path / 'stylegan3'}" in output
    assert f"ok   detector              vgg16.pt: not in {tmp_path}, downloaded when a metric needs it" in output
    (tmp_path / "i3d_torchscript.pt").touch()
    assert f"ok   detector              {tmp_path / 'i3d_torchscript.pt'}" in _doctor().output
    monkeypatch.setenv("STYLEGAN_V_DETECTORS", str(tmp_path / "nothing"))
    monkeypatch.setenv("STYLEGAN_HOST", str(tmp_path / "nowhere"))
    output = _doctor().output
    assert "FIX  host                  STYLEGAN_HOST: " in output
    assert f"FIX  detectors             STYLEGAN_V_DETECTORS={tmp_path / 'nothing'} is no folder" in output


def _pretend_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Imaginary 9000")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: type("P", (), {"total_memory": 80 * 2**30}))


def test_missing_bindings_come_with_their_remedy(monkeypatch):
    def missing():
        raise custom_ops.KernelUnavailable('cuda-bindings is not installed: pip install "cuda-bindings==13.*"')

    _pretend_gpu(monkeypatch)
    monkeypatch.setattr(custom_ops, "_bindings", missing)
    result = _doctor()
    assert result.exit_code == 1
    assert "Imaginary 9000, sm_90, 80 GiB" in result.output
    assert "FIX  NVRTC" in result.output and "pip install" in result.output


def test_every_op_is_compared_with_its_reference(monkeypatch):
    _pretend_gpu(monkeypatch)
    monkeypatch.setattr(custom_ops, "nvrtc_version", lambda: "13.0")
    monkeypatch.setattr(self_check, "CHECKS", {"bias_act": lambda device: 1e-7, "upfirdn2d": lambda device: 0.5})
    result = _doctor()
    assert result.exit_code == 1
    assert "ok   bias_act, GPU 0" in result.output and "FIX  upfirdn2d, GPU 0" in result.output
