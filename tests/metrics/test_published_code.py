"""FVD against the published code of the package cd-fvd, where it is installed.

    pip install --no-deps cd-fvd einops && pytest tests/metrics/test_published_code.py

Its sums and distance are adapted from those released with StyleGAN-V, its I3D is the PyTorch port that FVD is
often computed with; random weights stand in for the trained ones. Frames reach it by plain `zipfile`, Pillow and
ffmpeg: our side gives it nothing but the names of videos and the numbers of frames.
"""

import importlib
import io
import json
import subprocess
import sys
import types
import zipfile

import numpy as np
import PIL.Image
import pytest
import torch
from click.testing import CliRunner

from stylegan_v_ext.cli.main import main
from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import parse_metric
from stylegan_v_ext.metrics.selection import Selection
from stylegan_v_ext.metrics.sources import open_sources
from tests.host.stand_in import I3D, write_torchscript

pytest.importorskip("cdfvd", reason="cd-fvd is not installed")
pytest.importorskip("einops")
pytestmark = pytest.mark.filterwarnings(
    "ignore:The `disp` argument:DeprecationWarning",
    "ignore:`torch.jit:DeprecationWarning",
    "ignore::torch.jit.TracerWarning",
)
RESOLUTION = 32
METRICS = ("fvd32_16f", "fvd32_128f", "fvd32_128f_subsample8f")


