"""Which clips and frames are compared, and that the figures are what follows from them."""

import json
import zipfile

import numpy as np
import pytest
import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.metrics import cache, comparison, detectors
from stylegan_v_ext.metrics.catalogue import STANDARD, parse_metric
from stylegan_v_ext.metrics.evaluate import measure_generator
from stylegan_v_ext.metrics.frechet import frechet_distance, mean_and_covariance
from stylegan_v_ext.metrics.inception_score import inception_score
from stylegan_v_ext.metrics.kernel_distance import kernel_distance
from stylegan_v_ext.metrics.selection import Selection
from stylegan_v_ext.metrics.sources import DatasetVideos
from tests.host.stand_in import I3D, Inception, write_detectors, write_torchscript

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def stand_ins(tmp_path, monkeypatch):
    write_detectors(tmp_path / "detectors")
    monkeypatch.setenv(detectors.ENVIRONMENT, str(tmp_path / "detectors"))


@pytest.fixture
def seen(monkeypatch):
    """All batches that a detector was shown, in order."""
    shown = []
    original = comparison.Comparison._features

    def record(self, batch):
        pixels = batch.movedim(1, -1).numpy()
        shown.extend(pixels if pixels.ndim == 5 else pixels[:, None])
        return original(self, batch)

    monkeypatch.setattr(comparison.Comparison, "_features", record)
    return shown


def compute(name, generator, data, use_cache=False, **kwargs):
    dataset_kwargs = dict(path=data, **kwargs.pop("dataset", {}))
    return measure_generator(parse_metric(name), generator, dataset_kwargs, CPU, use_cache=use_cache, **kwargs)


def test_fvd_is_the_distance_of_all_features_at_once(sky_zip, make_generator, seen):
    result = compute("fvd6_8f", make_generator(), sky_zip)
    assert len(seen) == 12 and all(clip.shape == (8, 16, 16, 3) for clip in seen)
    clips = torch.from_numpy(np.stack(seen)).permute(0, 4, 1, 2, 3)
    features = I3D()(clips).double().numpy()
    expected = frechet_distance(*mean_and_covariance(features[:6]), *mean_and_covariance(features[6:]))
    assert result.values == {"fvd6_8f": pytest.approx(expected, rel=1e-6)}


def test_real_clips_are_one_a_video_from_offsets_that_never_change(sky_zip, make_generator, seen):
    first = compute("fvd6_8f", make_generator(), sky_zip)
    np.random.rand(7)  # whatever the state of NumPy
    second = compute("fvd6_8f", make_generator(), sky_zip)
    assert first.protocol == second.protocol and first.values == second.values
    assert all(np.array_equal(a, b) for a, b in zip(seen[:12], seen[12:], strict=True))
    dataset = SparseVideoDataset(sky_zip)
    starts = set()
    for video, clip in enumerate(seen[:6]):
        frames = dataset.read_video(video).transpose(0, 2, 3, 1)
        (start,) = (s for s in range(33) if np.array_equal(frames[s : s + 8], clip))
        starts.add(start)
    assert len(starts) > 2


def test_generated_clips_are_the_videos_of_their_seeds_from_the_start(sky_zip, make_generator, seen):
    generator = make_generator()
    compute("fvd4_8f", generator, sky_zip)
    sampler = VideoSampler(generator, CPU)
    for seed, clip in enumerate(seen[4:]):
        video = np.stack(list(sampler.frames(VideoName(seed), frame_times(8))))
        assert np.abs(video.astype(int) - clip).max() <= 1
    assert len(seen) == 8


def test_strides_reach_over_more_of_a_video(sky_zip, make_generator, seen):
    assert parse_metric("fvd2_32f_subsample8f").span == 25
    compute("fvd2_32f_subsample8f", make_generator(), sky_zip)
    videos = [SparseVideoDataset(sky_zip).read_video(v).transpose(0, 2, 3, 1) for v in range(6)]
    for clip in seen[:2]:
        assert any(np.array_equal(video[s : s + 25 : 8], clip) for video in videos for s in range(16))


def test_clips_are_batched_without_changing_the_result(sky_zip, make_generator, monkeypatch):
    generator = make_generator()
    figures = []
    for pixels in (1, 10**6, 10**9):
        monkeypatch.setattr(comparison, "_PIXELS_AT_ONCE", pixels)
        figures.append(compute("fvd6_8f", generator, sky_zip).values["fvd6_8f"])
    assert figures[1:] == [pytest.approx(figures[0], rel=1e-9)] * 2


def test_mirrored_videos_count_as_more(sky_zip, make_generator, seen):
    result = compute("fvd20_8f", make_generator(), sky_zip, dataset={"xflip": True})
    real = result.protocol["real"]
    assert (real["clips"], real["videos"], real["mirrored"]) == (12, 12, 6)
    plain = SparseVideoDataset(sky_zip).read_video(0).transpose(0, 2, 3, 1)[:, :, ::-1]
    assert any(np.array_equal(plain[s : s + 8], seen[6]) for s in range(33))
    assert any("12 real clips" in note for note in result.notes)


