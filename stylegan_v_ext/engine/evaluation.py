"""Metrics of a run's snapshots."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import STANDARD, Metric, check_metrics, parse_metric
from stylegan_v_ext.metrics.evaluate import append_result, measure_generator, result_line
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.text import printable

__all__ = ["SnapshotMetrics", "check_run_metrics"]


def check_run_metrics(names: Iterable[str], num_frames: int) -> None:
    """Check the metrics of a run before it begins; this may fetch a detector.

    Args:
        names: Names of the metrics.
        num_frames: Frames of a clip; 1 for a model of images.

    Raises:
        ValueError: If a metric is unknown, is a metric of videos for a model of images, or needs a detector that cannot
            be had.
    """
    names = list(names)
    check_metrics(names, num_frames)
    metrics = [_metric(name) for name in names]
    for metric in metrics:  # after all names: it may fetch a detector
        if metric.family.detector in detectors.DETECTORS:
            detectors.find_detector(metric.family.detector)


def _metric(name: str) -> Metric:
    """Return the metric of a name. Raise `ValueError` for an unknown name."""
    metric = parse_metric(name)
    if metric is None:
        raise ValueError(f"--metrics={name} is not one of {', '.join(STANDARD)}, nor one of them with other numbers")
    return metric


@dataclass(frozen=True)
class SnapshotMetrics:
    """Measures every snapshot of a run and adds the figures to `metric-NAME.jsonl`.

    Attributes:
        names: Names of the metrics; () measures nothing.
        run_dir: Run folder.
        dataset_kwargs: Arguments of the training set (`data.dataset.SparseVideoDataset`).
        device: Device of the generator.
        processes: This process among all; all of them measure together.
    """

    names: tuple[str, ...]
    run_dir: Path
    dataset_kwargs: dict[str, Any]
    device: torch.device
    processes: Processes

    def measure(self, generator: VideoGenerator, snapshot: Path) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield the name and the figures of every metric. A metric that fails is named and left out.

        Args:
            generator: Generator of the snapshot.
            snapshot: Path of the snapshot.
        """
        for name in self.names:
            metric, started = _metric(name), time.time()
            try:
                result = measure_generator(
                    metric, generator, self.dataset_kwargs, self.device, processes=self.processes
                )
            except Exception as error:
                if self.processes.count > 1 and not isinstance(error, ValueError):
                    raise  # the others wait for this process's part
                print(f"{name} could not be measured: {printable(error) or type(error).__name__}", flush=True)
                continue
            if self.processes.leads:
                self._append(metric.name, result_line(metric.name, result, time.time() - started, snapshot.name))
            yield metric.name, result.values

    def _append(self, name: str, line: str) -> None:
        try:
            append_result(self.run_dir, name, line)
        except OSError as error:
            print(f"{name} could not be added to its file ({error.strerror}). Training goes on.", flush=True)
