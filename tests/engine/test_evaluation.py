"""Metrics of snapshots during training."""

import json

import pytest

from stylegan_v_ext.engine import train
from stylegan_v_ext.engine.evaluation import check_run_metrics
from tests.engine.small_runs import config_for
from tests.host.stand_in import write_detectors


def test_metrics_are_measured_at_every_snapshot_and_leave_training_as_it_is(sky_zip, tmp_path, monkeypatch, capsys):
    write_detectors(tmp_path / "detectors")
    monkeypatch.setenv("STYLEGAN_V_DETECTORS", str(tmp_path / "detectors"))
    options = dict(kimg=0.024, tick=0.008, snap=1)
    plain = train(config_for(sky_zip, **options), tmp_path / "plain")
    names = ["fvd4_16f", "rfvd4_8f", "fvd2048_128f"]
    measured = train(config_for(sky_zip, metrics=tuple(names), **options), tmp_path / "measured")
    for name in names[:2]:
        lines = [json.loads(line) for line in (tmp_path / "measured" / f"metric-{name}.jsonl").read_text().splitlines()]
        assert len(lines) == 3 and all(line["results"][name] > 0 for line in lines)
        assert lines[-1]["snapshot_pkl"] == measured.name
    assert "fvd2048_128f could not be measured: 0 of the 6 videos" in capsys.readouterr().out
    assert "rfvd4_8f " in (tmp_path / "measured" / "log.txt").read_text()

    def losses(folder):
        lines = (tmp_path / folder / "stats.jsonl").read_text().splitlines()
        return [json.loads(line)["Loss/G/loss"]["mean"] for line in lines]

    assert losses("plain") == pytest.approx(losses("measured"), rel=1e-12) and plain.name == measured.name


@pytest.mark.parametrize(
    ("name", "num_frames", "message"),
    [
        ("fvd16", 3, "--metrics=fvd16 is not one of fvd2048_16f"),
        ("fvd2048_16f", 1, "makes images, not videos"),
        ("fvd2048_16f", 3, "could not be downloaded"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_a_run(name, num_frames, message, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.delenv("STYLEGAN_V_DETECTORS", raising=False)
    monkeypatch.setattr("dnnlib.util.open_url", offline)
    with pytest.raises(ValueError, match=message):
        check_run_metrics([name], num_frames)


def test_all_names_are_checked_before_a_detector_is_fetched(monkeypatch):
    monkeypatch.setattr("stylegan_v_ext.metrics.detectors.find_detector", lambda name: pytest.fail(name))
    with pytest.raises(ValueError, match="--metrics=foo is not one of"):
        check_run_metrics(["fvd2048_16f", "foo"], 3)
