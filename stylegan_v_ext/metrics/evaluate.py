"""Measuring a generator against the data set that it was trained on, and keeping the figures."""

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import dnnlib
from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.files import append_line
from stylegan_v_ext.listener import Advance, ignore
from stylegan_v_ext.metrics.catalogue import Metric
from stylegan_v_ext.metrics.comparison import Result, compare
from stylegan_v_ext.metrics.generated import GeneratedVideos
from stylegan_v_ext.metrics.sources import DatasetVideos

if TYPE_CHECKING:
    from stylegan_v_ext.networks.generator import VideoGenerator


def measure_generator(
    metric: Metric,
    generator: "VideoGenerator",
    dataset_kwargs: dict[str, Any],
    device: torch.device,
    *,
    repeat: int = 1,
    own_detector: Path | None = None,
    use_cache: bool = True,
    processes: Processes = ALONE,
    progress: Advance = ignore,
) -> Result:
    """Measure a generator against a data set.

    Args:
        metric: The metric.
        generator: The network; it is moved to the device and put into eval mode.
        dataset_kwargs: Keyword arguments of `SparseVideoDataset`; with `xflip`, mirror images count as more videos.
        device: Where networks compute.
        repeat: How many times to measure with other clips, see `compare`.
        own_detector: A TorchScript file in place of the usual network; None takes the usual network.
        use_cache: Whether statistics of the data set are kept, and kept statistics are used.
        processes: The processes that share the work.
        progress: Called with the samples since the last call and the samples in all, both of this process.

    Returns:
        The figures with their protocol.

    Raises:
        ValueError: If data and model differ in size or classes, if there is too little to measure, or if a detector
            cannot be had.
        DataError: If the data set cannot be read.
    """
    real = DatasetVideos(
        dataset_kwargs["path"],
        mirror=bool(dataset_kwargs.get("xflip")),
        exclude=dataset_kwargs.get("exclude") or (),
        max_size=dataset_kwargs.get("max_size"),
        random_seed=dataset_kwargs.get("random_seed") or 0,
    )
    if real.resolution != generator.img_resolution:
        raise ValueError(
            f"{real.name} has {real.resolution} px, the model {generator.img_resolution}; convert the data "
            f"(stylegan-v data convert --resolution={generator.img_resolution})"
        )
    return compare(
        metric,
        real,
        GeneratedVideos(generator, device, real),
        device,
        repeat=repeat,
        own_detector=own_detector,
        use_cache=use_cache,
        processes=processes,
        progress=progress,
    )


def result_line(name: str, result: Result, seconds: float, snapshot: str | None) -> str:
    """Write a result as a line of `metric-NAME.jsonl`: the keys of stock StyleGAN, `protocol` and `notes`.

    Args:
        name: Name of the metric.
        result: Its figures.
        seconds: How long the measurement took.
        snapshot: File name of the network; None for videos.

    Returns:
        JSON without a line end; a figure that is not finite is null.
    """
    return json.dumps(
        {
            "results": {key: value if math.isfinite(value) else None for key, value in result.values.items()},
            "metric": name,
            "total_time": seconds,
            "total_time_str": dnnlib.util.format_time(seconds),
            "num_gpus": result.protocol.get("num_processes", 1),
            "snapshot_pkl": snapshot,
            "timestamp": time.time(),
            "protocol": result.protocol,
            "notes": result.notes,
        }
    )


def append_result(folder: Path, name: str, line: str) -> None:
    """Add a line to `metric-NAME.jsonl` in a folder.

    Args:
        folder: The folder, which exists.
        name: Name of the metric.
        line: Result of `result_line`.

    Raises:
        OSError: If the file cannot be written.
    """
    append_line(folder / f"metric-{name}.jsonl", line)
