"""Our metrics in a checkout's registry, and a view of videos that its own metrics understand."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dnnlib
from stylegan_v_ext.classes import FRAME_DATASET, VIDEO_DATASET, check
from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.host import import_module
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import STANDARD, Metric, parse_metric
from stylegan_v_ext.metrics.evaluate import measure_generator


def join_registry(metric_main: Any) -> None:
    """Register our metrics of videos with `metrics.metric_main`, and have its own measure single frames.

    For those, the data set is every frame of every video, and G makes one frame for each label, at a
    random time.
    """
    ours = [metric for name in STANDARD if (metric := parse_metric(name)) is not None and metric.family.of_clips]
    for metric in ours:
        metric_main.register_metric(_as_stock(metric))
    stock = metric_main.calc_metric

    def calc_metric(metric: str, **kwargs: Any) -> Any:
        dataset_kwargs = dict(kwargs.get("dataset_kwargs") or {})
        if dataset_kwargs:  # out of the pickle of a stranger, perhaps; the checkout makes whatever class they name
            check("data set of a host", dataset_kwargs)
        if dataset_kwargs.get("class_name") == VIDEO_DATASET and all(metric != own.name for own in ours):
            dataset_kwargs["class_name"] = FRAME_DATASET
        return stock(metric, **{**kwargs, "dataset_kwargs": dataset_kwargs})

    metric_main.calc_metric = calc_metric


def valid_metrics() -> list[str]:
    """Names that the registry of the entered checkout knows, ours among them."""
    return list(import_module("metrics.metric_main").list_valid_metrics())


def prefer_local_detectors() -> None:
    """Have the checkout's code find detectors in the folder of STYLEGAN_V_DETECTORS first, by the URL's file name."""
    stock = dnnlib.util.open_url

    def open_url(url: str, *args: Any, **kwargs: Any) -> Any:
        local = detectors.local_detector(Path(url.split("?")[0]).name) if dnnlib.util.is_url(url) else None
        return stock(os.fspath(local) if local else url, *args, **kwargs)

    dnnlib.util.open_url = open_url


def _as_stock(metric: Metric) -> Callable[[Any], dict[str, float]]:
    """A metric as a function of the checkout's options, under its own name."""

    def run(options: Any) -> dict[str, float]:
        monitor = options.progress.sub(tag=metric.name)

        def progress(done: int, total: int) -> None:
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
