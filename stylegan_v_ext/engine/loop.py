"""The training loop of the built-in engine, in one process or several."""

import copy
import errno
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dnnlib
from stylegan_v_ext import checkpoints
from stylegan_v_ext.checkpoints.transfer import load_networks
from stylegan_v_ext.classes import construct
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.device import is_out_of_memory, pick_device
from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.engine import records
from stylegan_v_ext.engine.batches import load_batches
from stylegan_v_ext.engine.evaluation import measure_snapshot
from stylegan_v_ext.engine.folder import held
from stylegan_v_ext.engine.health import Health, NotFinite
from stylegan_v_ext.engine.logs import RunLog
from stylegan_v_ext.engine.options import check_options
from stylegan_v_ext.engine.samples import SampleSheets
from stylegan_v_ext.engine.state import (
    check_data,
    check_sizes,
    go_on_with_data,
    load_state,
    network_sizes,
    record_data,
    restore,
    save_options,
    save_state,
)
from stylegan_v_ext.interrupts import StoppedBySignal, interruptible
from stylegan_v_ext.networks import precision
from stylegan_v_ext.text import printable, say
from torch_utils import misc, training_stats

_PHASES = ("G", "G reg", "D", "D reg")
_ADA_INTERVAL = 4  # steps between adjustments of the augmentation probability


