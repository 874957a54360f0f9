"""Where detectors come from, and that they stay the same."""

import pytest
import torch

from stylegan_v_ext.metrics import detectors
from tests.host.stand_in import I3D, write_detectors, write_torchscript

CPU = torch.device("cpu")


def test_a_local_detector_is_taken_before_any_download(tmp_path, monkeypatch):
    write_detectors(tmp_path)
    monkeypatch.setenv(detectors.ENVIRONMENT, str(tmp_path))
    detector = detectors.load_detector(detectors.I3D, CPU)
    clips = torch.randint(256, (2, 3, 4, 8, 8), dtype=torch.uint8)
    assert torch.equal(detector(clips, rescale=True, resize=True, return_features=True), I3D()(clips))


def test_a_file_that_is_no_torchscript_is_not_opened(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"not TorchScript")
    with pytest.raises(ValueError, match=r"x.pt is no TorchScript file"):
        detectors.load_torchscript(tmp_path / "x.pt", CPU)


def test_a_detector_that_cannot_be_had_comes_with_its_remedy(monkeypatch):
    asked = []

    def offline(url, **kwargs):
        asked.append(url)
        raise OSError("no network")

    monkeypatch.delenv(detectors.ENVIRONMENT, raising=False)
    monkeypatch.setattr(detectors.dnnlib.util, "open_url", offline)
    with pytest.raises(ValueError, match=r"set STYLEGAN_V_DETECTORS to that folder"):
        detectors.load_detector(detectors.I3D, CPU)
    assert tuple(asked) == detectors.DETECTORS[detectors.I3D].urls and len(asked) > 1


def test_another_file_under_the_same_name_is_refused(tmp_path, monkeypatch):
    write_detectors(tmp_path)
    monkeypatch.setenv(detectors.ENVIRONMENT, str(tmp_path))
    first = detectors.find_detector(detectors.I3D)
    assert detectors.recorded_sha256() == {detectors.I3D: detectors.sha256_of(first)}
    before = first.read_bytes()
    first.write_bytes(before + b"x")
    with pytest.raises(ValueError, match="is not the file that i3d_torchscript.pt was at first use"):
        detectors.find_detector(detectors.I3D)
    first.write_bytes(before)
    detectors.find_detector(detectors.I3D)
    first.write_bytes(before + b"x")
    detectors.record_path().unlink()
    detectors.find_detector(detectors.I3D)


def test_arguments_that_a_network_does_not_know_are_left_out(tmp_path):
    class Plain(torch.nn.Module):
        def forward(self, clips: torch.Tensor, resize: bool = False) -> torch.Tensor:
            return clips.float().flatten(1) + float(resize)

    write_torchscript(Plain(), tmp_path / "plain.pt")
    call = detectors.caller(detectors.load_torchscript(tmp_path / "plain.pt", CPU), {"resize": True, "rescale": True})
    assert torch.equal(call(torch.zeros(2, 1, 2, 2, 2, dtype=torch.uint8)), torch.ones(2, 8))