def test_more_videos_than_asked_for_are_chosen_at_random(sky_zip, make_generator):
    lists = {compute("fvd3_4f", make_generator(), sky_zip).protocol["real"]["list_sha256"] for _ in range(2)}
    assert len(lists) == 1
    selection = Selection(parse_metric("rfvd3_4f"))
    chosen = {tuple(pick.video for pick in selection.real(DatasetVideos(sky_zip), seed)) for seed in range(8)}
    assert len(chosen) > 2 and all(len(set(videos)) == 3 for videos in chosen)


def test_classes_of_conditional_models_are_those_of_the_data(labelled_zip, sky_zip, make_generator):
    generator = make_generator(num_classes=2)
    given = []
    mapping = generator.mapping.forward
    generator.mapping.forward = lambda z, c, **kwargs: (given.append(c), mapping(z, c, **kwargs))[1]
    compute("fvd12_4f", generator, labelled_zip)
    assert torch.cat(given).sum(1).eq(1).all() and torch.cat(given).sum(0).min() > 0
    with pytest.raises(ValueError, match="videos without a class"):
        compute("fvd12_4f", generator, sky_zip)


def test_short_videos_are_counted_and_named(tmp_path, make_generator, sky_zip):
    path = str(tmp_path / "mixed.zip")
    write_demo_dataset(path, resolution=16, num_videos=5, num_frames=12)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(tmp_path / "short.zip", "w") as target:
        for name in source.namelist():
            if not ("00001" in name.split("/")[0] and int(name.split("/")[1][:-4]) > 5):
                target.writestr(name, source.read(name))
    result = compute("fvd9_8f", make_generator(), str(tmp_path / "short.zip"))
    assert result.protocol["real"]["too_short"] == 1 and result.protocol["real"]["clips"] == 4
    assert any("1 of 5 real videos are shorter than 8 frames and left out: " in note for note in result.notes)
    with pytest.raises(ValueError, match=r"0 of the 6 videos .* have the 128 frames"):
        compute("fvd2048_128f", make_generator(), sky_zip)


def test_frames_of_fid_are_all_of_the_data_and_one_a_seed(sky_zip, make_generator, seen):
    result = compute("fid30_full", make_generator(), sky_zip)
    frames = np.concatenate(seen)
    assert len(frames) == 240 + 30 and result.protocol["real"]["frames"] == 240
    dataset = SparseVideoDataset(sky_zip)
    assert np.array_equal(frames[:40], dataset.read_video(0).transpose(0, 2, 3, 1))
    features = Inception()(torch.from_numpy(frames).permute(0, 3, 1, 2)).numpy()
    expected = frechet_distance(*mean_and_covariance(features[:240]), *mean_and_covariance(features[240:]))
    assert result.values["fid30_full"] == pytest.approx(expected, rel=1e-6)
    kid = compute("kid30_full", make_generator(), sky_zip).values["kid30_full"]
    assert kid == pytest.approx(kernel_distance(features[:240], features[240:]), rel=1e-6)


def test_image_models_are_measured_on_frames(sky_zip, make_generator, seen):
    generator = make_generator(num_frames=1).eval()
    result = compute("fid20_full", generator, sky_zip)
    real, fake = np.concatenate(seen[:-20]), np.concatenate(seen[-20:])
    with torch.no_grad():
        z = torch.from_numpy(np.stack([np.random.RandomState(seed).randn(generator.z_dim) for seed in range(20)]))
        images = generator(z.float(), torch.zeros([20, generator.c_dim]), noise_mode="const")
    pixels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    assert np.abs(pixels.permute(0, 2, 3, 1).numpy().astype(int) - fake).max() <= 1
    assert len(real) == 240 and len(np.unique(fake, axis=0)) == 20  # every frame of the data, an image a seed
    features = [Inception()(torch.from_numpy(side).permute(0, 3, 1, 2)).numpy() for side in (real, fake)]
    expected = frechet_distance(*mean_and_covariance(features[0]), *mean_and_covariance(features[1]))
    assert expected > 0.01 and result.values == {"fid20_full": pytest.approx(expected, rel=1e-6)}


def test_scores_without_reals_are_theirs(sky_zip, make_generator, seen, tmp_path):
    class Classifier(torch.nn.Module):
        def forward(self, images: torch.Tensor, no_output_bias: bool = False) -> torch.Tensor:
            assert no_output_bias
            return torch.softmax(images.float().mean([2, 3]) / 20, dim=1)

    path = tmp_path / "detectors" / "classifier.pt"
    write_torchscript(Classifier(), path)
    result = compute("is40", make_generator(), sky_zip, own_detector=path)
    frames = torch.from_numpy(np.concatenate(seen)).permute(0, 3, 1, 2)
    mean, deviation = inception_score(Classifier()(frames, True).numpy())
    assert result.values == {
        "is40-classifier_mean": pytest.approx(mean, rel=1e-6),
        "is40-classifier_split_std": pytest.approx(deviation, rel=1e-4, abs=1e-9),
    }
    assert "real" not in result.protocol and len(frames) == 40


