"""The training loop: step, tick, save, measure, stop."""

import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from stylegan_v_ext.config.run import RunConfig
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.device import is_out_of_memory
from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.engine.build import build
from stylegan_v_ext.engine.going_on import after_not_finite, after_out_of_memory
from stylegan_v_ext.engine.health import NotFinite
from stylegan_v_ext.execution import execution
from stylegan_v_ext.interrupts import StoppedBySignal, interruptible
from stylegan_v_ext.memory import keep_freed_memory
from stylegan_v_ext.networks import precision
from stylegan_v_ext.text import say
from torch_utils import training_stats

__all__ = ["Trainer"]


class Trainer:
    """Trains a run: networks, data and schedule, made from a configuration.

    Several trainers, and samplers beside them, may take turns in a process: a trainer computes with its own settings
    and random numbers, and leaves the process as it found it.

    Args:
        config: Configuration of the run (`config.build_config`).
        run_dir: Run folder; it has to be there once files are written.
        state: Content of a state file, to go on from (`saved_state.load_state`); None for a new run.
        processes: This process among all that train together (`distributed.join`).

    Attributes:
        parts: Everything that the run consists of.
        state: Networks, optimizers and numbers.
        gan_step: One step of training.
        files: Writer of snapshots and states.

    Raises:
        ValueError: If the batch does not divide among the processes, the device is missing, or the state or the data do
            not fit.
    """

    def __init__(
        self,
        config: RunConfig,
        run_dir: str | Path,
        state: dict[str, Any] | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.config, self.run_dir, self.processes = config, Path(run_dir), processes
        self.resumed = state is not None
        self._statistics = training_stats.Statistics()
        self._bfloat16 = config.machine.allow_bf16 and precision.has_fast_bfloat16()
        with self.execution():
            self.parts = build(config, self.run_dir, state, self._statistics, processes)
        self.state, self.gan_step, self.files = self.parts.state, self.parts.step, self.parts.files

    @contextmanager
    def execution(self) -> Iterator[None]:
        """Compute inside the block as the run does, with its precision, its random numbers and its statistics."""
        machine = self.config.machine
        tf32, benchmark = machine.allow_tf32, machine.cudnn_benchmark
        settings = execution(
            seed=machine.random_seed, bfloat16_on_cpu=self._bfloat16, tf32=tf32, cudnn_benchmark=benchmark
        )
        with settings, training_stats.recording(self._statistics):
            yield

    def step(self) -> None:
        """Train on one batch."""
        with self.execution():
            self.gan_step()

    def run(self) -> Path:
        """Train until the run has its length or its hours, and write the files of the run.

        Returns:
            Path of the last snapshot.

        Raises:
            StoppedBySignal: If a signal ended the run; everything is saved.
            NotFinite: If a loss or a weight became NaN or infinite; the last good state is kept.
            DataError: If the data cannot be read; everything before is saved.
            ValueError: If memory ran out; the last state is kept.
        """
        try:
            kept = keep_freed_memory() if self.state.device.type == "cpu" else nullcontext()
            with self.execution(), kept, interruptible() as stopped:
                last = self._train(stopped)
        except NotFinite as problem:
            raise NotFinite(f"{problem}{after_not_finite(self.run_dir)}") from None
        if not self._is_complete():
            say(f"Stopped early. Go on with --resume={shlex.quote(str(self.run_dir))}")
        if stopped.number is not None:
            raise StoppedBySignal(stopped.number, last)
        return last

    def _train(self, stopped: threading.Event) -> Path:
        """Take steps until the end; return the path of the last snapshot."""
        schedule, progress, observers = self.config.schedule, self.state.progress, self.parts.observers
        last = self._begin()
        started = saved = time.monotonic()
        observers.start(schedule.total_kimg, resumed=self.resumed)
        with closing(observers):
            done = self._is_complete()
            while not done:
                self._step_or_save(stopped)
                now = time.monotonic()
                late = bool(schedule.max_hours and now - started > schedule.max_hours * 3600)
                save = now - saved > schedule.snap_state_minutes * 60
                cut, save = self.processes.any([stopped.is_set() or late, save])
                done, due = cut or self._is_complete(), self.state.num_clips >= progress.next_tick
                observers.step()
                if cut and not (due or self._is_complete()):
                    self.files.try_state(last=True)  # before the line of the tick, which a stop has cut short
                elif save and not (done or due):
                    self.files.try_state(last=False)
                if done or due:
                    snapshot = self._tick(due=due, done=done, save=save)
                    last = snapshot or last
                    if snapshot and not cut:
                        observers.measure(snapshot)
                if save:
                    saved = now
        return last

    def _begin(self) -> Path:
        """Say what begins, and write the first files of a new run; return the path of the last snapshot so far."""
        observers, kimg = self.parts.observers, self.config.schedule.total_kimg
        if self.resumed:
            observers.say_resumed(kimg)
            return self.files.find_snapshot()
        observers.introduce(self.config.batch.per_gpu, self.parts.origin)
        last = self.files.save_snapshot()
        self.files.save_state()
        observers.say_started(kimg)
        return last

    def _tick(self, *, due: bool, done: bool, save: bool) -> Path | None:
        """Show progress, and write the files that are due; return the path of the snapshot, None without a snapshot.

        The state comes last: a run that was killed before it makes the tick again, with all of its files.

        Args:
            due: Whether the tick is whole. A part of a tick, at a stop, does not count when the run goes on.
            done: Whether this is the last tick.
            save: Whether it is time for a state.
        """
        schedule, state, progress, files = self.config.schedule, self.state, self.state.progress, self.files
        progress.tick, progress.next_tick = progress.tick + 1, state.num_clips + schedule.kimg_per_tick * 1000
        progress.collector.update()
        self.parts.observers.tick()
        started, snapshot, problem = time.monotonic(), None, None
        files.check_health()
        with_snapshot = done or progress.is_at(schedule.network_snapshot_ticks)
        try:
            if with_snapshot:
                snapshot = files.try_snapshot(last=done)
        except OSError as error:
            problem = error
        if done or progress.is_at(schedule.image_snapshot_ticks):
            self.parts.observers.samples(f"fakes{state.num_clips // 1000:06d}")
        if (with_snapshot or save) and (due or self._is_complete()):
            files.try_state(last=done)
        if problem:
            raise problem
        progress.maintenance = time.monotonic() - started
        return snapshot

    def _step_or_save(self, stopped: threading.Event) -> None:
        """Take a step; if data cannot be read, save everything before the run ends.

        Args:
            stopped: Whether a signal came. It may have reached the data workers too, so that no step can be finished.
        """
        try:
            self.gan_step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise ValueError(after_out_of_memory(self.run_dir, self.config.batch)) from None
        except DataError:
            if self.processes.count > 1:  # the others wait in the middle of a step: the state on disk stays
                raise
            if stopped.is_set():
                return
            self.files.try_state(last=True)  # the batch comes first in a step: the networks are as before
            say(f"Saved before stopping: {self.files.save_snapshot()}")
            raise

    def _is_complete(self) -> bool:
        return self.state.num_clips >= self.config.schedule.total_kimg * 1000
