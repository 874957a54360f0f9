"""The metrics by name, and what each metric is.

A name says what is measured: `fvd2048_16f` is FVD on up to 2048 clips of 16 frames, `fid50k_full` is FID on 50,000
generated frames. The numbers may be others: `fvd256_16f` is quicker, and its figures compare only with each other.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from stylegan_v_ext.metrics import detectors

STANDARD = (
    "fvd2048_16f",
    "fvd2048_128f",
    "fvd2048_128f_subsample8f",
    "isv2048_ucf",
    "motion2048_16f",
    "motion2048_128f",
    "rfvd2048_16f",
    "fid50k_full",
    "kid50k_full",
    "pr50k3_full",
    "is50k",
)
"""Names of the metrics as papers use them; the numbers in a name may be others."""
ALIASES = {
    "fvd": "fvd2048_16f",
    "isv": "isv2048_ucf",
    "motion": "motion2048_16f",
    "rfvd": "rfvd2048_16f",
    "fid": "fid50k_full",
    "kid": "kid50k_full",
    "pr": "pr50k3_full",
    "is": "is50k",
}

_NAMES = (
    re.compile(
        r"(?P<kind>fvd|rfvd|motion)(?P<count>[0-9]{1,9})_(?P<frames>[0-9]{1,9})f(?:_subsample(?P<stride>[0-9]{1,9})f)?"
    ),
    re.compile(r"(?P<kind>isv)(?P<count>[0-9]{1,9})_ucf"),
    re.compile(r"(?P<kind>fid|kid)(?P<count>[0-9]{1,9}k?)_full"),
    re.compile(r"(?P<kind>pr)(?P<count>[0-9]{1,9}k?)3_full"),
    re.compile(r"(?P<kind>is)(?P<count>[0-9]{1,9}k?)"),
)
_C3D_FRAMES = 16
RANDOM_CLIPS = "random 3-D filters"  # the extractor that has no file


@dataclass(frozen=True, kw_only=True)
class Family:
    """Metrics that differ only in their numbers.

    Attributes:
        title: Full name.
        text: How the figure is computed.
        detector: File of the network looked through; None if there is no network.
        of_clips: Whether clips are compared; otherwise single frames.
        needs_real: Whether real videos are needed.
        keeps_features: Whether all features are kept, so that memory grows with their number.
        most_real: Real clips or frames at most; None for as many as generated clips or frames, 0 for all.
    """

    title: str
    text: str
    detector: str | None
    of_clips: bool
    needs_real: bool = True
    keeps_features: bool = False
    most_real: int | None = None


FAMILIES = {
    "fvd": Family(
        title="Frechet video distance (arXiv 1812.01717)",
        text="Frechet distance of the 400 logits of I3D",
        detector=detectors.I3D,
        of_clips=True,
    ),
    "rfvd": Family(
        title="Frechet distance of random features, which is not FVD and compares only with itself",
        text="Frechet distance of the features of fixed random 3-D filters, without any download",
        detector=RANDOM_CLIPS,
        of_clips=True,
    ),
    "motion": Family(
        title="Statistics of motion",
        text="how fast pixels change, flicker, return to an earlier state, drift, and their temporal power spectrum "
        "(docs/metrics.md); no detector",
        detector=None,
        of_clips=True,
        keeps_features=True,
    ),
    "isv": Family(
        title="Inception score of videos (arXiv 1611.06624)",
        text="exp of the mean KL divergence of C3D's class probabilities to their mean, over 10 parts "
        "(shuffle seed 42)",
        detector=detectors.C3D,
        of_clips=True,
        needs_real=False,
        keeps_features=True,
    ),
    "fid": Family(
        title="Frechet Inception distance (arXiv 1706.08500)",
        text="Frechet distance of the 2048 features of Inception v3",
        detector=detectors.INCEPTION,
        of_clips=False,
        most_real=0,
    ),
    "kid": Family(
        title="Kernel Inception distance (arXiv 1801.01401)",
        text="mean over 100 random subsets of 1000 (seed 0) of the unbiased MMD^2 of Inception v3's features, kernel "
        "(x.y/D + 1)^3",
        detector=detectors.INCEPTION,
        of_clips=False,
        keeps_features=True,
        most_real=1_000_000,
    ),
    "pr": Family(
        title="Precision and recall (arXiv 1904.06991)",
        text="share of either side within balls around VGG16's features of the other, to their 3rd neighbour",
        detector=detectors.VGG16,
        of_clips=False,
        keeps_features=True,
        most_real=200_000,
    ),
    "is": Family(
        title="Inception score (arXiv 1606.03498)",
        text="exp of the mean KL divergence of Inception v3's class probabilities to their mean, over 10 parts",
        detector=detectors.INCEPTION,
        of_clips=False,
        needs_real=False,
        keeps_features=True,
    ),
}


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Full name, such as `fvd2048_16f`.
        kind: A key of `FAMILIES`.
        count: Number of generated clips or frames; also the most real clips.
        num_frames: Frames of a clip, 1 for metrics of single frames.
        stride: Distance of these frames in the video, in frames.
    """

    name: str
    kind: str
    count: int
    num_frames: int = 1
    stride: int = 1

    @property
    def family(self) -> Family:
        """What the metric shares with others of its kind."""
        return FAMILIES[self.kind]

    @property
    def span(self) -> int:
        """Length of the part of a video that a clip covers, in frames."""
        return (self.num_frames - 1) * self.stride + 1

    @property
    def most_real(self) -> int | None:
        """Real clips or frames at most; None for all."""
        return self.count if self.family.most_real is None else self.family.most_real or None

    @property
    def definition(self) -> str:
        """What exactly the figure is, in a paragraph."""
        family = self.family
        if family.of_clips:
            clips = f"{self.num_frames} frames" + (f", every {self.stride}th of the video" if self.stride > 1 else "")
            real = (
                f"Real: one clip a video, from a random frame on (fixed seed); a random choice of {self.most_real} "
                "videos if there are more; videos that are too short are left out and counted. "
            )
            fake = f"Generated: {self.count} clips from t = 0, seeds 0 to {self.count - 1}."
        else:
            clips = "single frames"
            limit = f", a random choice of {self.most_real} if there are more" if self.most_real else ""
            real = f"Real: every frame of every video{limit}. "
            fake = f"Generated: {self.count} frames, one a seed, at times drawn from the real videos' lengths."
        end = "" if family.keeps_features else " Covariances are divided by N; in float64."
        return f"{family.title}: {family.text}; {clips}. {real if family.needs_real else ''}{fake}{end}"


