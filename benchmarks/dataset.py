"""Clips a second of the data set by number of workers, beside the same zip read through Python's zipfile."""

import io
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from benchmarks.common import print_table
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.synthetic import write_demo_dataset
from torch_utils.misc import InfiniteSampler

CLIPS = 3000


class ThroughZipfile(SparseVideoDataset):
    """The same items, with members found and read by the standard library."""

    def _frame(self, member):
        if getattr(self, "_zip", None) is None:
            self._zip = zipfile.ZipFile(self.path)
        with self._zip.open(self._archive.names[member]) as file:
            return np.asarray(PIL.Image.open(io.BytesIO(file.read())))


def clips_per_second(dataset, workers):
    loader = torch.utils.data.DataLoader(
        dataset, sampler=InfiniteSampler(dataset), batch_size=32, num_workers=workers, multiprocessing_context="spawn"
    )
    batches = iter(loader)
    next(batches)
    start = time.perf_counter()
    for _ in range(CLIPS // 32):
        next(batches)
    return CLIPS / (time.perf_counter() - start)


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "sky.zip")
        write_demo_dataset(path, resolution=128, num_videos=64, num_frames=64)
        for workers in (1, 2):
            rates = [[], []]
            for _ in range(3):
                for rate, dataset in zip(rates, (SparseVideoDataset(path), ThroughZipfile(path)), strict=True):
                    rate.append(clips_per_second(dataset, workers))
            ours, theirs = (float(np.median(rate)) for rate in rates)
            rows.append([f"{workers} workers", f"{ours:.0f} clips/s", f"{theirs:.0f} clips/s", f"{ours / theirs:.2f}"])
    print_table(["128 px JPEG, 3 frames", "ours", "zipfile", "ratio"], rows)


if __name__ == "__main__":
    main()