@pytest.fixture(scope="module")
def published():
    """The package's modules; torchvision, which its other parts import, stands empty where it is missing."""
    names = ("torchvision", "torchvision.transforms", "torchvision.datasets", "torchvision.datasets.video_utils")
    added = [name for name in names if name not in sys.modules]
    for name in added:
        module = sys.modules[name] = types.ModuleType(name)
        module.transforms = module.VideoClips = None
    yield types.SimpleNamespace(
        fvd=importlib.import_module("cdfvd.fvd"),
        stats=importlib.import_module("cdfvd.utils.metric_utils"),
        i3d=importlib.import_module("cdfvd.third_party.i3d.pytorch_i3d"),
        preprocess=importlib.import_module("cdfvd.third_party.i3d.utils").preprocess_i3d,
    )
    for name in added:
        del sys.modules[name]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two sets of 40 videos of 140 frames, each as a zip, as a folder and as MP4 files."""
    folder = tmp_path_factory.mktemp("videos")
    for side, seed in (("real", 1), ("fake", 2)):
        path = folder / f"{side}.zip"
        write_demo_dataset(str(path), resolution=RESOLUTION, num_videos=40, num_frames=140, seed=seed)
        with zipfile.ZipFile(path) as file:
            file.extractall(folder / side)
        (folder / f"{side}-mp4").mkdir()
        for number, frames in enumerate(read_zip(path)):
            write_video(folder / f"{side}-mp4" / f"{number:03d}.mp4", iter(frames), fps=25)
    return folder


def read_zip(path):
    with zipfile.ZipFile(path) as file:
        images = sorted(name for name in file.namelist() if name.endswith((".png", ".jpg")))
        for video in sorted({name.rpartition("/")[0] for name in images}):
            members = [file.read(name) for name in images if name.rpartition("/")[0] == video]
            yield np.stack([np.array(PIL.Image.open(io.BytesIO(member))) for member in members])


def read_folder(path):
    for video in sorted({image.parent for image in path.rglob("*.*") if image.suffix in (".png", ".jpg")}):
        yield np.stack([np.array(PIL.Image.open(image)) for image in sorted(video.iterdir())])


def read_files(path):
    import imageio_ffmpeg

    for video in sorted(path.glob("*.mp4")):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", video, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        pixels = subprocess.run(command, capture_output=True, check=True).stdout
        yield np.frombuffer(pixels, np.uint8).reshape(-1, RESOLUTION, RESOLUTION, 3)


READERS = {"zip": (".zip", read_zip), "folder": ("", read_folder), "files": ("-mp4", read_files)}


def ours(name, real, fake, tmp_path):
    out = tmp_path / "out"
    arguments = ["metrics", f"--real={real}", f"--fake={fake}", f"--metrics={name}", f"--outdir={out}"]
    arguments += ["--cache=0", f"--resolution={RESOLUTION}"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (line,) = (out / f"metric-{name}.jsonl").read_text().splitlines()
    return json.loads(line)["results"][name]


def clips(name, path, side, reader):
    """The clips of a metric, uint8 `[N, T, H, W, 3]`, read without our code."""
    metric = parse_metric(name)
    (source,) = open_sources([str(path)], RESOLUTION, [False])
    selection = Selection(metric)
    picks = selection.real(source, 0) if side == "real" else selection.fake(source, 0)
    read = list(reader(path))
    return np.stack([read[pick.video][pick.frames] for pick in picks])


def published_distance(published, extract, real, fake):
    stats = [published.stats.FeatureStats(capture_mean_cov=True) for _ in range(2)]
    for side, chosen in zip(stats, (real, fake), strict=True):
        for start in range(0, len(chosen), 8):
            side.append_torch(extract(chosen[start : start + 8]), rank=0, num_gpus=1)
    return published.fvd.cdfvd.compute_fvd_from_stats(None, fake_stats=stats[1], real_stats=stats[0])


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", METRICS)
def test_fvd_is_that_of_published_code(name, kind, published, videos, tmp_path, monkeypatch):
    (tmp_path / "detectors").mkdir()
    write_torchscript(I3D(), tmp_path / "detectors" / detectors.I3D)
    monkeypatch.setenv(detectors.ENVIRONMENT, str(tmp_path / "detectors"))
    ending, reader = READERS[kind]
    real, fake = (videos / f"{side}{ending}" for side in ("real", "fake"))
    chosen = [clips(name, path, side, reader) for path, side in ((real, "real"), (fake, "fake"))]
    assert chosen[0].shape == chosen[1].shape == (32, parse_metric(name).num_frames, RESOLUTION, RESOLUTION, 3)

    def extract(batch):
        return I3D()(torch.from_numpy(batch).permute(0, 4, 1, 2, 3))

    expected = published_distance(published, extract, *chosen)
    assert expected > 1e-3 and ours(name, real, fake, tmp_path) == pytest.approx(expected, rel=1e-4)


class Published(torch.nn.Module):
    """A traced I3D behind the call signature of the TorchScript file."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = torch.jit.trace(network, torch.zeros(1, 3, 16, 224, 224))

    def forward(
        self, clips: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> torch.Tensor:
        x = clips.float()
        if resize:
            n, c, t, h, w = x.shape
            frames = x.transpose(1, 2).reshape(n * t, c, h, w)
            frames = torch.nn.functional.interpolate(frames, [224, 224], mode="bilinear", align_corners=False)
            x = frames.reshape(n, t, c, 224, 224).transpose(1, 2)
        return self.network(2 * x / 255 - 1 if rescale else x)


def test_fvd_through_i3d_is_that_of_published_code(published, videos, tmp_path, monkeypatch):
    network = published.i3d.InceptionI3d(400, in_channels=3).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            torch.nn.init.kaiming_normal_(parameter)
    (tmp_path / "detectors").mkdir()
    write_torchscript(Published(network), tmp_path / "detectors" / detectors.I3D)
    monkeypatch.setenv(detectors.ENVIRONMENT, str(tmp_path / "detectors"))
    real, fake = (videos / f"{side}.zip" for side in ("real", "fake"))
    chosen = [clips("fvd12_16f", path, side, read_zip) for path, side in ((real, "real"), (fake, "fake"))]
    expected = published_distance(published, lambda batch: network(published.preprocess(batch)), *chosen)
    assert expected > 1e-3 and ours("fvd12_16f", real, fake, tmp_path) == pytest.approx(expected, rel=1e-4)
