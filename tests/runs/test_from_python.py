"""Runs from plain Python: without the command line, and with the numbers of the command to the bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from stylegan_v_ext.cli.main import main
from stylegan_v_ext.config import TrainOptions
from stylegan_v_ext.runs import resume, train
from tests.faults.endings import assert_same_end

ROOT = Path(__file__).parents[2]
TINY = dict(
    batch=4, cbase=256, cmax=16, latent_dim=32, motion_z_dim=24, workers=0, tick=0.02, snap=1, p=0.3, ada_kimg=0.2,
    fp32=True, device="cpu",
)  # fmt: skip

PROGRAM = """
import json, sys
import stylegan_v_ext.runs
from stylegan_v_ext.config import TrainOptions
options = TrainOptions(**json.loads(sys.argv[1]))
assert "torch" not in sys.modules
from stylegan_v_ext.runs import resume, train
last = train(options, run_dir=sys.argv[2])
last = resume(last.parent, kimg=0.04)
assert last.parent.name == "from python" and last.exists(), last
found = [name for name in sys.modules if name == "click" or name.startswith("stylegan_v_ext.cli")]
assert not found, found
"""


def test_training_and_going_on_from_python_equal_the_command_and_need_no_command_line(sky_zip, tmp_path):
    run_dir = tmp_path / "from python"
    options = json.dumps({**TINY, "data": sky_zip, "kimg": 0.02})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, options, str(run_dir)], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "Going on exactly from kimg 0.020" in result.stdout
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    command = ["train", "--cfg=stylegan-v", f"--data={sky_zip}", f"--outdir={tmp_path / 'runs'}", "--kimg=0.04", *words]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert_same_end(run_dir, next((tmp_path / "runs").iterdir()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(data="nowhere.zip"), "nowhere.zip does not exist"),
        (dict(batch=6), "use --mbstd-group=2"),
        (dict(gpus=2, batch=8), "train.. works in one process; use `train.py --gpus=2`"),
        (dict(max_dist=500), "--max-dist=500 is above 39"),
        (dict(metrics=["brightness"]), "--metrics=brightness is not one of fvd2048_16f"),
        (dict(cond=True), "has no labels"),
    ],
)
def test_what_cannot_be_trained_is_named_and_makes_no_folder(sky_zip, tmp_path, change, message):
    options = TrainOptions(**{**TINY, "data": sky_zip, "outdir": str(tmp_path / "runs"), **change})
    with pytest.raises(ValueError, match=message):
        train(options)
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(ValueError, match="training_options.json cannot be read"):
        resume(tmp_path, kimg=1)
