"""The log of a run: a line for each tick, `stats.jsonl`, TensorBoard, and a progress line on terminals."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import psutil
import torch

import dnnlib
from dnnlib.files import open_no_link
from stylegan_v_ext.engine.board import Board
from stylegan_v_ext.engine.records import STATS_NAME, last_step, step_of
from stylegan_v_ext.files import append_line
from torch_utils.training_stats import Collector


class RunLog:
    """Shows the progress of a run, and adds the statistics of its ticks to those of earlier parts of the run.

    Args:
        run_dir: Run folder.
        total_kimg: Length of the run, in thousand clips.
        collector: Statistics since the last tick.
        seconds: Seconds of training in earlier parts of the run.
        kimg: Training in earlier parts of the run, in thousand clips.
        resumed: Whether there were earlier parts.
    """

    def __init__(
        self,
        run_dir: str | Path,
        total_kimg: float,
        collector: Collector,
        *,
        seconds: float = 0,
        kimg: float = 0,
        resumed: bool = False,
    ) -> None:
        self.run_dir, self.total_kimg, self.collector = Path(run_dir), total_kimg, collector
        self.tick_time = time.monotonic()  # the clock of the day may jump
        self.start_time = self.tick_time - seconds
        self.tick_kimg = self.start_kimg = kimg
        self.part_time = self.tick_time
        with contextlib.suppress(OSError):  # the first tick says it if it fails again
            os.close(open_no_link(self.run_dir / STATS_NAME, os.O_WRONLY | os.O_CREAT))
        self.board = Board(self.run_dir, first_step=last_step(self.run_dir) + 1 if resumed else None)
        self._shown = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training since the run began, pauses not counted."""
        return time.monotonic() - self.start_time

    def tick(
        self, number: int, kimg: float, maintenance_seconds: float, augment_p: float, device: torch.device
    ) -> None:
        """Print the line of a tick and write its statistics, which are collected already.

        Args:
            number: Number of the tick.
            kimg: Training so far, in thousand clips.
            maintenance_seconds: Seconds of writing files at the last tick.
            augment_p: Probability of the augmentation.
            device: Device of the networks.
        """
        self._clear()
        now = time.monotonic()
        seconds, kimg_done = now - self.tick_time, kimg - self.tick_kimg
        values = self.collector.as_dict()
        sec_per_kimg = seconds / kimg_done if kimg_done > 0 else 0.0
        timing = {
            "Progress/tick": number,
            "Progress/kimg": kimg,
            "Timing/total_sec": now - self.start_time,
            "Timing/sec_per_tick": seconds,
            "Timing/sec_per_kimg": sec_per_kimg,
            "Timing/maintenance_sec": maintenance_seconds,
            "Progress/augment": augment_p,
            "Resources/cpu_mem_gb": psutil.Process().memory_info().rss / 2**30,
            "Resources/peak_gpu_mem_gb": _peak_gpu_gb(device),
        }
        for name, value in timing.items():
            values[name] = dnnlib.EasyDict(num=1, mean=value, std=0.0)
        fields = [
            f"tick {number:<5d}",
            f"kimg {kimg:<8.1f}",
            f"time {dnnlib.util.format_time(now - self.start_time):<12s}",
            f"sec/tick {seconds:<7.1f}",
            f"sec/kimg {sec_per_kimg:<7.2f}",
            f"eta {self._eta(kimg, now):<8s}",
            f"loss G {self.collector['Loss/G/loss']:<6.3f} D {self.collector['Loss/D/loss']:<6.3f}",
            f"cpumem {timing['Resources/cpu_mem_gb']:<5.2f}",
            f"gpumem {timing['Resources/peak_gpu_mem_gb']:<5.2f}",
            f"augment {augment_p:.3f}",
        ]
        print(" ".join(fields).rstrip(), flush=True)
        try:
            append_line(self.run_dir / STATS_NAME, json.dumps({**values, "timestamp": time.time()}))
        except OSError as error:
            print(f"The statistics of this tick could not be written ({error.strerror}).", flush=True)
        self.board.add({name: value.mean for name, value in values.items()}, step_of(kimg))
        self.tick_time, self.tick_kimg = time.monotonic(), kimg

    def figures(self, metric: str, values: dict[str, float], num_clips: int) -> None:
        """Show the figures of a metric at a snapshot.

        Args:
            metric: Name of the metric.
            values: Figures by name.
            num_clips: Clips that were seen before the snapshot.
        """
        self._clear()
        print(", ".join(f"{name} {value:.6g}" for name, value in values.items()) or f"{metric}: nothing", flush=True)
        self.board.add({f"Metrics/{name}": value for name, value in values.items()}, num_clips)

    def progress(self, kimg: float) -> None:
        """Refresh the progress line, at most four times a second and only on a terminal.

        Args:
            kimg: Training so far, in thousand clips.
        """
        now = time.monotonic()
        if now - self._shown < 0.25 or not _on_terminal():
            return
        self._shown = now
        share = min(kimg / self.total_kimg, 1) if self.total_kimg else 1
        rate = (kimg - self.tick_kimg) / max(now - self.tick_time, 1e-9) * 1e3
        bar = "#" * int(share * 24)
        text = f"[{bar:<24s}] {kimg:.2f}/{self.total_kimg:g} kimg  {rate:.1f} clips/s  eta {self._eta(kimg, now)}"
        _show(f"\r{text}\033[K")

    def close(self) -> None:
        """Remove the progress line and close the files."""
        self._clear()
        self.board.close()

    def _eta(self, kimg: float, now: float) -> str:
        done = kimg - self.start_kimg
        if done <= 0:
            return "?"
        return dnnlib.util.format_time_brief((now - self.part_time) * max(self.total_kimg - kimg, 0) / done)

    def _clear(self) -> None:
        if self._shown:
            _show("\r\033[K")
            self._shown = 0.0


def _peak_gpu_gb(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0


def _on_terminal() -> bool:
    """Return whether there is a terminal; log files get no progress line."""
    try:
        return sys.__stderr__ is not None and sys.__stderr__.isatty()
    except ValueError:  # closed
        return False


def _show(text: str) -> None:
    """Write to the terminal; ignore errors of a terminal that is gone."""
    with contextlib.suppress(OSError, ValueError):
        if sys.__stderr__ is not None:
            sys.__stderr__.write(text)
            sys.__stderr__.flush()
