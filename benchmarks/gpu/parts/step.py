"""A training step at full size: beside an image model and the paper's own code, its kernels, memory and waits."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu import material
from benchmarks.gpu.comparison import Comparison
from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import ROOT, TINY_LATENTS, Settings
from benchmarks.sides import Side, SideEnded

FRAMES = 3
ROUND = 16  # steps; R1 is in one of them
_OURS = "benchmarks.train_step:our_step"
_RELEASE = "the paper's own code"
_REFERENCE_SECONDS = 40  # to wait for an answer of other people's code, which may have to compile first
_LEAST_SECONDS = 20  # that a process needs to start, to take its first step and to measure


@dataclass(frozen=True)
class Size:
    """What is measured.

    Args:
        rounds: Most rounds of the comparison.
        latents: Sizes of latents, if they are not those of `train.py`.
    """

    resolution: int
    clips: int
    channel_base: int
    channel_max: int
    rounds: int
    round_steps: int
    latents: dict[str, int] = field(default_factory=dict)

    @property
    def networks(self) -> dict[str, int]:
        """As the reference sides take it."""
        return {"channel_base": self.channel_base, "channel_max": self.channel_max}

    def options(self, **more: Any) -> dict[str, Any]:
        """As our side takes it."""
        return {
            "clips": self.clips,
            "cbase": self.channel_base,
            "cmax": self.channel_max,
            **self.latents,
            **more,
        }


FULL = Size(256, 16, 16384, 512, rounds=5, round_steps=ROUND)
TINY = Size(32, 4, 256, 16, rounds=1, round_steps=2, latents=TINY_LATENTS)


def run(settings: Settings, found: Findings) -> None:
    size = TINY if settings.rehearse else FULL
    data = str(material.sky(settings, size.resolution, *((2, 40) if settings.rehearse else (16, 48, 8))))
    ours = Measured()
    with found.attempt("comparing training steps"):
        _compare(settings, found, size, data, ours)
    with found.attempt("profiling a training step"):
        _profile(settings, found, size, data)
    if not settings.rehearse:
        _variant(settings, found, size, data, ours, "--tf32=1", {"tf32": True})
    with found.attempt("finding the largest batch"):
        _largest_batch(settings, found, size, data, ours)
    if not settings.rehearse:
        _variant(settings, found, size, data, ours, "--compile=1", {"compile": True})
        _variant(settings, found, size, data, ours, "--fp32=1", {"fp32": True})


@dataclass
class Measured:
    """Our training step: median milliseconds, and peak memory in MB."""

    ms: float = 0.0
    peak_mb: float = 0.0


def _compare(settings: Settings, found: Findings, size: Size, data: str, ours: Measured) -> None:
    """Our step beside the others, round by round; what is measured goes to `ours` as well."""
    makers = {cfg: _ours(settings, size, data, cfg) for cfg in ("stylegan-v", "stylegan2")}
    release = settings.reference("stylegan-v")
    if release is None:
        found.note(f"{_RELEASE} was not measured: no checkout references/stylegan-v in the carried folder")
    else:
        makers[_RELEASE] = _reference("benchmarks.release:training_step", release, size)
    comparison = Comparison(makers, found, references={_RELEASE}, warm_up=2)
    try:
        for _ in range(size.rounds):
            before = time.monotonic()
            comparison.round(size.round_steps)
            _tell_comparison(found, size, comparison, ours)
            if settings.seconds_left(keep=30) < 1.3 * (time.monotonic() - before):
                break
    finally:
        comparison.close()


def _ours(settings: Settings, size: Size, data: str, cfg: str) -> Callable[[], Side]:
    options = size.options(device=settings.device)
    return lambda: Side(_OURS, data, cfg, str(settings.folder), options, seconds=100)


def _reference(build: str, folder: Path, size: Size) -> Callable[[], Side]:
    return lambda: Side(
        build, str(folder), size.resolution, clips=size.clips, seconds=_REFERENCE_SECONDS, **size.networks
    )


def _tell_comparison(found: Findings, size: Size, comparison: Comparison, ours: Measured) -> None:
    peaks = comparison.peaks()
    medians = comparison.medians()
    title = f"A training step, {size.resolution} px, {size.clips} clips of {FRAMES} frames"
    header = ["", "median", "rounds", "peak memory", "ours / it, time", "ours / it, memory"]
    ms, mb = medians.get("stylegan-v"), peaks.get("stylegan-v")
    rows = []
    for name, median in medians.items():
        rounds = comparison.times[name]
        spread = f"{len(rounds)}, {min(rounds):.1f} to {max(rounds):.1f} ms"
        over = [f"{ms / median:.2f}", f"{mb / peaks[name]:.2f}"] if ms and mb else ["", ""]
        rows.append([name, f"{median:.1f} ms", spread, f"{peaks[name]:.0f} MB", *over])
    found.table(title, header, rows)
    if not ms or not mb:
        return
    ours.ms, ours.peak_mb = ms, mb
    found.figure("ms", ms)
    found.figure("peak_mb", mb)
    found.figure("rounds", len(comparison.times["stylegan-v"]))
    found.figure("clips_per_second", size.clips / ms * 1e3)
    for name, key in (("stylegan2", "over_stylegan2"), (_RELEASE, "over_release")):
        if name in medians:
            found.figure(key, ms / medians[name])
            found.figure(f"memory_{key}", mb / peaks[name])
    ratios = [f"{ms / median:.2f} of {name}" for name, median in medians.items() if name != "stylegan-v"]
    found.summary(", ".join([f"{ms:.1f} ms at {size.resolution} px", *ratios]))


def _profile(settings: Settings, found: Findings, size: Size, data: str) -> None:
    """In a process of its own: what goes wrong with a profiler is not to end this part."""
    request = {
        "data": data, "folder": str(settings.folder),  "device": settings.device,
        "warm_up": 1 if settings.rehearse else 4, "steps": 1 if settings.rehearse else 4,
        "options": size.options(device=settings.device, aug="ada", p=0.2, workers=0 if settings.rehearse else 8),
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.gpu.profile", json.dumps(request)]
    limit = max(settings.seconds_left(keep=5), 1)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=limit, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    found.figure("busy_share", seen["busy_share"])
    found.figure("waits_per_step", seen["waits_per_step"])
    found.table("Where the time of a step goes", ["", "a step"], [
        ["the device is busy", f"{seen['busy_share']:.0%} of the time"],
        ["kernels", f"{seen['kernels_per_step']:.0f}"],
        ["host waits for the device", f"{seen['waits_per_step']:.1f}"],
        ["R1 beside it, in every 16th", f"{seen['r1_ms']:.1f} ms"],
    ])  # fmt: skip
    for place, count in seen["waits"]:
        found.row("Host waits, by the line that waits", ["line", "in a step"], [place, f"{count:.1f}"])
    for name, ms, share, calls in seen["longest"]:
        found.row("The longest kernels of a step", ["kernel", "time", "share of all kernels", "calls"],
                  [f"`{name}`", f"{ms:.2f} ms", f"{share:.1%}", f"{calls:.0f}"])  # fmt: skip


def _largest_batch(settings: Settings, found: Findings, size: Size, data: str, ours: Measured) -> None:
    """The largest multiple of the batch that fits, tried from an estimate downwards."""
    most = 2 * size.clips
    if "card_memory_gib" in settings.machine and ours.peak_mb:
        room = settings.machine["card_memory_gib"] * 2**30 / 1e6
        most = max(int(room * 0.92 / ours.peak_mb), 1) * size.clips
    header = ["clips", "step", "clips a second", "peak memory"]
    title = f"Larger batches, {size.resolution} px"
    for clips in range(most, size.clips, -size.clips):
        if settings.seconds_left(keep=_LEAST_SECONDS) == 0:
            found.note(f"no time was left to try {clips} clips")
            return
        options = size.options(device=settings.device, clips=clips)
        side = None
        try:
            side = Side(_OURS, data, "stylegan-v", str(settings.folder), options, seconds=settings.seconds_left(keep=5))
            side.run(2)
            ms = side.run(max(size.round_steps // 2, 1))
            found.row(title, header, [clips, f"{ms:.0f} ms", f"{clips / ms * 1e3:.1f}", f"{side.peak():.0f} MB"])
            found.figure("largest_batch", clips)
            return
        except SideEnded as error:
            found.row(title, header, [clips, f"did not run: {error}", "", ""])
        finally:
            if side:
                side.kill()


def _variant(
    settings: Settings, found: Findings, size: Size, data: str, ours: Measured, name: str, options: dict[str, Any]
) -> None:
    """Our step with another option, alone."""
    if settings.seconds_left(keep=_LEAST_SECONDS) == 0:
        found.note(f"no time was left for {name}")
        return
    header = ["", "step", "over the default", "first two steps", "peak memory"]
    with found.attempt(f"a training step with {name}", needed=False):
        seconds, options = settings.seconds_left(keep=3), size.options(device=settings.device, **options)
        side = Side(_OURS, data, "stylegan-v", str(settings.folder), options, seconds=seconds)
        started = time.monotonic()
        side.run(2)
        first = time.monotonic() - started
        ms = side.run(size.round_steps)
        over = f"{ms / ours.ms:.2f}" if ours.ms else ""
        found.row(f"Variants of the step, {size.resolution} px", header,
                  [name, f"{ms:.1f} ms", over, f"{first:.1f} s", f"{side.peak():.0f} MB"])  # fmt: skip
        found.figure(name.removeprefix("--").removesuffix("=1") + "_ms", ms)
        side.kill()
