"""Frechet video distance: its protocol, on features whose distance is known."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.metrics import detectors, fvd
from stylegan_v_ext.metrics.frechet import frechet_distance, mean_and_covariance
from tests.host.stand_in import I3D, write_detectors

SHORT = fvd.Protocol(8, num_clips=6)


class Recorder:
    """A detector that keeps what it is shown."""

    def __init__(self):
        self.clips = []

    def __call__(self, clips, rescale, resize, return_features):
        assert rescale and resize and return_features and clips.dtype == torch.uint8
        self.clips += list(clips)
        return I3D()(clips)


def compute(data, generator, protocol=SHORT, **kwargs):
    detector = Recorder()
    dataset_kwargs = dict(class_name="ignored", path=data, num_frames=3, **kwargs)
    distance = fvd.compute_fvd(protocol, generator, dataset_kwargs, detector, torch.device("cpu"))
    return distance, detector.clips


def test_the_distance_is_that_of_all_features_at_once(sky_zip, make_generator):
    distance, clips = compute(sky_zip, make_generator())
    assert len(clips) == 12 and all(clip.shape == (3, 8, 16, 16) for clip in clips)
    features = I3D()(torch.stack(clips)).double().numpy()
    expected = frechet_distance(*mean_and_covariance(features[:6]), *mean_and_covariance(features[6:]))
    assert distance == pytest.approx(expected, rel=1e-6)


def test_real_clips_are_one_a_video_from_offsets_that_never_change(sky_zip, make_generator):
    first, second = (compute(sky_zip, make_generator())[1][:6] for _ in range(2))
    np.random.rand(7)  # whatever the state of NumPy
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    dataset = SparseVideoDataset(sky_zip)
    starts = set()
    for video, clip in enumerate(first):
        frames = torch.from_numpy(dataset.read_video(video)).transpose(0, 1)
        (start,) = (s for s in range(33) if torch.equal(frames[:, s : s + 8], clip))
        starts.add(start)
    assert len(starts) > 2


def test_generated_clips_start_at_zero_and_depend_on_their_number_alone(sky_zip, make_generator):
    generator = make_generator()
    clips = compute(sky_zip, generator)[1][6:]
    more = compute(sky_zip, generator, fvd.Protocol(8, num_clips=9))[1][6:]
    assert all(torch.equal(a, b) for a, b in zip(clips, more, strict=False)) and len(more) == 9
    z = torch.from_numpy(np.random.RandomState(2).randn(1, 32)).float()
    with torch.no_grad():
        strip = generator.eval()(z, t=torch.arange(8.0)[None], noise_mode="const")
    frames = (strip.reshape(3, 8, 16, 16) * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    assert (frames.int() - clips[2].int()).abs().max() <= 1


def test_strides_reach_over_more_of_a_video(sky_zip, make_generator):
    clips = compute(sky_zip, make_generator(), fvd.Protocol(4, stride=8, num_clips=2))[1]
    frames = torch.from_numpy(SparseVideoDataset(sky_zip).read_video(0)).transpose(0, 1)
    assert any(torch.equal(frames[:, s : s + 25 : 8], clips[0]) for s in range(16))


def test_clips_are_batched_without_changing_the_result(sky_zip, make_generator, monkeypatch):
    generator = make_generator()
    distance, _ = compute(sky_zip, generator)
    for pixels in (1, 16 * 16 * 8 * 4):
        monkeypatch.setattr(fvd, "_PIXELS_AT_ONCE", pixels)
        assert compute(sky_zip, generator)[0] == pytest.approx(distance, rel=1e-9)


def test_classes_of_conditional_models_are_those_of_the_data(labelled_zip, make_generator):
    generator = make_generator(num_classes=2)
    seen = []
    mapping = generator.mapping.forward
    generator.mapping.forward = lambda z, c, **kwargs: (seen.append(c), mapping(z, c, **kwargs))[1]
    compute(labelled_zip, generator, fvd.Protocol(4, num_clips=12), use_labels=True)
    assert torch.cat(seen).sum(1).eq(1).all() and torch.cat(seen).sum(0).min() > 0


def test_too_few_long_videos_are_counted(sky_zip, make_generator):
    with pytest.raises(ValueError, match=r"0 of the 6 videos .* have the 128 frames"):
        compute(sky_zip, make_generator(), fvd.PROTOCOLS["fvd2048_128f"])


def test_statistics_of_parts_add_up():
    features = torch.randn(50, 7, dtype=torch.float64)
    stats = fvd.FeatureStats()
    for part in features.split(8):
        stats.add(part)
    mean, covariance = stats.mean_and_covariance()
    expected = mean_and_covariance(features.numpy())
    assert np.allclose(mean, expected[0]) and np.allclose(covariance, expected[1])


def test_a_local_detector_is_taken_before_any_download(tmp_path, monkeypatch):
    write_detectors(tmp_path)
    monkeypatch.setenv(detectors.ENVIRONMENT, str(tmp_path))
    detector = detectors.load_detector(detectors.I3D, torch.device("cpu"))
    clips = torch.randint(256, (2, 3, 4, 8, 8), dtype=torch.uint8)
    assert torch.equal(detector(clips, rescale=True, resize=True, return_features=True), I3D()(clips))
    (tmp_path / detectors.I3D).write_bytes(b"not TorchScript")
    with pytest.raises(ValueError, match=r"i3d_torchscript.pt is no TorchScript file"):
        detectors.load_detector(detectors.I3D, torch.device("cpu"))


def test_a_detector_that_cannot_be_had_comes_with_its_remedy(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.delenv(detectors.ENVIRONMENT, raising=False)
    monkeypatch.setattr(detectors.dnnlib.util, "open_url", offline)
    with pytest.raises(ValueError, match=r"set STYLEGAN_V_DETECTORS to that folder"):
        detectors.load_detector(detectors.I3D, torch.device("cpu"))
