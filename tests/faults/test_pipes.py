"""Pipes in the place of files: nothing waits for somebody who never writes."""

import os
import shutil
import sys

import pytest
from click.testing import CliRunner

from dnnlib.util import Logger
from stylegan_v_ext.checkpoints import CheckpointError, load
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.ffmpeg import FfmpegError, VideoReader
from stylegan_v_ext.engine import train
from stylegan_v_ext.engine.records import last_step
from stylegan_v_ext.files import append_line
from tests.engine.small_runs import config_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def test_files_that_are_added_to_are_no_pipes(tmp_path):
    with pytest.raises(OSError, match="pipe|No such device"):
        append_line(pipe(tmp_path / "stats.jsonl"), "{}")
    with pytest.raises(OSError, match="pipe|No such device"):
        Logger(str(pipe(tmp_path / "log.txt")), file_mode="a")
    assert last_step(tmp_path) == -1


REFUSED = ["training-state-latest.pt", "training_options.json", "log.txt", "network-snapshot-000000.pkl"]


@pytest.mark.parametrize("name", [*REFUSED, "stats.jsonl"])
def test_a_run_folder_with_a_pipe_ends_or_goes_on(finished, tmp_path, name):
    run_dir = tmp_path / "run"
    shutil.copytree(finished, run_dir)
    pipe(run_dir / name)
    result = CliRunner().invoke(main, ["train", f"--resume={run_dir}", "--kimg=0.012", "--device=cpu"])
    assert result.exit_code == (2 if name in REFUSED else 0), result.output
    if name in REFUSED:
        assert result.output.splitlines()[-1].startswith("Error: ")


def test_figures_that_are_a_pipe(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    figures = pipe(tmp_path / "run" / "metric-fvd2048_16f.jsonl")
    result = CliRunner().invoke(main, ["checkpoint", "inspect", str(tmp_path / "run")])
    assert result.exit_code == 2 and f"{figures} cannot be read (it is not a file)" in result.output


@pytest.fixture(scope="module")
def finished(sky_zip, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("pipes") / "run"
    train(config_for(sky_zip, kimg=0.008, tick=0.004), run_dir)
    return run_dir


def test_data_and_videos_that_are_pipes(tmp_path):
    pipe(tmp_path / "dataset.json"), pipe(tmp_path / "1.png")
    assert list(open_archive(tmp_path).names) == []
    with pytest.raises(FfmpegError, match="holds no readable video"):
        next(iter(VideoReader(str(pipe(tmp_path / "a.mp4")))))


def test_a_description_that_is_a_pipe(tmp_path, trained_path):
    shutil.copy(trained_path, tmp_path / "a.safetensors")
    pipe(tmp_path / "a.json")
    with pytest.raises(CheckpointError, match="is not a file"):
        load(tmp_path / "a.safetensors")
