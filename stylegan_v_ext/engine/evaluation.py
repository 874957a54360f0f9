"""Metrics of a run's snapshots."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import STANDARD, check_metrics, parse_metric
from stylegan_v_ext.metrics.evaluate import append_result, measure_generator, result_line
from stylegan_v_ext.text import printable

if TYPE_CHECKING:
    from stylegan_v_ext.engine.loop import Trainer


def check_run_metrics(names: Iterable[str], num_frames: int) -> None:
    """Raise `ValueError`, before a run begins, for metrics that are none, are of videos where the model makes images
    (`num_frames` is 1), or look through a detector that cannot be had.
    """
    check_metrics(names, num_frames)
    metrics = []
    for name in names:
        metric = parse_metric(name)
        if metric is None:
            raise ValueError(
                f"--metrics={name} is not one of {', '.join(STANDARD)}, nor one of them with other numbers"
            )
        metrics.append(metric)
    for metric in metrics:  # after all names: it may fetch a detector
        if metric.family.detector in detectors.DETECTORS:
            detectors.find_detector(metric.family.detector)


def measure_snapshot(trainer: "Trainer", snapshot: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """(name, figures) of every metric of the run, which are added to `metric-NAME.jsonl`.

    One that cannot be measured is named and passed over: training goes on.
    """
    for name in trainer.config.get("metrics") or []:
        metric = parse_metric(name)
        assert metric is not None, name  # `check_run_metrics` has seen to it
        started = time.time()
        try:
            result = measure_generator(
                metric, trainer.G_ema, trainer.config.training_set_kwargs, trainer.device, processes=trainer.processes
            )
        except Exception as error:
            if trainer.processes.count > 1 and not isinstance(error, ValueError):
                raise  # the others wait for this process's part
            print(f"{name} could not be measured: {printable(error) or type(error).__name__}", flush=True)
            continue
        if trainer.processes.leads:
            line = result_line(metric.name, result, time.time() - started, snapshot.name)
            try:
                append_result(trainer.run_dir, metric.name, line)
            except OSError as error:
                print(f"{name} could not be added to its file ({error.strerror}). Training goes on.", flush=True)
        yield metric.name, result.values
