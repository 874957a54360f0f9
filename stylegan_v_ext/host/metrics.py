"""Our metrics in the registry of a checkout, and a view of videos that its own metrics understand."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch

import dnnlib
from stylegan_v_ext.classes import FRAME_DATASET, VIDEO_DATASET, check
from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.host.importer import import_module
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import STANDARD, Metric, parse_metric
from stylegan_v_ext.metrics.evaluate import measure_generator
from stylegan_v_ext.networks.generator import VideoGenerator


class Monitor(Protocol):
    """The progress monitor of a checkout, as its metrics use it.

    Attributes:
        num_items: Number of items; None if it is unknown.
    """

    num_items: int | None

    def sub(self, *, tag: str) -> "Monitor":
        """Return a monitor for a part of the work."""

    def update(self, cur_items: int) -> object:
        """Show the number of items that are done."""


class MetricOptions(Protocol):
    """Options that a checkout hands to a metric.

    Attributes:
        G: Network to measure.
        dataset_kwargs: Class and arguments of the data set.
        num_gpus: Number of processes.
        rank: Number of this process.
        device: Device of this process.
        progress: Shows progress.
    """

    G: VideoGenerator
    dataset_kwargs: dict[str, Any]
    num_gpus: int
    rank: int
    device: torch.device
    progress: Monitor


def join_registry(metric_main: ModuleType) -> None:
    """Register our metrics of videos in a checkout, and have its own metrics measure single frames.

    For its own metrics the data set is every frame of every video, and G makes one frame for each label, at a random
    time.

    Args:
        metric_main: Module `metrics.metric_main` of the checkout.
    """
    ours = [metric for name in STANDARD if (metric := parse_metric(name)) is not None and metric.family.of_clips]
    for metric in ours:
        metric_main.register_metric(_as_stock(metric))
    stock = metric_main.calc_metric

    def calc_metric(metric: str, *, dataset_kwargs: Mapping[str, Any] | None = None, **kwargs: object) -> object:
        described = dict(dataset_kwargs or {})
        if described:  # perhaps from the pickle of a stranger; the checkout makes whatever class it names
            check("data set of a host", described)
        if described.get("class_name") == VIDEO_DATASET and all(metric != own.name for own in ours):
            described["class_name"] = FRAME_DATASET
        return stock(metric, dataset_kwargs=described, **kwargs)

    vars(metric_main)["calc_metric"] = calc_metric


def valid_metrics() -> list[str]:
    """Return the names that the registry of the entered checkout knows, those of our metrics included."""
    return list(import_module("metrics.metric_main").list_valid_metrics())


def prefer_local_detectors() -> Callable[[], None]:
    """Have the code of a checkout look for detectors in the folder of STYLEGAN_V_DETECTORS first.

    The name of a detector's file is the last part of its URL.

    Returns:
        Function that undoes it.
    """
    stock: Callable[..., object] = dnnlib.util.open_url

    def open_url(url: str, *args: object, **kwargs: object) -> object:
        local = detectors.local_detector(Path(url.split("?")[0]).name) if dnnlib.util.is_url(url) else None
        return stock(os.fspath(local) if local else url, *args, **kwargs)

    vars(dnnlib.util)["open_url"] = open_url
    return lambda: vars(dnnlib.util).update(open_url=stock)


def _as_stock(metric: Metric) -> Callable[[MetricOptions], dict[str, float]]:
    """Return a metric as a function of the checkout's options, under the metric's own name."""

    def run(options: MetricOptions) -> dict[str, float]:
        monitor, done = options.progress.sub(tag=metric.name), 0

        def progress(steps: int, total: int | None = None) -> None:
            nonlocal done
            done += steps
            monitor.num_items = total
            monitor.update(done)

        result = measure_generator(
            metric,
            options.G,
            options.dataset_kwargs,
            options.device,
            processes=Processes(options.rank, options.num_gpus),
            progress=progress,
        )
        return result.values

    run.__name__ = metric.name
    return run
