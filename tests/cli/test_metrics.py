"""`stylegan-v metrics`, with a stand-in detector."""

import json

import pytest
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import save_snapshot
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.metrics import fvd
from tests.host.stand_in import write_detectors


@pytest.fixture
def snapshot(tmp_path, make_generator, make_discriminator, sky_zip, monkeypatch):
    write_detectors(tmp_path / "detectors")
    monkeypatch.setenv("STYLEGAN_V_DETECTORS", str(tmp_path / "detectors"))
    monkeypatch.delenv("STYLEGAN_HOST", raising=False)
    monkeypatch.setitem(fvd.PROTOCOLS, "fvd2048_16f", fvd.Protocol(16, num_clips=6))
    G = make_generator().eval()
    training = {"class_name": "stylegan_v_ext.data.dataset.SparseVideoDataset", "path": sky_zip, "xflip": True}
    content = dict(G=G, D=make_discriminator(), G_ema=G, augment_pipe=None, training_set_kwargs=training)
    save_snapshot(tmp_path / "network-snapshot-000001.pkl", content)
    return tmp_path


def call(*arguments, code=0):
    result = CliRunner().invoke(main, ["metrics", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_the_result_is_printed_and_kept_beside_the_snapshot(snapshot):
    printed = json.loads(call(f"--network={snapshot}", "--device=cpu").splitlines()[-1])
    (line,) = (snapshot / "metric-fvd2048_16f.jsonl").read_text().splitlines()
    assert json.loads(line) == printed
    assert set(printed) == {
        "results",
        "metric",
        "total_time",
        "total_time_str",
        "num_gpus",
        "snapshot_pkl",
        "timestamp",
    }
    assert printed["results"]["fvd2048_16f"] > 0 and printed["snapshot_pkl"] == "network-snapshot-000001.pkl"


def test_the_same_data_give_the_same_figure(snapshot, sky_zip):
    def figure(*options):
        return json.loads(call(f"--network={snapshot}", "--device=cpu", *options).splitlines()[-1])["results"]

    recorded = figure()
    assert figure() == recorded == figure(f"--data={sky_zip}") == figure("--mirror=0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics=fid50k_full"], "--metrics=fid50k_full is not one of fvd2048_16f"),
        (["--metrics=none"], "--metrics names none"),
        (["--metrics=fvd2048_128f"], "0 of the 12 videos"),
        (["--data=/nowhere.zip"], "--data=/nowhere.zip: no such file"),
        (["--host=/nowhere"], "/nowhere is no folder"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_line(snapshot, options, message):
    output = call(f"--network={snapshot}", "--device=cpu", *options, code=2)
    assert message in output and len(output.strip().splitlines()) == 1


def test_image_models_have_no_video_distance(snapshot, make_generator, sky_zip):
    G = make_generator(num_frames=1).eval()
    path = snapshot / "network-snapshot-000002.pkl"
    save_snapshot(path, dict(G=G, D=G, G_ema=G, augment_pipe=None, training_set_kwargs={}))
    assert "names no data set that is here" in call(f"--network={path}", code=2)
    assert "makes images, not videos" in call(f"--network={path}", f"--data={sky_zip}", code=2)
