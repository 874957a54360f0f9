"""Computing a metric of one source of videos against another source."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.listener import Advance, ignore
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.batches import read_batches
from stylegan_v_ext.metrics.cache import load_statistics, save_statistics
from stylegan_v_ext.metrics.catalogue import Metric
from stylegan_v_ext.metrics.extractors import Extractor, open_extractor
from stylegan_v_ext.metrics.frechet import frechet_distance
from stylegan_v_ext.metrics.generated import GeneratedVideos
from stylegan_v_ext.metrics.inception_score import inception_score
from stylegan_v_ext.metrics.kernel_distance import kernel_distance
from stylegan_v_ext.metrics.motion import compare_motion
from stylegan_v_ext.metrics.precision_recall import precision_recall
from stylegan_v_ext.metrics.selection import Selection, count_samples, hash_picks
from stylegan_v_ext.metrics.statistics import Features, Moments, Statistics, merged
from stylegan_v_ext.metrics.video_source import Pick, VideoSource

_PIXELS_AT_ONCE = 128 * 224 * 224  # in a batch, at the size that detectors look at
_DETECTOR_SIDE = 224


@dataclass
class Result:
    """A metric that was measured.

    Attributes:
        values: Figures by name.
        protocol: What exactly was measured, in plain values.
        notes: Sentences for the user.
    """

    values: dict[str, float]
    protocol: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def compare(
    metric: Metric,
    real: VideoSource | None,
    fake: VideoSource,
    device: torch.device,
    *,
    repeat: int = 1,
    own_detector: Path | None = None,
    use_cache: bool = True,
    processes: Processes = ALONE,
    progress: Advance = ignore,
) -> Result:
    """Measure `fake` against `real`.

    Args:
        metric: The metric.
        real: Videos to compare with; None for a metric that needs no real videos.
        fake: Videos to measure.
        device: Where networks compute.
        repeat: How many times to measure, with other clips of both sides each time. With 2 or more, values are means,
            and names that end in `_std` are their standard deviations.
        own_detector: A TorchScript file to look through in place of the usual network; None takes the usual network.
        use_cache: Whether statistics of recorded videos are kept in the cache folder, and kept statistics are used.
        processes: The processes that share the work. All of them call this, and all get the same result; it equals
            the result of a single process up to rounding.
        progress: Called with the samples since the last call and the samples in all, both of this process.

    Returns:
        The figures with their protocol.

    Raises:
        ValueError: If there is too little to measure, or if a detector cannot be had.
        DataError: If a video cannot be read.
    """
    extractor = open_extractor(metric, device, own=own_detector, processes=processes)
    comparison = Comparison(
        metric=metric,
        real=real,
        fake=fake,
        extractor=extractor,
        device=device,
        use_cache=use_cache,
        repeat=repeat,
        processes=processes,
        progress=progress,
    )
    with torch.inference_mode():
        rounds = [comparison.figures(seed) for seed in range(repeat)]
    values = {name: float(np.mean([figures[name] for figures in rounds])) for name in rounds[0]}
    protocol = comparison.protocol
    if repeat > 1:
        values |= {f"{name}_std": float(np.std([f[name] for f in rounds], ddof=1)) for name in rounds[0]}
        protocol = {**protocol, "rounds": rounds}
    if own_detector is not None and own_detector.name != metric.family.detector:
        mark = detectors.short_name(own_detector)
        values = {_with_detector(name, metric.name, mark): value for name, value in values.items()}
    return Result(
        values, {**protocol, "repeat": repeat, "num_processes": processes.count}, list(comparison.selection.notes)
    )


def _with_detector(value: str, metric: str, detector: str) -> str:
    """Return the name of a value with the name of an unusual detector in it."""
    return value.replace(metric, f"{metric}-{detector}", 1) if value.startswith(metric) else f"{value}-{detector}"


@dataclass(kw_only=True)
class Comparison:
    """One metric of two sources. The protocol and the notes of the selection fill while figures are computed.

    Attributes:
        metric: The metric.
        real: Videos to compare with; not used by a metric that needs no real videos.
        fake: Videos to measure.
        extractor: What the metric looks through.
        device: Where networks compute.
        use_cache: Whether statistics of recorded videos are kept, and kept statistics are used.
        repeat: How many times `figures` will be called.
        processes: The processes that share the work.
        progress: Called with the samples since the last call and the samples in all, both of this process.
        selection: Chooses clips or frames.
        protocol: What exactly is measured, in plain values.
    """

    metric: Metric
    real: VideoSource | None
    fake: VideoSource
    extractor: Extractor
    device: torch.device
    use_cache: bool = True
    repeat: int = 1
    processes: Processes = ALONE
    progress: Advance = ignore
    selection: Selection = field(init=False)
    protocol: dict[str, Any] = field(init=False)
    _done: int = field(init=False, default=0)
    _total: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        metric, family = self.metric, self.metric.family
        self.real = self.real if family.needs_real else None
        self.selection = Selection(metric)
        self.protocol = {
            "metric": metric.name,
            "definition": metric.definition,
            "resolution": self.fake.resolution,
            "detector": {"file": self.extractor.file, "sha256": self.extractor.sha256},
        }
        if family.of_clips:
            self.protocol |= {"num_frames": metric.num_frames, "stride": metric.stride}
        if metric.kind in ("fvd", "rfvd", "fid"):
            self.protocol["covariance"] = "divided by N"

    def figures(self, seed: int) -> dict[str, float]:
        """Return the figures by name for the clips of a seed; seed 0 fills the protocol."""
        sides: list[tuple[str, VideoSource, list[Pick]]] = []
        if self.real is not None:
            sides.append(("real", self.real, self.selection.real(self.real, seed)))
        sides.append(("fake", self.fake, self.selection.fake(self.fake, seed)))
        if seed == 0:
            self.protocol |= {side: self._describe(source, picks) for side, source, picks in sides}
        samples = sum(count_samples(self._share(picks), self.metric) for _, _, picks in sides)
        self._total = self._done + samples * (self.repeat - seed)
        statistics = {side: self._statistics(source, picks) for side, source, picks in sides}
        return self._compare(statistics.get("real"), statistics["fake"])

    def _share(self, picks: list[Pick]) -> list[Pick]:
        """Return the picks that this process reads."""
        return picks[self.processes.rank :: self.processes.count]

    def _describe(self, source: VideoSource, picks: Sequence[Pick]) -> dict[str, Any]:
        """Return what of a source is used, for the protocol."""
        of_clips = self.metric.family.of_clips
        unit = "clips" if of_clips else "frames"
        about: dict[str, Any] = {"source": source.name, unit: count_samples(picks, self.metric)}
        about["list_sha256"] = hash_picks(source, picks)
        if not isinstance(source, GeneratedVideos):
            lengths = source.lengths
            about |= {"videos": len(lengths), "mirrored": source.mirrored, "content_sha256": source.fingerprint}
            if of_clips:
                about["too_short"] = sum(length < self.metric.span for length in lengths)
        else:
            about |= {"first_seed": picks[0].video, "starts": "t = 0" if of_clips else "random times"}
        self.selection.notes |= dict.fromkeys(source.notes)
        return about

    def _statistics(self, source: VideoSource, picks: list[Pick]) -> Statistics:
        """Return the statistics of a source over all processes, from the cache if they are there."""
        kind: type[Statistics] = Features if self.metric.family.keeps_features else Moments

        def make() -> Statistics:
            return merged(self._collect(source, picks, kind()), self.processes, kind)

        if isinstance(source, GeneratedVideos) or not self.use_cache:
            return make()
        key = {
            "kind": kind.__name__,
            "content": source.fingerprint,
            "list": hash_picks(source, picks),
            "resolution": source.resolution,
            "detector": self.extractor.sha256 or self.metric.kind,
            "arguments": self.metric.kind,
            "device": self.device.type,
            "torch": torch.__version__,
        }
        statistics = self.processes.from_leader(lambda: load_statistics(kind, key))
        if statistics is not None:
            self._advance(count_samples(self._share(picks), self.metric))
            return statistics
        statistics = make()
        if self.processes.leads:
            save_statistics(statistics, key)
        return statistics

    def _collect(self, source: VideoSource, picks: list[Pick], statistics: Statistics) -> Statistics:
        """Add the features of this process's share of the picks to statistics."""
        of_clips, share = self.metric.family.of_clips, self._share(picks)
        numbers = range(self.processes.rank, len(picks), self.processes.count)
        for here, batch in read_batches(source, share, self._picks_at_once(source, picks), of_clips=of_clips):
            features = self._features(batch)
            sizes = [1 if of_clips else len(share[number].frames) for number in here]
            if isinstance(statistics, Moments):
                statistics.add(features)
            else:
                for number, rows in zip(here, features.split(sizes), strict=True):
                    statistics.add(numbers[number], rows)
            self._advance(sum(sizes))
        return statistics

    def _features(self, batch: torch.Tensor) -> torch.Tensor:
        """Return features `[N, D]` of clips uint8 `[N, 3, T, H, W]` or frames `[N, 3, H, W]`."""
        features = self.extractor.call(batch.to(self.device))
        if not torch.isfinite(features).all():
            raise ValueError(f"{self.metric.name}: the detector returned numbers that are not finite")
        return features

    def _picks_at_once(self, source: VideoSource, picks: Sequence[Pick]) -> int:
        """Return how many picks make a batch of moderate memory."""
        size = len(picks[0].frames) * max(source.resolution, _DETECTOR_SIDE) ** 2
        return max(_PIXELS_AT_ONCE // size, 1)

    def _advance(self, count: int) -> None:
        self._done += count
        self.progress(count, self._total)

    def _compare(self, real: Statistics | None, fake: Statistics) -> dict[str, float]:
        """Return the figures by name that follow from the statistics of both sides."""
        name, kind = self.metric.name, self.metric.kind
        if isinstance(fake, Moments):
            assert isinstance(real, Moments)
            (mean_r, cov_r), (mean_f, cov_f) = real.mean_and_covariance(), fake.mean_and_covariance()
            fewest = min(real.count, fake.count)
            if fewest <= len(mean_r):
                self.selection.notes[
                    f"{fewest} samples for {len(mean_r)} features: the covariance is singular, the figure "
                    "compares only with others of as many samples"
                ] = None
            return {name: frechet_distance(mean_r, cov_r, mean_f, cov_f)}
        if kind in ("is", "isv"):
            mean, deviation = inception_score(fake.array(), shuffle=kind == "isv")
            return {f"{name}_mean": mean, f"{name}_split_std": deviation}
        assert isinstance(real, Features)
        if kind == "kid":
            return {name: kernel_distance(real.array(), fake.array())}
        if kind == "pr":
            reals, fakes = (torch.from_numpy(side.array()).to(self.device) for side in (real, fake))
            precision, recall = precision_recall(reals, fakes)
            return {f"{name}_precision": precision, f"{name}_recall": recall}
        return {f"{name}_{part}": value for part, value in compare_motion(real.array(), fake.array()).items()}
