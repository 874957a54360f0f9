"""Which clips or frames of a source a metric looks at."""

import hashlib
from collections.abc import Sequence

import numpy as np

from stylegan_v_ext.metrics.catalogue import Metric
from stylegan_v_ext.metrics.generated import GeneratedVideos
from stylegan_v_ext.metrics.video_source import Pick, VideoSource

_FRAMES_A_PICK = 32


class Selection:
    """Chooses the clips or frames for one metric.

    Args:
        metric: The metric.

    Attributes:
        notes: Sentences about short videos and about sides with fewer clips than the metric takes, each once.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.notes: dict[str, None] = {}  # a set that keeps its order

    def real(self, source: VideoSource, seed: int) -> list[Pick]:
        """Choose clips or frames of the real side.

        Args:
            source: The real videos.
            seed: Seed of the random choice.

        Returns:
            One clip of every video from a random frame on, or every frame; a random choice if there are too many.

        Raises:
            ValueError: If fewer than two videos are long enough for a clip.
        """
        if self.metric.family.of_clips:
            return self._clips(source, "real", np.random.RandomState(seed), starts_anywhere=True)
        return _frames(source, self.metric.most_real, seed)

    def fake(self, source: VideoSource, seed: int) -> list[Pick]:
        """Choose clips or frames of the other side.

        Args:
            source: The videos of a generator, or recorded videos.
            seed: Seed of the random choice; a generator makes the videos of the next seeds for the next `seed`.

        Returns:
            Clips from the start of each video, or frames.

        Raises:
            ValueError: If fewer than two videos are long enough for a clip.
        """
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
        self, source: VideoSource, side: str, random: np.random.RandomState, *, starts_anywhere: bool
    ) -> list[Pick]:
        """Choose one clip of every video that is long enough, or of a random choice of them."""
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


def count_samples(picks: Sequence[Pick], metric: Metric) -> int:
    """Return how many clips, or how many frames, the picks are for a metric."""
    return len(picks) if metric.family.of_clips else sum(len(pick.frames) for pick in picks)


def hash_picks(source: VideoSource, picks: Sequence[Pick]) -> str:
    """Return the SHA-256 of the names of the videos and the numbers of the frames."""
    digest = hashlib.sha256()
    for pick in picks:
        digest.update(source.video_name(pick.video).encode() + b"\0")
        digest.update(np.asarray(pick.frames, dtype=np.float64).tobytes())
    return digest.hexdigest()


def _frames(source: VideoSource, most: int | None, seed: int) -> list[Pick]:
    """Choose all frames of all videos, or `most` of them at random, in picks of up to 32 frames of one video."""
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
