"""Measuring a network against its data set, or videos against videos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from stylegan_v_ext.arguments import check_fields, path_of
from stylegan_v_ext.data.opening import nearest
from stylegan_v_ext.data.recorded import is_here
from stylegan_v_ext.data.remote import is_remote
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.execution import execution
from stylegan_v_ext.listener import SILENT, Advance, Listener
from stylegan_v_ext.metrics.catalogue import STANDARD, Metric, check_metrics, parse_metric
from stylegan_v_ext.metrics.comparison import Result, compare
from stylegan_v_ext.metrics.evaluate import measure_generator
from stylegan_v_ext.metrics.sources import VideoFiles, open_sources
from stylegan_v_ext.metrics.trained import TrainedNetwork, open_trained_network


@dataclass(frozen=True, kw_only=True)
class MeasureRequest:
    """What to measure: a network against a data set, or videos against videos.

    Attributes:
        metrics: Names of the catalogue, such as `fvd2048_16f`; the numbers in a name may be others.
        network: Checkpoint or run folder; None to measure videos.
        real: Data set, or folder or zip of video files, that `fake` is compared with.
        fake: Data set, or folder or zip of video files, that is measured in place of a network.
        data: Data set to compare a network with; None takes the data set that it was trained on.
        mirror: Whether mirror images of the real videos count as more videos; None does as training did.
        repeat: How many times to measure, with other clips each time; above 1, figures are means, with `_std`.
        detector: TorchScript file to look through in place of the usual network; None takes the usual network.
        resolution: Side of the frames of video files, in pixels, if neither side is a data set.
        cache: Whether statistics of real videos are kept, and kept statistics are used.
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the file.
        allow_nan: Whether to measure a network with NaN or infinite weights.

    Raises:
        ValueError: If a value is of another type or out of bounds, or if the parts do not go together.
    """

    metrics: Sequence[str]
    network: str | None = None
    real: str | None = None
    fake: str | None = None
    data: str | None = None
    mirror: bool | None = None
    repeat: int = 1
    detector: str | None = None
    resolution: int = 256
    cache: bool = True
    trust_pickle: bool = False
    allow_nan: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"repeat": (1, None), "resolution": (8, None)}, {})
        if (self.network is None) == (self.fake is None):
            raise ValueError("give --network=PKL, or --fake=PATH with --real=PATH")
        if self.fake is not None and self.data is not None:
            raise ValueError("--data belongs to --network; name what to compare with by --real")
        if self.network is not None and self.real is not None:
            raise ValueError("--real belongs to --fake; name a network's data set by --data")

    def check(self) -> None:
        """Raise `ValueError` if no metric is named, or if a file or folder does not exist."""
        if not self.metrics:
            raise ValueError("--metrics names none; fvd2048_16f is one")
        for option in ("real", "fake", "data", "detector"):
            path = getattr(self, option)
            if path is not None and not (is_remote(path) or is_here(path)):  # addresses are tried later
                raise ValueError(f"--{option}={path}: no such file or folder{nearest(Path(path))}")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What a request asks for, opened and ready to be measured.

    Attributes:
        runs: Functions that measure, by the full name of the metric; each takes an `Advance`.
        folder: Folder of the network; None for videos.
        snapshot: File name of the network; None for videos.
        recorded_data: Path of the data set that the network's file names; None if the request names the data.
        notes: Sentences about how the videos are read.
    """

    runs: Mapping[str, Callable[[Advance], Result]]
    folder: Path | None = None
    snapshot: str | None = None
    recorded_data: str | None = None
    notes: tuple[str, ...] = ()


@execution(tf32=False)  # numbers of 32 bits stay numbers of 32 bits, as in the command
def measure(
    metrics: str | Sequence[str],
    *,
    network: str | Path | None = None,
    real: str | Path | None = None,
    fake: str | Path | None = None,
    data: str | Path | None = None,
    mirror: bool | None = None,
    repeat: int = 1,
    detector: str | Path | None = None,
    resolution: int = 256,
    cache: bool = True,
    device: str = "auto",
    trust_pickle: bool = False,
    allow_nan: bool = False,
    listener: Listener = SILENT,
) -> dict[str, dict[str, float]]:
    """Measure a network against a data set, or videos against videos.

    `measure("fvd2048_16f", network="network.pkl")`, or `measure(["rfvd", "motion"], real="sky.zip", fake="videos/")`.

    Args:
        metrics: One name of the catalogue (docs/metrics.md) or several; the numbers in a name may be others.
        network: Checkpoint or run folder; None to measure videos.
        real: Data set, or folder or zip of video files, to compare `fake` with; None if a metric needs no real videos.
        fake: Data set, or folder or zip of video files, that is measured in place of a network.
        data: Data set to compare a network with; None takes the data set that it was trained on.
        mirror: Whether mirror images of the real videos count as more videos; None does as training did.
        repeat: How many times to measure, with other clips each time; above 1, figures are means, with `_std`.
        detector: TorchScript file to look through in place of the usual network; None takes the usual network.
        resolution: Side of the frames of video files, in pixels, if neither side is a data set.
        cache: Whether statistics of real videos are kept, and kept statistics are used.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the file.
        allow_nan: Whether to measure a network with NaN or infinite weights.
        listener: Hears notes and progress.

    Returns:
        Figures by name, for each metric by its full name: `{"fvd2048_16f": {"fvd2048_16f": 61.3}}`.

    Raises:
        ValueError: If a name is unknown, if the arguments do not go together, or if there is too little to measure.
        CheckpointError: If the network cannot be read.
        DataError: If a video cannot be read.
    """
    request = MeasureRequest(
        metrics=[metrics] if isinstance(metrics, str) else metrics,
        network=_text("network", network),
        real=_text("real", real),
        fake=_text("fake", fake),
        data=_text("data", data),
        mirror=mirror,
        repeat=repeat,
        detector=_text("detector", detector),
        resolution=resolution,
        cache=cache,
        trust_pickle=trust_pickle,
        allow_nan=allow_nan,
    )
    return _figures(open_measurement(request, pick_device(device)), listener)


