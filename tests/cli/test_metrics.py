"""`stylegan-v metrics`, with stand-in detectors."""

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import save_snapshot
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.metrics.sources import DatasetVideos, Pick
from stylegan_v_ext.text import printable
from tests.host.stand_in import write_detectors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def snapshot(tmp_path, make_generator, make_discriminator, sky_zip, monkeypatch):
    write_detectors(tmp_path / "detectors")
    monkeypatch.setenv("STYLEGAN_V_DETECTORS", str(tmp_path / "detectors"))
    monkeypatch.delenv("STYLEGAN_HOST", raising=False)
    G = make_generator().eval()
    training = {"class_name": "stylegan_v_ext.data.dataset.SparseVideoDataset", "path": sky_zip, "xflip": True}
    content = dict(G=G, D=make_discriminator(), G_ema=G, augment_pipe=None, training_set_kwargs=training)
    save_snapshot(tmp_path / "network-snapshot-000001.pkl", content)
    return tmp_path


def call(*arguments, code=0):
    result = CliRunner().invoke(main, ["metrics", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def last_line(folder, name):
    return json.loads((folder / f"metric-{name}.jsonl").read_text().splitlines()[-1])


def test_the_result_is_shown_and_kept_beside_the_snapshot(snapshot):
    output = call(f"--network={snapshot}", "--metrics=fvd6_16f", "--device=cpu")
    line = last_line(snapshot, "fvd6_16f")
    assert set(line) == {
        "results", "metric", "total_time", "total_time_str", "num_gpus", "snapshot_pkl", "timestamp", "protocol",
        "notes",
    }  # fmt: skip
    assert line["results"]["fvd6_16f"] > 0 and line["snapshot_pkl"] == "network-snapshot-000001.pkl"
    assert f"{line['results']['fvd6_16f']:.6g}" in output and "6 clips of real, 6 clips of fake" in output


def test_the_same_data_give_the_same_figure(snapshot, sky_zip):
    def figure(*options):
        call(f"--network={snapshot}", "--device=cpu", "--metrics=rfvd6_16f,fid10_full", *options)
        return last_line(snapshot, "rfvd6_16f")["results"], last_line(snapshot, "fid10_full")["results"]

    recorded = figure()
    assert figure() == recorded == figure(f"--data={sky_zip}") == figure("--cache=0")
    assert figure("--mirror=0") != recorded


def test_two_processes_come_to_the_figures_of_one(snapshot):
    names = "--metrics=rfvd11_16f,fvd11_8f,kid25_full,motion11_16f"
    call(f"--network={snapshot}", "--device=cpu", names, "--cache=0")
    alone = {path.name: json.loads(path.read_text())["results"] for path in snapshot.glob("metric-*.jsonl")}
    command = [sys.executable, "-m", "stylegan_v_ext.cli.main", "metrics", f"--network={snapshot}", "--device=cpu",
               names, "--gpus=2"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for cache in ("--cache=1", "--cache=1"):  # the second finds what the first has kept
        done = subprocess.run([*command, cache], env=environment, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        for name, values in alone.items():
            line = json.loads((snapshot / name).read_text().splitlines()[-1])
            assert line["num_gpus"] == 2
            assert line["results"] == {key: pytest.approx(value, rel=1e-6, abs=1e-9) for key, value in values.items()}
    assert len((snapshot / "metric-fvd11_8f.jsonl").read_text().splitlines()) == 3


def test_videos_against_videos(snapshot, sky_zip, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    source = DatasetVideos(sky_zip)

    for number in range(6):
        write_video(folder / f"{number}.mp4", iter(source.read([Pick(number, np.arange(20))])[0]), fps=25)
    output = call(f"--real={sky_zip}", f"--fake={folder}", "--metrics=rfvd,motion", "--device=cpu")
    assert "scaled to 16 px" in output and "6 clips of real, 6 clips of fake" in output
    assert not list(folder.glob("*.jsonl"))
    call(f"--real={folder}", f"--fake={folder}", "--metrics=rfvd", f"--outdir={tmp_path}", "--resolution=24")
    assert last_line(tmp_path, "rfvd2048_16f")["protocol"]["resolution"] == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics=fid50k"], "--metrics=fid50k is not one of fvd2048_16f"),
        (["--metrics=none"], "--metrics names none"),
        (["--metrics=fvd2048_128f"], "0 of the 12 videos"),
        (["--data=/nowhere.zip"], "--data=/nowhere.zip: no such file"),
        (["--detector=/nowhere.pt"], "--detector=/nowhere.pt: no such file"),
        (["--detectors=/nowhere"], "--detectors=/nowhere is no folder"),
        (
            ["--metrics=motion6_16f", f"--detector={__file__}"],
            "motion6_16f looks through no detector; leave",
        ),
        (["--metrics=is20", "--mirror=1"], "--mirror=1: is20 looks at no real videos"),
        (["--host=/nowhere"], "/nowhere is no folder"),
    ],
)
def test_what_cannot_be_measured_ends_in_one_line(snapshot, options, message):
    output = call(f"--network={snapshot}", "--device=cpu", *options, code=2)
    assert message in output and len(output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --network=PKL, or --fake=PATH"),
        (["--network=a.pkl", "--fake=b"], "give --network=PKL, or --fake=PATH"),
        (["--network=a.pkl", "--real=b"], "--real belongs to --fake"),
        (["--fake=a", "--data=b"], "--data belongs to --network"),
        (["--network=a.pkl", "--host=b", "--repeat=2"], "--repeat and --detector are for our own metrics"),
        (["--fake=/nowhere"], "--fake=/nowhere: no such file"),
    ],
)
def test_options_that_do_not_go_together_are_named(options, message):
    assert message in call(*options, code=2)


def test_metrics_that_compare_need_something_to_compare_with(sky_zip):
    assert "name them with --real" in call(f"--fake={sky_zip}", "--metrics=fvd", code=2)


def test_sizes_that_differ_do_not_compare(sky_zip, tmp_path):
    from stylegan_v_ext.data.synthetic import write_demo_dataset

    write_demo_dataset(str(tmp_path / "large.zip"), resolution=32, num_videos=2, num_frames=16)
    output = call(f"--real={sky_zip}", f"--fake={tmp_path / 'large.zip'}", "--metrics=rfvd", code=2)
    assert "has 16 px" in output and "32; convert one of them" in output


def test_image_models_have_no_video_distance(snapshot, make_generator, sky_zip):
    G = make_generator(num_frames=1).eval()
    path = snapshot / "network-snapshot-000002.pkl"
    save_snapshot(path, dict(G=G, D=G, G_ema=G, augment_pipe=None, training_set_kwargs={}))
    assert "names no data set that is here" in call(f"--network={path}", code=2)
    assert "makes images, not videos" in call(f"--network={path}", f"--data={sky_zip}", code=2)
    call(f"--network={path}", f"--data={sky_zip}", "--metrics=fid10_full")


NETWORK_PATHS = [
    "http://127.0.0.1:{port}/sky.zip", "HTTPS://127.0.0.1:{port}/sky.zip", "s3://bucket/sky.zip", "memory://sky.zip",
    "ftp://127.0.0.1:{port}/sky.zip", "file:///etc/sky.zip", "zip://a.zip::http://127.0.0.1:{port}/sky.zip",
    "//host/share", "simplecache::http://127.0.0.1:{port}/sky.zip", "\\\\host\\share\\sky.zip", "/\\host/share",
    "//./pipe/x",
    "sftp://host/\x1b[31m.zip", "github://a:b@/sky.zip",
]  # fmt: skip


@pytest.mark.parametrize("recorded", NETWORK_PATHS)
def test_no_data_set_is_fetched_that_only_the_checkpoint_names(
    snapshot, make_generator, sky_zip, monkeypatch, recorded
):
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        recorded = recorded.format(port=listening.getsockname()[1])
        monkeypatch.setattr("fsspec.core.url_to_fs", lambda *arguments, **options: asked.append(arguments))
        monkeypatch.setattr("stylegan_v_ext.data.archive.open_archive", lambda path: asked.append(path))
        G = make_generator().eval()
        path = snapshot / "network-snapshot-000003.pkl"
        training = {"class_name": "stylegan_v_ext.data.dataset.SparseVideoDataset", "path": recorded}
        save_snapshot(path, dict(G=G, D=G, G_ema=G, augment_pipe=None, training_set_kwargs=training))
        output = call(f"--network={path}", "--metrics=rfvd6_16f", code=2)
        assert (
            "nothing is fetched that you did not name" in output
            and f"--data={shlex.quote(printable(recorded))}" in output
        )
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert not asked and "\x1b" not in output and len(output.splitlines()) == 1


def test_a_local_data_set_of_a_checkpoint_is_said(snapshot, sky_zip):
    output = call(f"--network={snapshot}", "--metrics=rfvd6_16f", "--device=cpu")
    assert output.startswith(
        f"Data set: {sky_zip}, which network-snapshot-000001.pkl names; --data=PATH names another\n"
    )


@pytest.mark.parametrize("training", [{"path": None}, {"path": 0}, {"path": ["a"]}, {"path": "a\0b"}, {"path": ""},
                                      {"path": "/nowhere"}, {"path": "x" * 5000}, {"path": "/**"}, {"class_name": None},
                                      {"class_name": "os.system"}])  # fmt: skip
def test_what_is_no_data_set_is_not_opened(snapshot, make_generator, sky_zip, training):
    G = make_generator().eval()
    path = snapshot / "network-snapshot-000003.pkl"
    training = {"class_name": "stylegan_v_ext.data.dataset.SparseVideoDataset", "path": sky_zip} | training
    save_snapshot(path, dict(G=G, D=G, G_ema=G, augment_pipe=None, training_set_kwargs=training))
    assert "names no data set that is here; name one with --data" in call(f"--network={path}", code=2)


def test_metrics_and_detectors_explain_themselves(snapshot):
    listed = call("list")
    assert "fvd2048_128f_subsample8f" in listed and "Detector: i3d_torchscript.pt" in listed
    shown = call("detectors")
    assert "not used yet" in shown and "c3d_ucf101.pt" in shown and "missing; downloaded at first use" in shown
    call(f"--network={snapshot}", "--metrics=fvd6_16f", "--device=cpu")
    assert "as at first use" in call("detectors", f"--detectors={snapshot / 'detectors'}")


def test_figures_are_drawn(snapshot):
    assert "holds no figures" in call("plot", snapshot, code=2)
    call(f"--network={snapshot}", "--metrics=rfvd6_16f", "--device=cpu")
    output = call("plot", snapshot)
    assert "rfvd6_16f: 1 snapshot, best" in output and (snapshot / "metrics.png").stat().st_size > 5000
