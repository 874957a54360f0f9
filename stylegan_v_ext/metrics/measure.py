"""Computing a metric: which clips or frames of either side, through which network, compared how."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.cache import load_statistics, save_statistics
from stylegan_v_ext.metrics.catalogue import RANDOM_CLIPS, Metric
from stylegan_v_ext.metrics.frechet import frechet_distance
from stylegan_v_ext.metrics.inception_score import inception_score
from stylegan_v_ext.metrics.kernel_distance import kernel_distance
from stylegan_v_ext.metrics.motion import compare_motion, motion_statistics
from stylegan_v_ext.metrics.precision_recall import precision_recall
from stylegan_v_ext.metrics.random_features import RandomClipFeatures
from stylegan_v_ext.metrics.sources import GeneratedVideos, Pick, VideoSource
from stylegan_v_ext.metrics.statistics import Features, Moments, Statistics, merged

ProgressFn = Callable[[int, int], None]
"""Called with (clips or frames done, of how many), of this process."""

_FRAMES_A_PICK = 32
_PIXELS_AT_ONCE = 128 * 224 * 224  # of a batch, in the size that detectors look at
_DETECTOR_SIDE = 224


@dataclass
class Result:
    """values: figures by name. protocol: what exactly was measured, in plain values. notes: sentences to show."""

    values: dict[str, float]
    protocol: dict[str, Any]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Extractor:
    """A network that metrics look through.

    Attributes:
        call: Batches uint8 -> features `[N, D]`.
        sha256: Of its file.
    """

    call: Callable[[torch.Tensor], torch.Tensor]
    file: str | None
    sha256: str | None


def open_extractor(
    metric: Metric,
    device: torch.device,
    own: Path | None,
    processes: Processes = Processes(),  # noqa: B008
) -> Extractor:
    """What a metric looks through.

    Args:
        own: The user's file in place of it.

    Raises:
        ValueError: With the remedy.
    """
    wanted = metric.family.detector
    if wanted is None and own is not None:
        raise ValueError(f"{metric.name} looks through no detector; leave --detector={own} out")
    if wanted is None:
        return Extractor(motion_statistics, None, None)
    if own is None and wanted == RANDOM_CLIPS:
        network = RandomClipFeatures().to(device)
        weights = b"".join(buffer.cpu().numpy().tobytes() for buffer in network.buffers())
        return Extractor(network, RANDOM_CLIPS, hashlib.sha256(weights).hexdigest())
    if own is None:
        path = processes.from_leader(lambda: detectors.find_detector(wanted))
        arguments = dict(detectors.DETECTORS[wanted].arguments)
    else:
        path, arguments = own, dict(detectors.DETECTORS[wanted].arguments) if wanted != RANDOM_CLIPS else {}
    if metric.kind == "is":
        arguments = {"no_output_bias": True}
    module = detectors.load_torchscript(path, device)
    return Extractor(detectors.caller(module, arguments), path.name, detectors.sha256_of(path))


def measure(
    metric: Metric,
    real: VideoSource | None,
    fake: VideoSource,
    device: torch.device,
    repeat: int = 1,
    own_detector: Path | None = None,
    use_cache: bool = True,
    processes: Processes = Processes(),  # noqa: B008
    progress: ProgressFn = lambda done, total: None,
) -> Result:
    """A metric of `fake` against `real`, which some metrics do without.

    Args:
        repeat: Do it that many times with other clips of both sides; the values are means, `_std` their standard
            deviations.
        own_detector: A TorchScript file in place of the metric's own. All processes call this and get the same result,
            to rounding the one of a single process.

    Raises:
        ValueError: Where there is too little to measure, `DataError` where a video cannot be read.
    """
    extractor = open_extractor(metric, device, own_detector, processes)
    run = _Run(metric, real, fake, extractor, device, use_cache, processes, progress)
    with torch.inference_mode():
        rounds = [run.figures(seed) for seed in range(repeat)]
    values = {name: float(np.mean([figures[name] for figures in rounds])) for name in rounds[0]}
    if repeat > 1:
        values |= {f"{name}_std": float(np.std([f[name] for f in rounds], ddof=1)) for name in rounds[0]}
        run.protocol["rounds"] = rounds
    if own_detector is not None and own_detector.name != metric.family.detector:
        mark = detectors.short_name(own_detector)
        values = {_renamed(name, metric.name, mark): value for name, value in values.items()}
    return Result(values, {**run.protocol, "repeat": repeat, "num_processes": processes.count}, list(run.notes))


def _renamed(value: str, metric: str, detector: str) -> str:
    """A value's name that says whose detector it comes from."""
    return value.replace(metric, f"{metric}-{detector}", 1) if value.startswith(metric) else f"{value}-{detector}"


