"""Files of version 0.1.0: its run goes on, its snapshot opens."""

import json
import subprocess
import sys
import tarfile

import pytest
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.config import go_on
from stylegan_v_ext.engine import load_options, load_state, resume
from tests.conftest import VECTORS

AS_STOCK = """
import pickle, sys
import torch

with open(sys.argv[1], "rb") as file:
    networks = pickle.load(file)
strip = networks["G_ema"](torch.zeros(1, networks["G_ema"].z_dim), torch.tensor([[0.0, 4.0, 9.0]]))
assert networks["D"](strip, torch.tensor([[0.0, 4.0, 9.0]])).shape == (1, 1)
print(type(networks["G_ema"]).__name__, list(strip.shape), float(strip.abs().sum()))
"""


@pytest.fixture(scope="module")
def expected():
    return json.loads((VECTORS / "v0.1.0.json").read_text())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A folder with `run` and the data `sky.zip`."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(VECTORS / "v0.1.0.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_a_snapshot_opens_with_the_safe_reader_and_as_stock_code_opens_it(unpacked):
    """Stock code executes the source that is in the pickle, which imports modules of the package by their old names."""
    path = unpacked / "run" / "network-snapshot-000000.pkl"
    generator = load(path).build("G_ema")
    strip = generator(torch.zeros(1, generator.z_dim), torch.tensor([[0.0, 4.0, 9.0]]))
    command = [sys.executable, "-c", AS_STOCK, str(path)]
    output = subprocess.run(command, capture_output=True, text=True)
    assert output.returncode == 0, output.stderr
    name, total = output.stdout.split()[0], float(output.stdout.split()[-1])
    assert name == "VideoGenerator" and total == pytest.approx(float(strip.abs().sum()), rel=1e-4)


def test_a_run_goes_on(unpacked, expected):
    run_dir = unpacked / "run"
    config = go_on(load_options(run_dir), {"kimg": 0.064, "device": "cpu"})
    resume(config, run_dir, data=str(unpacked / "sky.zip"))
    state = load_state(run_dir)
    sample = state["networks"]["G_ema"]["synthesis.b16.torgb.weight"].flatten()[:8]
    assert state["num_clips"] == 64 and sample.tolist() == pytest.approx(expected["sample"], rel=1e-4)
    assert state["augment_p"] == pytest.approx(expected["p"], rel=1e-4)
    assert float(state["pl_mean"]) == pytest.approx(expected["pl_mean"], rel=1e-4)
