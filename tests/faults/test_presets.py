"""Every preset of the table goes through the real commands: trained, killed, gone on with, shown, measured, hosted."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.config import PRESETS
from tests.faults.endings import assert_same_end
from tests.faults.forked import finish, start, waited
from tests.host.conftest import MARKS, make_host
from tests.host.stand_in import write_detectors
from tests.host.test_stock_hosts import HOSTS

SMALL = [
    "--batch=8", "--batch-gpu=4", "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24", "--workers=1",
    "--kimg=0.08", "--tick=0.032", "--snap=1", "--p=0.2", "--ada-kimg=0.5", "--gamma=1",
]  # fmt: skip


first, *others = MARKS  # the layouts of both codebases


@pytest.fixture(scope="module")
def detectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detectors")
    write_detectors(folder)
    return str(folder)


@pytest.fixture
def call(tmp_path, detectors):
    """`call(*arguments, code=0)`: what a command in a process of its own says until it ends with that exit code."""

    def run(*arguments, code=0):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        ended = finish(start(*arguments, log=log, STYLEGAN_V_DETECTORS=detectors, STYLEGAN_HOST=""))
        assert ended == code, log.read_text()[-3000:]
        return log.read_text()

    return run


def refused(output, words):
    """A usage error is a line, besides click's two lines on how to use the command."""
    (line,) = [line for line in output.splitlines() if line.startswith("Error:")]
    return words in line and "Traceback" not in output


def killed_after_a_state(log, *arguments, outdir):
    """The folder of a run that SIGKILL ended between its first states and its end."""
    process = start(*arguments, f"--outdir={outdir}", log=log)
    assert waited(lambda: list(outdir.glob("*/training-state-latest.pt")), process), log.read_text()
    (run_dir,) = outdir.iterdir()
    first = (run_dir / "training-state-latest.pt").stat().st_ino
    assert waited(lambda: (run_dir / "training-state-latest.pt").stat().st_ino != first, process), log.read_text()
    process.kill()
    process.join()
    assert process.exitcode < 0, "it was killed before its end"
    return run_dir


@pytest.mark.parametrize("cfg", PRESETS)
def test_a_preset_is_trained_killed_gone_on_with_shown_and_measured(cfg, call, sky_zip, tmp_path):
    command = ["train.py", f"--cfg={cfg}", f"--data={sky_zip}", *SMALL]
    run_dir = killed_after_a_state(tmp_path / "log", *command, "--snap-state=0", outdir=tmp_path / "killed")
    assert "Going on exactly from" in call("train.py", f"--resume={run_dir}")
    call(*command, "--snap-state=0", f"--outdir={tmp_path / 'whole'}")
    assert_same_end(run_dir, next((tmp_path / "whole").iterdir()))

    makes_images = load(run_dir).network("G_ema").num_frames == 1
    video = ["gen_video.py", f"--network={run_dir}", "--seeds=0-1", "--frames=5"]
    metrics = ["metrics", f"--network={run_dir}", "--device=cpu"]
    if makes_images:
        assert refused(call(*video, f"--output={tmp_path / 'videos'}", code=2), "makes images, not videos")
        assert not (tmp_path / "videos").exists()
        assert refused(call(*metrics, "--metrics=rfvd6_16f", code=2), "the model makes images, not videos")
    else:
        call(*video, "--format=npy", f"--output={tmp_path / 'videos'}")
        videos = [np.load(path) for path in sorted((tmp_path / "videos").iterdir())]
        assert [frames.shape for frames in videos] == [(5, 16, 16, 3)] * 2
        assert all(frames.dtype == np.uint8 and frames.std() > 1 for frames in videos)
        assert (videos[0] != videos[1]).any(), "seeds differ"
        assert all((frames[0] != frames[4]).any() for frames in videos), "they move"
        assert "grid.mp4" in call(*video, "--grid=2x1", f"--output={tmp_path / 'grid.mp4'}")
    names = ["fid10_full", *([] if makes_images else ["rfvd6_16f", "fvd6_16f"])]
    call(*metrics, f"--metrics={','.join(names)}")
    for name in names:
        results = json.loads((run_dir / f"metric-{name}.jsonl").read_text())["results"]
        assert results and all(math.isfinite(value) and value > 0 for value in results.values()), results


@pytest.mark.parametrize("cfg", PRESETS)
@pytest.mark.parametrize("host", [first, *(pytest.param(name, marks=pytest.mark.nightly) for name in others), *HOSTS])
def test_a_preset_is_trained_in_a_host_and_its_snapshot_opens(cfg, host, call, sky_zip, tmp_path):
    """There is no preset that cannot be hosted."""
    checkout = make_host(tmp_path / host, host) if host in MARKS else host
    outdir = tmp_path / "runs"
    options = ["--kimg=0.064", "--mbstd-group=4", f"--host={checkout}", f"--outdir={outdir}"]
    call("train.py", f"--cfg={cfg}", f"--data={sky_zip}", *SMALL, *options)
    (run_dir,) = outdir.iterdir()
    rows = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    values = [row[f"Loss/{network}/loss"] for row in rows for network in "GD"]
    means = [value["mean"] if isinstance(value, dict) else value for value in values]
    assert means and all(math.isfinite(value) for value in means)
    found = load(run_dir)
    assert set("GD") <= set(found.readers) and "G_ema" in found.readers
    built = CliRunner().invoke(main, ["checkpoint", "inspect", str(run_dir)])
    assert built.exit_code == 0, built.output
    if found.network("G_ema").num_frames > 1:
        call("gen_video.py", f"--network={run_dir}", "--seeds=0", "--frames=2", "--format=npy",
             f"--output={tmp_path / 'video.npy'}")  # fmt: skip
        assert np.load(tmp_path / "video.npy").shape == (2, 16, 16, 3)