@dataclass
class Progress:
    """Where a run is in its ticks.

    Attributes:
        seconds: Of training so far.
        maintenance: Seconds of writing files at the last tick.
        collector: Statistics since the last tick.
    """

    tick: int = 0
    next_tick: float = 0.0
    seconds: float = 0.0
    maintenance: float = 0.0
    collector: training_stats.Collector = field(default_factory=training_stats.Collector)

    def state_dict(self) -> dict[str, Any]:
        return dict(
            tick=self.tick, next_tick=self.next_tick, seconds=self.seconds, collector=self.collector.state_dict()
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.tick, self.next_tick, self.seconds = state["tick"], state["next_tick"], state["seconds"]
        self.collector.load_state_dict(state["collector"])


class Trainer:
    """Networks, data and schedule of a run, made from a config (`stylegan_v_ext.config`).

    A step is `batch_size / batch_gpu` rounds, which the processes deal out among themselves. All that is
    random in a round follows from the seed, the step and the round's number: neither a stop nor the number
    of processes changes it.

    Args:
        state: Of `state.load_state`, to go on where another part of the run stopped.
        processes: Of `distributed.join`.
    """

    def __init__(
        self,
        config: dnnlib.EasyDict,
        run_dir: str | Path,
        state: dict[str, Any] | None = None,
        processes: Processes = Processes(),  # noqa: B008
    ) -> None:
        c = self.config = config
        self.run_dir, self.processes = Path(run_dir), processes
        num_rounds = c.batch_size // c.batch_gpu
        if num_rounds % processes.count:
            raise ValueError(
                f"--batch={c.batch_size} in parts of --batch-gpu={c.batch_gpu} does not divide among {processes.count} "
                f"processes; use a --batch-gpu that does, such as {max(c.batch_size // processes.count, 1)}"
            )
        self.rounds = range(processes.rank, num_rounds, processes.count)
        self.device = pick_device(c.device)
        np.random.seed(c.random_seed)
        torch.manual_seed(c.random_seed)
        torch.backends.cudnn.benchmark = c.cudnn_benchmark
        precision.use_bfloat16_on_cpu(bool(c.get("allow_bf16")) and precision.has_fast_bfloat16())
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = bool(c.get("allow_tf32"))

        self.dataset = construct("data set", c.training_set_kwargs)
        self.fingerprint = processes.from_leader(self.dataset.fingerprint)
        if state is not None:
            self.fingerprint = check_data(self.dataset, self.fingerprint, state)
            check_sizes(c, self.dataset, state)  # before networks of other sizes take memory
        common = network_sizes(self.dataset)
        self.G = construct("generator", c.G_kwargs, **common)
        self.D = construct("discriminator", c.D_kwargs, **common)
        self.G_ema = copy.deepcopy(self.G).eval()
        self.origin = self._load_weights(c.resume_pkl) if c.resume_pkl and state is None else ""
        for network in (self.G, self.D, self.G_ema):
            network.requires_grad_(False).to(self.device)
        self.augment_pipe = None
        if c.get("augment_kwargs"):
            self.augment_pipe = construct("augmentation", c.augment_kwargs).to(self.device)
            self.augment_pipe.p.fill_(c.augment_p)
        self.loss = construct(
            "loss", c.loss_kwargs, device=self.device, G=self.G, D=self.D, augment_pipe=self.augment_pipe
        )
        self.loss.augment_p = c.augment_p
        self.G_opt = _make_optimizer(self.G, c.G_opt_kwargs, c.G_reg_interval, self.device)
        self.D_opt = _make_optimizer(self.D, c.D_opt_kwargs, c.D_reg_interval, self.device)
        self.health = Health(self.device) if c.get("nan_policy", "stop") == "stop" else None
        self.ada_stats = training_stats.Collector(regex="Loss/signs/real")
        self.num_clips = 0
        self.num_steps = 0
        self.progress = Progress(next_tick=c.kimg_per_tick * 1000)
        self._said: set[tuple[str, type]] = set()  # complaints about previews
        self.resumed = state is not None
        if state is not None:
            restore(self, state)
        self._batches = load_batches(
            self.dataset,
            c.batch_size,
            c.batch_gpu,
            self.rounds,
            c.random_seed,
            self.num_clips,
            self.device,
            c.data_loader_kwargs,
            c.get("on_bad_frame") == "skip",
        )

    def _load_weights(self, path: str) -> str:
        """Start from the networks of a checkpoint; returns what there is to tell."""
        source = checkpoints.load(
            path,
            trust_pickle=bool(self.config.get("resume_trusted")),
            allow_nan=bool(self.config.get("resume_allow_nan")),
        )
        return load_networks(source, self.G, self.D, self.G_ema)

    def step(self) -> None:
        """One batch: generator, discriminator, their lazy regularisers, EMA, augmentation."""
        c, loss = self.config, self.loss
        strips, labels = next(self._batches)
        real = [part.to(torch.float32) / 127.5 - 1 for part in strips.split(c.batch_gpu)]
        real_c = list(labels.split(c.batch_gpu))
        gain = c.batch_gpu / c.batch_size
        averages = [average.clone() for average in (self.G.mapping.w_avg, loss.pl_mean)]

        with self._optimizing(self.G, self.G_opt):
            for _ in self._seeded_rounds("G"):
                self._watch(loss.generator_step(*self._latents(), gain))
        if c.G_reg_interval and self.num_steps % c.G_reg_interval == 0:
            with self._optimizing(self.G, self.G_opt):
                for _ in self._seeded_rounds("G reg"):
                    self._watch(loss.path_length_step(*self._latents(), gain * c.G_reg_interval))
        with self._optimizing(self.D, self.D_opt):
            for here in self._seeded_rounds("D"):
                self._watch(loss.discriminator_step(real[here], real_c[here], *self._latents(), gain))
        if c.D_reg_interval and self.num_steps % c.D_reg_interval == 0:
            with self._optimizing(self.D, self.D_opt):
                for here in self._seeded_rounds("D reg"):
                    self._watch(loss.r1_step(real[here], real_c[here], gain * c.D_reg_interval))
        self._join_averages(*averages)

        if self.health:
            self.health.after_step()
        self._update_ema()
        self.num_clips += c.batch_size
        self.num_steps += 1
        if c.ada_target is not None and self.num_steps % _ADA_INTERVAL == 0:
            self._adapt_augmentation()

    def _watch(self, loss: torch.Tensor) -> None:
        if self.health:
            self.health.watch(self.num_steps, loss)

    def _join_averages(self, w_avg: torch.Tensor, pl_mean: torch.Tensor) -> None:
        """Make the running averages, which each process has moved by its own rounds, the same in all."""
        c = self.config
        regularised = bool(c.G_reg_interval) and self.num_steps % c.G_reg_interval == 0
        mapping, rounds = self.G.mapping, len(self.rounds)
        self.processes.join_averages(w_avg, mapping.w_avg, mapping.w_avg_beta, rounds * (2 + regularised))
        self.processes.join_averages(pl_mean, self.loss.pl_mean, 1 - self.loss.pl_decay, rounds * regularised)

    def _seeded_rounds(self, phase: str) -> Iterator[int]:
        """Numbers 0, 1, ... of this process's rounds, the random generators set for each."""
        for here, number in enumerate(self.rounds):
            np.random.seed([self.config.random_seed, self.num_steps, _PHASES.index(phase), number])
            torch.manual_seed(int.from_bytes(np.random.bytes(7), "little"))
            yield here

    def _latents(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents on the device and labels, whose timestamps stay on the CPU, for a round."""
        count = self.config.batch_gpu
        labels = [self.dataset.get_label(np.random.randint(len(self.dataset))) for _ in range(count)]
        return torch.randn([count, self.G.z_dim], device=self.device), torch.from_numpy(np.stack(labels))

    @contextmanager
    def _optimizing(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Gradients gathered inside the block are summed over processes, cleaned of NaN and infinities, and applied."""
        optimizer.zero_grad(set_to_none=True)
        yield
        self.processes.sum_gradients(network.parameters())
        for parameter in network.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        optimizer.step()

    @torch.no_grad()
    def _update_ema(self) -> None:
        """Exponential moving average of the generator with a half-life of `ema_kimg`."""
        c = self.config
        half_life = c.ema_kimg * 1000
        if c.ema_rampup is not None:
            half_life = min(half_life, self.num_clips * c.ema_rampup)
        beta = 0.5 ** (c.batch_size / max(half_life, 1e-8))
        torch._foreach_lerp_(list(self.G_ema.parameters()), list(self.G.parameters()), 1 - beta)
        torch._foreach_copy_(list(self.G_ema.buffers()), list(self.G.buffers()))

    def _adapt_augmentation(self) -> None:
        """Move p so that the share of real clips that D calls real settles at the target (ADA, section 3)."""
        c = self.config
        self.ada_stats.update()
        direction = np.sign(self.ada_stats["Loss/signs/real"] - c.ada_target)
        step = c.batch_size * _ADA_INTERVAL / (c.ada_kimg * 1000)
        self.loss.augment_p = float(np.clip(self.loss.augment_p + direction * step, 0, 1))
        self.augment_pipe.p.fill_(self.loss.augment_p)

    def save_snapshot(self) -> Path:
        """Write `network-snapshot-{kimg:06d}.pkl`, in the leading process."""
        path = self.run_dir / f"network-snapshot-{self.num_clips // 1000:06d}.pkl"
        if self.processes.count > 1:
            for network in (self.G, self.D, self.G_ema):
                misc.check_ddp_consistency(network)
        if not self.processes.leads:
            return path
        networks = {"G": self.G, "D": self.D, "G_ema": self.G_ema, "augment_pipe": self.augment_pipe}
        content: dict[str, Any] = {
            key: None if network is None else copy.deepcopy(network).eval().requires_grad_(False).cpu()
            for key, network in networks.items()
        }
        content["training_set_kwargs"] = dict(self.config.training_set_kwargs)
        checkpoints.save_snapshot(path, content)
        return path

    def run(self) -> Path:
        """Train until `total_kimg` or `max_hours`; returns the last snapshot's path.

        Raises `StoppedBySignal` when a signal ended it.
        """
        try:
            with interruptible() as stopped:
                last = self._train(stopped)
        except NotFinite as problem:
            raise NotFinite(f"{problem}{self._after_not_finite()}") from None
        if not self._is_complete():
            say(f"Stopped early. Go on with --resume={shlex.quote(str(self.run_dir))}")
        if stopped.number is not None:
            raise StoppedBySignal(stopped.number, last)
        return last

    def _train(self, stopped: threading.Event) -> Path:
        c, where = self.config, self.progress
        sheets = SampleSheets(self.run_dir, self.dataset, c.random_seed) if self.processes.leads else None
        last = self._begin(sheets)
        started = saved = time.monotonic()
        log = None
        if self.processes.leads:
            log = RunLog(
                self.run_dir, c.total_kimg, where.collector, where.seconds, self.num_clips / 1000, self.resumed
            )
        with closing(log) if log else nullcontext():
            done = self._is_complete()
            while not done:
                self._step_or_save(stopped)
                now = time.monotonic()
                late = bool(c.max_hours and now - started > c.max_hours * 3600)
                cut, save = self.processes.any([stopped.is_set() or late, now - saved > c.snap_state_minutes * 60])
                done, due = cut or self._is_complete(), self.num_clips >= where.next_tick
                if log:
                    log.progress(self.num_clips / 1000)
                    where.seconds = log.seconds
                if cut and not (due or self._is_complete()):
                    self._save_state(last=True)  # before the line of a tick that is cut short
                elif save and not (done or due):
                    self._save_state(last=False)
                if done or due:
                    snapshot = self._tick(log, sheets, due, done, save)
                    last = snapshot or last
                    if snapshot and not cut:
                        self._measure(log, snapshot)
                if save:
                    saved = now
        return last

    def _tick(self, log: RunLog | None, sheets: SampleSheets | None, due: bool, done: bool, save: bool) -> Path | None:
        """A line of progress, and files where their turn has come; the snapshot's path, if there was one.

        The state comes last: a run that was killed before it makes the tick again, with all of its files.

        Args:
            log, sheets: `None` in processes that do not lead.
            due: False for the part of a tick at a stop, which is not to count when the run goes on.
            save: It is time for a state, whatever else is due.
        """
        c, where = self.config, self.progress
        where.tick, where.next_tick = where.tick + 1, self.num_clips + c.kimg_per_tick * 1000
        where.collector.update()
        if log:
            log.tick(where.tick, self.num_clips / 1000, where.maintenance, self.loss.augment_p, self.device)
        started, snapshot, problem = time.monotonic(), None, None
        self._check_health()
        with_snapshot = done or _is_multiple(where.tick, c.network_snapshot_ticks)
        try:
            if with_snapshot:
                snapshot = self._written(self.save_snapshot, "the snapshot", done)
        except OSError as error:
            problem = error
        if sheets and (done or _is_multiple(where.tick, c.image_snapshot_ticks)):
            name = f"fakes{self.num_clips // 1000:06d}"
            self._shown(lambda: sheets.save_fakes(self.G_ema, self.device, name), "the samples")
        if (with_snapshot or save) and (due or self._is_complete()):
            self._save_state(last=done)
        if problem:
            raise problem
        where.maintenance = time.monotonic() - started
        return snapshot

    def _save_state(self, last: bool) -> None:
        """Write the state, after a look at its numbers, so that the last one on disk is always a good one."""
        self._check_health()
        self._written(lambda: save_state(self, self.run_dir), "the state", last)

    def _check_health(self) -> None:
        if self.health:
            self.health.check([self.G, self.D])

    def _written(self, write: Callable[[], Any], what: str, last: bool) -> Any:
        """What `write` returns; `None`, with a message, where there is no room: training goes on, and the next try may
        find some.

        Args:
            last: There is no next try.
        """
        try:
            return write()
        except OSError as error:
            if last:
                raise OSError(error.errno, f"{what} could not be written ({error.strerror})", error.filename) from None
            reason = error.strerror or type(error).__name__
            print(
                f"{what.capitalize()} could not be written ({reason}). The one before is kept and training goes on; "
                f"make room in {printable(self.run_dir)}.",
                flush=True,
            )
            return None

    def _shown(self, show: Callable[[], None], what: str) -> None:
        """Make a preview, without which a run goes on, whatever it fails of: a full disk, ffmpeg, a picture of the
        data, memory. A complaint of one kind is said once.
        """
        try:
            show()
        except Exception as error:
            kind = what, type(error)
            if kind not in self._said:
                self._said.add(kind)
                reason = getattr(error, "strerror", None) or printable(error) or type(error).__name__
                print(f"{what.capitalize()} could not be written ({reason}). Training goes on.", flush=True)

    def _measure(self, log: RunLog | None, snapshot: Path) -> None:
        """The config's metrics of a snapshot, at which everything has been saved already."""
        started = time.monotonic()
        for name, values in measure_snapshot(self, snapshot):
            if log:
                log.figures(name, values, self.num_clips)
        self.progress.maintenance += time.monotonic() - started

    def _begin(self, sheets: SampleSheets | None) -> Path:
        """Say what begins, and write the first files of a new run; returns the last snapshot so far."""
        c = self.config
        if self.resumed:
            say(
                f"Going on exactly from kimg {self.num_clips / 1000:.3f}, step {self.num_steps}, in {self.run_dir}",
                f"Training to {c.total_kimg:g} kimg (thousand clips) on {self.device} ...",
                "",
            )
            try:
                return checkpoints.find_snapshot(self.run_dir)
            except checkpoints.CheckpointError:  # somebody has removed them
                return self.save_snapshot()
        if sheets:
            self._print_summary()
            say(*(self.origin.split("\n") if self.origin else []))
            self._shown(sheets.save_reals, "the real samples")
            self._shown(lambda: sheets.save_fakes(self.G_ema, self.device, "fakes_init"), "the samples")
        last = self.save_snapshot()
        save_state(self, self.run_dir)
        print(f"Training for {c.total_kimg:g} kimg (thousand clips) on {self.device} ...\n", flush=True)
        return last

    def _is_complete(self) -> bool:
        return self.num_clips >= self.config.total_kimg * 1000

    def _step_or_save(self, stopped: threading.Event) -> None:
        """A step. Data that cannot be read stop the run, but not before a snapshot is written; no memory stops it with
        the last state as it is.

        Args:
            stopped: Whether a signal came. It may have reached the data workers too, so that there is no step to
                finish.
        """
        try:
            self.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise ValueError(self._after_out_of_memory()) from None
        except DataError:
            if self.processes.count > 1:  # the others are in the middle of a step; the last state has to do
                raise
            if stopped.is_set():
                return
            self._save_state(last=True)  # the batch comes first in a step: nothing was done with it
            say(f"Saved before stopping: {self.save_snapshot()}")
            raise

    def _after_not_finite(self) -> str:
        kept = load_state(self.run_dir)["num_steps"]
        return (
            f"; the last good state, of step {kept}, is kept. Start anew from a snapshot with a smaller --glr and "
            "--dlr or another --gamma, or go on over it by "
            f"--resume={shlex.quote(str(self.run_dir))} --nan-policy=ignore"
        )

    def _after_out_of_memory(self) -> str:
        size = self.config.batch_gpu
        smaller = next((part for part in range(size // 2, 0, -1) if self.config.batch_size % part == 0), 1)
        cure = f"--batch-gpu={smaller}" if size > 1 else "smaller --cbase and --cmax"
        return f"out of memory with --batch-gpu={size}; go on with --resume={shlex.quote(str(self.run_dir))} {cure}"

    def _print_summary(self) -> None:
        dataset = self.dataset
        z = torch.zeros([self.config.batch_gpu, self.G.z_dim], device=self.device)
        c = torch.zeros([self.config.batch_gpu, dataset.label_dim])
        self.G.eval()  # in training its average w would move
        with torch.no_grad():
            strip = misc.print_module_summary(self.G, [z, c])
            misc.print_module_summary(self.D, [strip, c])
        self.G.train()


def _is_multiple(tick: int, every: int) -> bool:
    """Whether a tick is due for something that happens every so many ticks; 0 is never."""
    return every > 0 and tick % every == 0


def _make_optimizer(
    network: torch.nn.Module, kwargs: dict[str, Any], reg_interval: int | None, device: torch.device
) -> torch.optim.Optimizer:
    """Optimizer of a network; a lazy regulariser's extra steps are made up for (StyleGAN2, appendix B)."""
    kwargs = dict(kwargs)
    ratio = reg_interval / (reg_interval + 1) if reg_interval else 1.0
    kwargs["lr"] *= ratio
    kwargs["betas"] = tuple(float(beta) ** ratio for beta in kwargs["betas"])
    network.requires_grad_(True)
    optimizer = construct("optimizer", kwargs, params=list(network.parameters()), fused=device.type in ("cuda", "cpu"))
    network.requires_grad_(False)
    return optimizer


def train(config: dnnlib.EasyDict, run_dir: str | Path, processes: Processes = Processes()) -> Path:  # noqa: B008
    """Run a training config in a new folder, logging to it; returns the last snapshot's path.

    Raises `StoppedBySignal` when a signal ended it, with everything saved; `ValueError` for a config that the run
    could not go on with later.
    """
    run_dir = Path(run_dir)
    check_options(config)
    trainer = Trainer(config, run_dir, None, processes)  # before the folder, which options that fail do not make
    if processes.leads:
        run_dir.mkdir(parents=True, exist_ok=True)
    with held(run_dir, processes):
        if processes.leads:
            if any(run_dir.iterdir()):
                raise FileExistsError(errno.EEXIST, "it holds files already", str(run_dir))
            save_options(run_dir, config)
        return _run(trainer)


def resume(
    config: dnnlib.EasyDict,
    run_dir: str | Path,
    processes: Processes = Processes(),  # noqa: B008
    data: str | None = None,
) -> Path:
    """Go on with the run in a folder, from its `training-state-latest.pt`, adding to its files.

    Args:
        config: The run's own (`state.load_options`), its length perhaps another.
        run_dir: Its folder, held from before the state is read until all is written.
        data: Where the run's data are now; `None` for where they were.

    Returns:
        And raises as `train`; `ValueError` if the state or the data do not fit.
    """
    run_dir = Path(run_dir)
    with held(run_dir, processes):
        state = load_state(run_dir)
        check_going_on(config, run_dir, state, data)
        trainer = Trainer(config, run_dir, state, processes)
        if processes.leads:
            record_data(run_dir, config.training_set_kwargs.path)
        return _run(trainer)


def check_going_on(config: dnnlib.EasyDict, run_dir: Path, state: dict[str, Any], data: str | None) -> None:
    """Make a config one to go on from a state with. Raises `ValueError` if there is nothing left to train."""
    if state["num_clips"] >= config.total_kimg * 1000:
        raise ValueError(f"{run_dir} has trained its {config.total_kimg:g} kimg; give a larger --kimg to go on")
    go_on_with_data(config, data)


def _run(trainer: Trainer) -> Path:
    """Train, in the leading process with a log."""
    if not trainer.processes.leads:
        return trainer.run()
    if trainer.resumed:
        records.rewind(trainer.run_dir, trainer.progress.tick, trainer.num_clips, trainer.config)
    with dnnlib.util.Logger(str(trainer.run_dir / "log.txt"), file_mode="a"):
        return trainer.run()
