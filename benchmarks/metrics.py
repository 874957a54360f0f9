"""Statistics of real clips: clips a second and memory, beside a data loader as metrics usually have one.

    python -m benchmarks.metrics [--clips=256] [--resolution=128]

Both sides read the same clips of 16 frames from the same zip, through the same light stand-in for a detector, to
mean and covariance in float64. The other side is written here after the usual pattern: a PyTorch `DataLoader`
with 2 worker processes, `zipfile` and a decoded frame after another, then all features kept until the end. Where
the package cd-fvd is installed (`pip install --no-deps cd-fvd einops`; its statistics are adapted from the code
released with StyleGAN-V), its own data set, loader and statistics run as well, on the same frames in a folder, at
offsets of its own. Medians of 7, each in a process of its own, in turn. Memory: what the process and its children
hold at most.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.common import print_table

REPEATS = 7
WORK = """
import io, json, sys, threading, time, types, zipfile
import numpy as np, PIL.Image, psutil, torch
from stylegan_v_ext.metrics.catalogue import parse_metric
from stylegan_v_ext.metrics.comparison import Comparison
from stylegan_v_ext.metrics.extractors import Extractor
from stylegan_v_ext.metrics.sources import DatasetVideos

kind, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
peak, stop = 0, threading.Event()

def watch():
    global peak
    me = psutil.Process()
    while not stop.wait(0.02):
        try:
            peak = max(peak, sum(p.memory_info().rss - p.memory_info().shared for p in [me, *me.children()]))
        except psutil.NoSuchProcess:
            pass

def light(clips):  # [N, 3, T, H, W]
    return clips[:, :, ::4, ::8, ::8].float().mean(2).flatten(1)[:, :400]

source = DatasetVideos(path)
metric = parse_metric(f"fvd{count}_16f")

class Clips(torch.utils.data.Dataset):
    def __init__(self, picks, names):
        self.picks, self.names, self.file = picks, names, None
    def __len__(self):
        return len(self.picks)
    def __getitem__(self, index):
        if self.file is None:
            self.file = zipfile.ZipFile(path)
        video, frames = self.picks[index]
        read = [np.array(PIL.Image.open(io.BytesIO(self.file.read(self.names[video][n])))) for n in frames]
        return np.stack(read).transpose(3, 0, 1, 2).copy()

if kind == "cd-fvd":
    PIL.Image.ANTIALIAS = PIL.Image.LANCZOS  # gone from Pillow
    for name in ("torchvision", "torchvision.transforms", "torchvision.datasets", "torchvision.datasets.video_utils"):
        module = sys.modules[name] = types.ModuleType(name)
        module.transforms = module.VideoClips = None  # unused here
    from cdfvd import fvd

def published(folder):
    def features(stats, model, videos, **kwargs):
        for start in range(0, len(videos), 16):
            batch = torch.from_numpy(videos[start:start + 16]).permute(0, 4, 1, 2, 3)
            stats.append_torch(light(batch), rank=0, num_gpus=1)
        return stats
    own = types.SimpleNamespace(seed=0, feature_fn=features, model=None, device="cpu", model_dtype=torch.float32,
                                real_stats=fvd.FeatureStats(max_items=count, capture_mean_cov=True))
    loader = fvd.get_dataloader(folder, True, source.resolution, 16, 1, 8, 2)
    return fvd.cdfvd.compute_real_stats(own, loader).get_mean_cov()

def usual(picks, names):
    loader = torch.utils.data.DataLoader(Clips(picks, names), batch_size=8, num_workers=2)
    features = torch.cat([light(clips) for clips in loader]).double().numpy()
    return features.mean(0), np.cov(features.T, bias=True)

threading.Thread(target=watch, daemon=True).start()
cpu, extractor = torch.device("cpu"), Extractor(light, None, None)
run = Comparison(metric=metric, real=source, fake=source, extractor=extractor, device=cpu, use_cache=False)
picks = run.selection.real(source, 0)
start = time.perf_counter()
if kind == "ours":
    mean, covariance = run._statistics(source, picks).mean_and_covariance()
elif kind == "cd-fvd":
    mean, covariance = published(sys.argv[4])
else:
    names = [[source._archive.names[f] for f in video.frames] for video in source._videos]
    mean, covariance = usual([(pick.video, pick.frames) for pick in picks], names)
seconds = time.perf_counter() - start
stop.set()
print(json.dumps([seconds, peak / 2**20, float(mean.sum()), float(np.trace(covariance))]))
"""


def measure(kind, path, clips):
    command = [sys.executable, "-c", WORK, kind, str(path), str(clips), str(path.with_suffix(""))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--resolution", type=int, default=128)
    options = parser.parse_args()
    from stylegan_v_ext.data.synthetic import write_demo_dataset

    kinds, rows = ["ours", "DataLoader and zipfile"], []
    kinds += ["cd-fvd"] if importlib.util.find_spec("cdfvd") else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips.zip"
        write_demo_dataset(str(path), resolution=options.resolution, num_videos=4 * options.clips, num_frames=20)
        with zipfile.ZipFile(path) as file:
            file.extractall(path.with_suffix(""), [name for name in file.namelist() if name != "dataset.json"])
        for clips in (options.clips, 4 * options.clips):
            runs = [[measure(kind, path, clips) for kind in kinds] for _ in range(REPEATS)]
            assert all(abs(a[k] - b[k]) < 1e-6 * abs(b[k]) for a, b, *_ in runs for k in (2, 3)), "figures differ"
            medians = [[statistics.median(run[k][what] for run in runs) for what in (0, 1)] for k in range(len(kinds))]
            for kind, (seconds, mib) in zip(kinds, medians, strict=True):
                rows.append([clips, kind, f"{clips / seconds:.0f}", f"{seconds / medians[0][0]:.2f}", f"{mib:.0f} MiB"])
    print_table(["clips of 16 frames", "", "clips/s", "time over ours", "memory"], rows)


if __name__ == "__main__":
    main()