def _figures(opened: Measurement, listener: Listener) -> dict[str, dict[str, float]]:
    """Measure what was opened; return figures by name, for each metric."""
    for note in opened.notes:
        listener.note(note)
    figures = {}
    for name, run in opened.runs.items():
        with listener.progress(name, 1) as advance:
            result = run(advance)
        for note in result.notes:
            listener.note(f"{name}: {note}")
        figures[name] = result.values
    return figures


def _text(name: str, path: str | Path | None) -> str | None:
    """Return the text of a path or an address; an address stays as it is."""
    if path is None:
        return None
    return path if isinstance(path, str) and is_remote(path) else str(path_of(name, path))


def open_measurement(request: MeasureRequest, device: torch.device, *, processes: Processes = ALONE) -> Measurement:
    """Open what a request asks to measure.

    Args:
        request: The request.
        device: Where networks compute.
        processes: The processes that share the work; all of them call this.

    Returns:
        The measurement; nothing is measured yet.

    Raises:
        ValueError: If a name is unknown, if a file does not exist, or if network, videos and metrics do not go
            together.
        CheckpointError: If the network cannot be read.
        DataError: If a video cannot be read.
    """
    request.check()
    metrics = known_metrics(request)
    if request.network is None:
        return _open_videos(request, metrics, device, processes)
    network = open_trained_network(
        request.network,
        device,
        data=request.data,
        mirror=request.mirror,
        trust_pickle=request.trust_pickle,
        allow_nan=request.allow_nan,
    )
    check_metrics(metrics, network.generator.num_frames)
    runs = {
        name: partial(_measure_network, request, network, metric, device, processes) for name, metric in metrics.items()
    }
    return Measurement(
        runs=runs,
        folder=network.path.parent,
        snapshot=network.path.name,
        recorded_data=network.dataset_kwargs["path"] if request.data is None else None,
    )


def known_metrics(request: MeasureRequest) -> dict[str, Metric]:
    """Look the metrics of a request up.

    Args:
        request: The request.

    Returns:
        Metrics by their full names.

    Raises:
        ValueError: If a name is unknown, or if a metric needs real videos and the request names no real videos.
    """
    known = {}
    for name in request.metrics:
        metric = parse_metric(name)
        if metric is None:
            raise ValueError(
                f"--metrics={name} is not one of {', '.join(STANDARD)}, nor one of them with other numbers; "
                "--host=DIR adds those of a stylegan3 or stylegan2-ada-pytorch checkout"
            )
        if metric.family.needs_real and request.fake is not None and request.real is None:
            raise ValueError(f"--metrics={name} compares with real videos; name them with --real")
        known[metric.name] = metric
    if request.mirror and not any(metric.family.needs_real for metric in known.values()):
        raise ValueError(f"--mirror=1: {', '.join(known)} looks at no real videos; leave --mirror out")
    return known


def _measure_network(
    request: MeasureRequest,
    network: TrainedNetwork,
    metric: Metric,
    device: torch.device,
    processes: Processes,
    progress: Advance,
) -> Result:
    return measure_generator(
        metric,
        network.generator,
        network.dataset_kwargs,
        device,
        repeat=request.repeat,
        own_detector=Path(request.detector) if request.detector else None,
        use_cache=request.cache,
        processes=processes,
        progress=progress,
    )


def _open_videos(
    request: MeasureRequest, metrics: Mapping[str, Metric], device: torch.device, processes: Processes
) -> Measurement:
    assert request.fake is not None
    paths = [path for path in (request.real, request.fake) if path is not None]
    mirrors = [False] * len(paths)
    mirrors[0] = bool(request.mirror) and request.real is not None
    sources = open_sources(paths, request.resolution, mirrors)
    fake, real = sources[-1], sources[0] if request.real is not None else None
    if len({source.resolution for source in sources}) > 1:
        raise ValueError(
            f"{paths[0]} has {sources[0].resolution} px, {paths[1]} {sources[1].resolution}; convert one of them, "
            "figures of different sizes do not compare"
        )
    cut = any(isinstance(source, VideoFiles) for source in sources)
    note = f"Frames of video files are cut to the middle square and scaled to {fake.resolution} px."

    def run(metric: Metric, progress: Advance) -> Result:
        return compare(
            metric,
            real,
            fake,
            device,
            repeat=request.repeat,
            own_detector=Path(request.detector) if request.detector else None,
            use_cache=request.cache,
            processes=processes,
            progress=progress,
        )

    runs = {name: partial(run, metric) for name, metric in metrics.items()}
    return Measurement(runs=runs, notes=(note,) if cut else ())
