"""Opening a data set of many frames and reading it in 8 workers: time, and memory of all processes together.

    python -m benchmarks.archive [--frames=1000000] [--workers=8]

Beside ours: a data set class as they are usually written, which lists the zip with Python's `zipfile` and opens it
again in every worker. Each measurement is a process of its own, in turn; medians of 7 (3 from a million frames on).
Memory is the proportional set size of the process and its workers, in which shared pages count once, at its
highest, less that of the same program on a tiny data set. "First" is ours without the index that is kept.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import PIL.Image

from benchmarks.common import print_table

WORK = """
import io, json, re, sys, threading, time, zipfile
import numpy as np, PIL.Image, psutil, torch
from stylegan_v_ext.data.dataset import SparseVideoDataset

kind, path, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])
peak = 0

def memory():
    total = 0
    for process in [psutil.Process(), *psutil.Process().children()]:
        try:
            with open(f"/proc/{process.pid}/smaps_rollup") as file:
                total += int(re.search(r"Pss: +(\\d+) kB", file.read())[1]) / 1024
        except (OSError, TypeError):
            pass
    return total

def watch():
    global peak
    while True:
        peak = max(peak, memory())
        time.sleep(0.1)

class Usual(torch.utils.data.Dataset):
    def __init__(self, path):
        self.path, self.file = path, None
        names = sorted(name for name in self.open().namelist() if name.endswith(".jpg"))
        folders = {}
        for name in names:
            folders.setdefault(name.rpartition("/")[0], []).append(name)
        self.videos = list(folders.values())
        self.file.close()
        self.file = None
    def open(self):
        if self.file is None:
            self.file = zipfile.ZipFile(self.path)
        return self.file
    def __len__(self):
        return len(self.videos)
    def __getitem__(self, index):
        names = self.videos[index]
        chosen = [names[i] for i in sorted(np.random.choice(len(names), 3, replace=False))]
        return np.stack([np.array(PIL.Image.open(io.BytesIO(self.open().read(name)))) for name in chosen])

threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
dataset = Usual(path) if kind == "usual" else SparseVideoDataset(path)
seconds = time.perf_counter() - start
items = [number % len(dataset) for number in range(400)]
loader = torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=workers, sampler=items)
start = time.perf_counter()
for number, batch in enumerate(loader):
    if number == 0:
        first = time.perf_counter() - start
time.sleep(0.3)
print(json.dumps([seconds, first, max(peak, memory())]))
"""


def measure(kind, path, workers, cache):
    environment = {**os.environ, "DNNLIB_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORK, kind, str(path), str(workers)]
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


def write(path, frames):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(buffer, format="JPEG")
    with zipfile.ZipFile(path, "w") as file:
        for number in range(frames):
            file.writestr(f"videos/clip_{number // 100:06d}/{number % 100:06d}.jpg", buffer.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()
    kinds = ["ours", "usual"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "large.zip", options.frames)
        write(folder / "tiny.zip", 1000)
        tiny = {kind: measure(kind, folder / "tiny.zip", options.workers, folder / "c")[2] for kind in kinds}
        runs = {"ours, first": [], "ours": [], "usual": []}
        for repeat in range(3 if options.frames >= 1_000_000 else 7):
            for label, rows in runs.items():
                kind = label.split(",")[0]
                cache = folder / f"cache{repeat}"
                seconds, first, mib = measure(kind, folder / "large.zip", options.workers, cache)
                rows.append([seconds, first, mib - tiny[kind]])
    medians = {label: [statistics.median(column) for column in zip(*rows, strict=True)] for label, rows in runs.items()}
    usual = medians["usual"]
    rows = [
        [
            label,
            f"{opened:.2f} s",
            f"{opened / usual[0]:.2f}",
            f"{first:.2f} s",
            f"{mib:.0f} MiB",
            f"{mib / usual[2]:.2f}",
        ]
        for label, (opened, first, mib) in medians.items()
    ]
    title = f"{options.frames:,} frames, {options.workers} workers"
    print_table([title, "opening", "ratio", "first batch", "memory of all", "ratio"], rows)


if __name__ == "__main__":
    main()