class _Run:
    """A metric on its way: its protocol and notes fill while figures are computed."""

    def __init__(
        self,
        metric: Metric,
        real: VideoSource | None,
        fake: VideoSource,
        extractor: Extractor,
        device: torch.device,
        use_cache: bool,
        processes: Processes,
        progress: ProgressFn,
    ) -> None:
        self.metric, self.extractor, self.device = metric, extractor, device
        self.real = real if metric.family.needs_real else None
        self.fake, self.use_cache, self.processes, self.progress = fake, use_cache, processes, progress
        self.notes: dict[str, None] = {}  # in order, each once
        self.protocol: dict[str, Any] = {
            "metric": metric.name,
            "definition": metric.definition,
            "resolution": fake.resolution,
            "detector": {"file": extractor.file, "sha256": extractor.sha256},
        }
        if metric.family.of_clips:
            self.protocol |= {"num_frames": metric.num_frames, "stride": metric.stride}
        if metric.kind in ("fvd", "rfvd", "fid"):
            self.protocol["covariance"] = "divided by N"
        self._done = self._total = 0

    def figures(self, seed: int) -> dict[str, float]:
        """The metric with the clips of this seed."""
        sides: list[tuple[str, VideoSource, list[Pick]]] = []
        if self.real is not None:
            sides.append(("real", self.real, self._real_picks(self.real, seed)))
        sides.append(("fake", self.fake, self._fake_picks(self.fake, seed)))
        if seed == 0:
            self.protocol |= {side: self._describe(source, picks) for side, source, picks in sides}
        self._done = 0
        self._total = sum(_share_size(picks, self.processes, self.metric) for _, _, picks in sides)
        statistics = {side: self._statistics(side, source, picks) for side, source, picks in sides}
        return self._compare(statistics.get("real"), statistics["fake"])

    def _real_picks(self, source: VideoSource, seed: int) -> list[Pick]:
        if self.metric.family.of_clips:
            return self._clips(source, "real", np.random.RandomState(seed), starts_anywhere=True)
        return _frames(source, self.metric.most_real, seed)

    def _fake_picks(self, source: VideoSource, seed: int) -> list[Pick]:
        count = self.metric.count
        if not isinstance(source, GeneratedVideos):
            if self.metric.family.of_clips:
                return self._clips(source, "fake", np.random.RandomState(seed), starts_anywhere=False)
            return _frames(source, count, seed)
        seeds = range(seed * count, (seed + 1) * count)
        if not self.metric.family.of_clips:
            return [source.frame_pick(number) for number in seeds]
        times = np.arange(self.metric.num_frames) * self.metric.stride
        return [Pick(number, times) for number in seeds]

    def _clips(
        self, source: VideoSource, side: str, random: np.random.RandomState, starts_anywhere: bool
    ) -> list[Pick]:
        """One clip of every video that is long enough, or of a random choice of them."""
        metric, lengths = self.metric, source.lengths
        long_enough = [video for video, length in enumerate(lengths) if length >= metric.span]
        short = [video for video, length in enumerate(lengths) if length < metric.span]
        if len(long_enough) < 2:
            raise ValueError(
                f"{len(long_enough)} of the {len(lengths)} videos in {source.name} have the {metric.span} frames that "
                "a clip takes, 2 are needed; use a metric of fewer frames"
            )
        if short:
            names = ", ".join(source.video_name(video) for video in short[:3]) + (", …" if len(short) > 3 else "")
            self.notes[
                f"{len(short)} of {len(lengths)} {side} videos are shorter than {metric.span} frames and left "
                f"out: {names}"
            ] = None
        chosen = long_enough
        if len(long_enough) > metric.count:
            chosen = sorted(random.choice(long_enough, metric.count, replace=False).tolist())
        elif len(long_enough) < metric.count:
            self.notes[f"{len(long_enough)} {side} clips, {metric.name} takes up to {metric.count}"] = None
        steps = np.arange(metric.num_frames) * metric.stride
        return [
            Pick(video, steps + (random.randint(lengths[video] - metric.span + 1) if starts_anywhere else 0))
            for video in chosen
        ]

    def _describe(self, source: VideoSource, picks: Sequence[Pick]) -> dict[str, Any]:
        """What of a source was used, for the protocol."""
        unit = "clips" if self.metric.family.of_clips else "frames"
        used = len(picks) if self.metric.family.of_clips else sum(len(pick.frames) for pick in picks)
        about: dict[str, Any] = {"source": source.name, unit: used, "list_sha256": _hash_of(source, picks)}
        if not isinstance(source, GeneratedVideos):
            lengths = source.lengths
            about |= {"videos": len(lengths), "mirrored": source.mirrored, "content_sha256": source.fingerprint}
            if self.metric.family.of_clips:
                about["too_short"] = sum(length < self.metric.span for length in lengths)
        else:
            about |= {"first_seed": picks[0].video, "starts": "t = 0" if unit == "clips" else "random times"}
        for note in source.notes:
            self.notes[note] = None
        return about

    def _statistics(self, side: str, source: VideoSource, picks: list[Pick]) -> Statistics:
        kind: type[Statistics] = Features if self.metric.family.keeps_features else Moments

        def make() -> Statistics:
            return merged(self._collect(source, picks, kind()), self.processes, kind)

        if isinstance(source, GeneratedVideos) or not self.use_cache:
            return make()
        key = {
            "kind": kind.__name__,
            "content": source.fingerprint,
            "list": _hash_of(source, picks),
            "resolution": source.resolution,
            "detector": self.extractor.sha256 or self.metric.kind,
            "arguments": self.metric.kind,
            "device": self.device.type,
            "torch": torch.__version__,
        }
        statistics = self.processes.from_leader(lambda: load_statistics(kind, key))
        if statistics is not None:
            self._advance(_share_size(picks, self.processes, self.metric))
            return statistics
        statistics = make()
        if self.processes.leads:
            save_statistics(statistics, key)
        return statistics

    def _collect(self, source: VideoSource, picks: list[Pick], statistics: Statistics) -> Statistics:
        """Statistics of this process's share of the picks."""
        numbers = range(self.processes.rank, len(picks), self.processes.count)
        share, of_clips = [picks[number] for number in numbers], self.metric.family.of_clips
        for here, batch in _batches(source, share, self._picks_at_once(source, picks), of_clips):
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
        """Features `[N, D]` of clips uint8 `[N, 3, T, H, W]` or frames `[N, 3, H, W]`."""
        features = self.extractor.call(batch.to(self.device))
        if not torch.isfinite(features).all():
            raise ValueError(f"{self.metric.name}: the detector returned numbers that are not finite")
        return features

    def _picks_at_once(self, source: VideoSource, picks: Sequence[Pick]) -> int:
        size = len(picks[0].frames) * max(source.resolution, _DETECTOR_SIDE) ** 2
        return max(_PIXELS_AT_ONCE // size, 1)

    def _advance(self, count: int) -> None:
        self._done += count
        self.progress(self._done, self._total)

    def _compare(self, real: Statistics | None, fake: Statistics) -> dict[str, float]:
        name, kind = self.metric.name, self.metric.kind
        if isinstance(fake, Moments):
            assert isinstance(real, Moments)
            (mean_r, cov_r), (mean_f, cov_f) = real.mean_and_covariance(), fake.mean_and_covariance()
            fewest = min(real.count, fake.count)
            if fewest <= len(mean_r):
                self.notes[
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


def _frames(source: VideoSource, most: int | None, seed: int) -> list[Pick]:
    """All frames of all videos, or a random choice of `most`, a few of one video at a time."""
    ends = np.cumsum(source.lengths)
    chosen = np.arange(ends[-1])
    if most is not None and most < len(chosen):
        chosen = np.sort(np.random.RandomState(seed).choice(len(chosen), most, replace=False))
    videos = np.searchsorted(ends, chosen, side="right")
    numbers = chosen - (ends - source.lengths)[videos]
    edges = np.flatnonzero(np.diff(videos)) + 1
    return [
        Pick(int(first), part)
        for first, of_video in zip(videos[np.r_[0, edges]], np.split(numbers, edges), strict=True)
        for part in np.split(of_video, range(_FRAMES_A_PICK, len(of_video), _FRAMES_A_PICK))
    ]


def _hash_of(source: VideoSource, picks: Sequence[Pick]) -> str:
    """SHA-256 of the list of what is looked at: names of videos and numbers of frames."""
    digest = hashlib.sha256()
    for pick in picks:
        digest.update(source.video_name(pick.video).encode() + b"\0")
        digest.update(np.asarray(pick.frames, dtype=np.float64).tobytes())
    return digest.hexdigest()


def _share_size(picks: Sequence[Pick], processes: Processes, metric: Metric) -> int:
    share = picks[processes.rank :: processes.count]
    return len(share) if metric.family.of_clips else sum(len(pick.frames) for pick in share)


def _batches(
    source: VideoSource, picks: Sequence[Pick], size: int, of_clips: bool
) -> Iterator[tuple[range, torch.Tensor]]:
    """(numbers, uint8 batch) of some picks at a time; the next are read while the caller works on these."""

    def read(numbers: range) -> torch.Tensor:
        pixels = source.read([picks[number] for number in numbers])
        items = pixels if of_clips else [frame for frames in pixels for frame in frames]
        batch = np.empty([len(items), 3, *items[0].shape[:-1]], dtype=np.uint8)
        for item, place in zip(items, batch, strict=True):
            np.copyto(place, np.moveaxis(item, -1, 0))
        return torch.from_numpy(batch)

    parts = [range(start, min(start + size, len(picks))) for start in range(0, len(picks), size)]
    if isinstance(source, GeneratedVideos):  # which works on the caller's device
        for numbers in parts:
            yield numbers, read(numbers)
        return
    with ThreadPoolExecutor(source.readers) as reader:
        ahead: deque[tuple[range, Future[torch.Tensor]]] = deque()
        for numbers in parts:
            ahead.append((numbers, reader.submit(read, numbers)))
            if len(ahead) > source.readers:
                first, batch = ahead.popleft()
                yield first, batch.result()
        for first, batch in ahead:
            yield first, batch.result()