def test_precision_and_recall_and_motion_have_several_figures(sky_zip, make_generator):
    values = compute("pr303_full", make_generator(), sky_zip).values
    assert set(values) == {"pr303_full_precision", "pr303_full_recall"}
    values = compute("motion6_16f", make_generator(), sky_zip).values
    assert values["motion6_16f_speed"] > 0 and "motion6_16f_recurrence_fake" in values


def test_repeats_take_other_clips_and_report_their_spread(sky_zip, make_generator):
    once = compute("rfvd5_8f", make_generator(), sky_zip)
    thrice = compute("rfvd5_8f", make_generator(), sky_zip, repeat=3)
    rounds = [figures["rfvd5_8f"] for figures in thrice.protocol["rounds"]]
    assert rounds[0] == once.values["rfvd5_8f"] and len(set(rounds)) == 3
    assert thrice.values == {
        "rfvd5_8f": pytest.approx(np.mean(rounds)),
        "rfvd5_8f_std": pytest.approx(np.std(rounds, ddof=1)),
    }


def test_statistics_of_real_videos_are_kept_under_all_that_matters(sky_zip, make_generator, seen, tmp_path):
    first = compute("rfvd6_8f", make_generator(), sky_zip, use_cache=True)
    shown = len(seen)
    again = compute("rfvd6_8f", make_generator(), sky_zip, use_cache=True)
    assert len(seen) - shown == 6 and again.values == first.values  # the generated ones alone
    for entry in cache.cache_path({}).parent.iterdir():
        entry.write_bytes(entry.read_bytes()[:100])  # damaged: made anew
    assert compute("rfvd6_8f", make_generator(), sky_zip, use_cache=True).values == first.values
    shown = len(seen)
    other = tmp_path / "other.zip"
    write_demo_dataset(str(other), resolution=16, num_videos=6, num_frames=40, seed=5)
    changed = compute("rfvd6_8f", make_generator(), str(other), use_cache=True)
    assert len(seen) - shown == 12 and changed.values != first.values


def test_the_protocol_is_plain_and_says_what_was_measured(sky_zip, make_generator):
    protocol = json.loads(json.dumps(compute("fvd6_8f", make_generator(), sky_zip).protocol))
    assert protocol["detector"]["file"] == "i3d_torchscript.pt" and len(protocol["detector"]["sha256"]) == 64
    assert protocol["real"]["source"] == sky_zip and protocol["fake"]["first_seed"] == 0
    assert protocol["covariance"] == "divided by N" and protocol["stride"] == 1 and protocol["num_frames"] == 8


def test_detectors_of_the_users_own_mark_the_name(sky_zip, make_generator, tmp_path):
    own = tmp_path / "my net_2.pt"
    write_torchscript(I3D(), own)
    assert list(compute("fvd6_8f", make_generator(), sky_zip, own_detector=own).values) == ["fvd6_8f-my-net-2"]
    standard = tmp_path / "detectors" / "i3d_torchscript.pt"
    assert list(compute("fvd6_8f", make_generator(), sky_zip, own_detector=standard).values) == ["fvd6_8f"]


class NotFinite(torch.nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return torch.full([clips.shape[0], 3], float("nan"))


class OneVector(torch.nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return clips.float().mean(dim=[1, 2, 3, 4])[:1]


@pytest.mark.parametrize("network", [NotFinite, OneVector])
def test_a_detector_that_returns_no_features_is_named(sky_zip, make_generator, tmp_path, network):
    write_torchscript(network(), tmp_path / "broken.pt")
    with pytest.raises(ValueError, match=r"not finite|does not return features"):
        compute("fvd6_8f", make_generator(), sky_zip, own_detector=tmp_path / "broken.pt")


def test_names_have_numbers_and_some_are_none():
    assert all(parse_metric(name).name == name for name in STANDARD)
    assert parse_metric("fvd").name == "fvd2048_16f" and parse_metric("fid50k_full").count == 50000
    metric = parse_metric("fvd2048_128f_subsample8f")
    assert (metric.num_frames, metric.stride, metric.span) == (16, 8, 121)
    for name in ("fvd2048", "fvd1_16f", "fvd2048_10f_subsample4f", "fid50k", "motion2048_2f", "ppl2_wend", ""):
        assert parse_metric(name) is None
    assert all(len(parse_metric(name).definition) > 100 for name in STANDARD)