def parse_metric(name: str) -> Metric | None:
    """Look a metric up by name.

    Args:
        name: Full or short name, such as `fvd2048_16f` or `fvd`.

    Returns:
        The metric; None if the name is unknown.
    """
    name = ALIASES.get(name, name)
    match = next((match for pattern in _NAMES if (match := pattern.fullmatch(name))), None)
    if match is None:
        return None
    found = match.groupdict()
    count = int(found["count"].rstrip("k")) * (1000 if found["count"].endswith("k") else 1)
    stride = int(found.get("stride") or 1)
    num_frames = int(found.get("frames") or (_C3D_FRAMES if found["kind"] == "isv" else 1))
    if count < 2 or stride < 1 or num_frames % stride or (found["kind"] == "motion" and num_frames // stride < 4):
        return None
    if FAMILIES[found["kind"]].of_clips and num_frames < 1:
        return None
    return Metric(name, found["kind"], count, num_frames // stride, stride)


def check_metrics(names: Iterable[str], num_frames: int) -> None:
    """Check that a model can be measured by some metrics.

    Args:
        names: Names of metrics.
        num_frames: Frames of the clips that the model was trained on.

    Raises:
        ValueError: If a metric of videos is among them and the model makes images.
    """
    for name in names:
        metric = parse_metric(name)
        if metric is not None and metric.family.of_clips and num_frames == 1:
            raise ValueError(f"--metrics={name}: the model makes images, not videos; use fid50k_full")
