"""Clips a second that the data set gives to training, by number of workers, beside what a training step takes."""

import time
from itertools import islice

import torch

from benchmarks.gpu import findings, material
from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import Settings
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.engine.batches import load_batches

BATCH = 16


def run(settings: Settings, found: Findings) -> None:
    sizes = (16, 4, 16, 2) if settings.rehearse else (256, 16, 48, 8)
    dataset = SparseVideoDataset(str(material.sky(settings, *sizes)))
    workers = (0, 1) if settings.rehearse else (1, 4, 8, 16)
    step = findings.read(settings.shared / "step") or {"figures": {}}
    used = step["figures"].get("clips_per_second")
    best, enough = 0.0, None
    for number, count in enumerate(workers):
        with found.attempt(f"{count} workers"):
            rate = _clips_per_second(settings, dataset, count, settings.seconds_left(keep=3) / (len(workers) - number))
            over = f"{rate / used:.2f}" if used else "the step was not measured"
            title = f"Loading, {dataset.resolution} px JPEG, 3 frames a clip, until they are on the device"
            found.row(title, ["workers", "clips a second", "over what a step takes"], [count, f"{rate:.0f}", over])
            best = max(best, rate)
            enough = count if enough is None and used and rate >= used else enough
    found.figure("clips_per_second", best)
    if used:
        found.figure("loaded_over_used", best / used)
        found.figure("workers_that_keep_up", enough)
        keeps = f"{enough} workers keep up with the step" if enough is not None else "loading does not keep up"
        found.summary(f"{best:.0f} clips a second; {keeps} ({used:.0f} clips a second)")
    else:
        found.summary(f"{best:.0f} clips a second")


def _clips_per_second(settings: Settings, dataset: SparseVideoDataset, workers: int, seconds: float) -> float:
    """Read through the training loop's own stream; batches that the workers prepared ahead are not counted."""
    device = torch.device(settings.device)
    batches = load_batches(
        dataset,
        batch_size=BATCH,
        batch_gpu=BATCH,
        rounds=range(1),
        seed=0,
        start=0,
        device=device,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
    )
    ends = time.monotonic() + seconds
    for _ in islice(batches, 1 if settings.rehearse else 2 * workers + 2):
        pass
    started, count = time.monotonic(), 0
    least = 4 if settings.rehearse else 4 * max(workers, 1)
    for _ in batches:
        count += 1
        now = time.monotonic()
        if count >= least and (settings.rehearse or now - started > 3 or now > ends):
            break
    batches.close()
    return count * BATCH / (time.monotonic() - started)
