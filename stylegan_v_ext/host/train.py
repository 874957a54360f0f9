"""Training in a checkout: our config becomes the arguments of its own training loop."""

import contextlib
import copy
import inspect
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

import dnnlib
from stylegan_v_ext.checkpoints import find_snapshot, load, save_snapshot
from stylegan_v_ext.checkpoints.transfer import load_networks
from stylegan_v_ext.classes import SLOTS, construct
from stylegan_v_ext.config import RunConfig, to_stock
from stylegan_v_ext.config.run import StartConfig
from stylegan_v_ext.distributed import end_with, leave
from stylegan_v_ext.engine.batches import ignore_interrupts
from stylegan_v_ext.engine.folder import held
from stylegan_v_ext.engine.saved_state import save_options
from stylegan_v_ext.execution import execution
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.host.checkout import Checkout
from stylegan_v_ext.host.entering import entered
from stylegan_v_ext.host.importer import import_module
from stylegan_v_ext.interrupts import Stopped, StoppedBySignal, interruptible
from stylegan_v_ext.metrics.catalogue import check_metrics
from stylegan_v_ext.text import say
from torch_utils import custom_ops, training_stats

_LOOP = "training.training_loop"
_NEVER = 10**9  # ticks
_PROMISE = "Stopping with a snapshot at the end of this tick"


def train(config: RunConfig, run_dir: str | Path, directory: str | Path) -> Path:
    """Train in a new run folder with the loop of a checkout.

    There is one process for each of `config.batch.num_gpus`, on CUDA if there is a GPU, otherwise on the CPU.

    Args:
        config: The run.
        run_dir: Its folder, which is made if it is not there.
        directory: Folder of the checkout.

    Returns:
        The last snapshot.

    Raises:
        ValueError: If the checkout cannot be entered, or its loop cannot follow the options.
        StoppedBySignal: If a signal ended the run; the loop saves a snapshot at the end of the tick.
    """
    with entered(directory) as checkout:
        import_module(_LOOP)  # before the folder is made: a loop that cannot be imported leaves no folder
        check_options(config)
        run_dir = Path(run_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
        with held(run_dir):
            return _train(config, run_dir, checkout)


def _train(config: RunConfig, run_dir: Path, checkout: Checkout) -> Path:
    """Train in a folder that this process holds; return the last snapshot."""
    save_options(run_dir, config)
    start = None
    if config.start is not None:
        with _logging_to(run_dir):
            start = _starting_networks(config, config.start, run_dir)
    with interruptible(_PROMISE) as stopped:
        if config.batch.num_gpus == 1:
            _run(0, config, start, run_dir, checkout, None, stopped)
        else:
            _run_processes(config, start, run_dir, checkout, stopped)
    if stopped.number is not None:
        raise StoppedBySignal(stopped.number)
    return find_snapshot(run_dir)


def device_type() -> str:
    """Return what checkouts compute on here: "cuda" if there is a GPU, otherwise "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_options(config: RunConfig) -> None:
    """Check that the loop and the loss of the entered checkout can follow a run.

    Args:
        config: The run.

    Raises:
        ValueError: If a metric is for another kind of model, if a loss would reach the motion rows of `ws`, or if the
            loop does not know an option.
    """
    check_metrics(config.schedule.metrics, config.data.num_frames)
    accepted = inspect.signature(import_module(_LOOP).training_loop).parameters
    if config.machine.allow_tf32 and "allow_tf32" not in accepted:
        raise ValueError("--tf32=1 with --host: its training loop has no such option; leave --tf32 out")
    if config.loss.compiled:
        raise ValueError("--compile=1 with --host: its loss runs networks as they are; leave --compile out")
    if config.machine.on_bad_frame == "skip":
        raise ValueError(
            "--on-bad-frame=skip with --host: its loop cannot say what was left out; leave --on-bad-frame out"
        )
    if config.data.num_frames == 1:
        return
    mixing = {"--style-mixing": config.loss.style_mixing_prob, "--pl-weight": config.loss.pl_weight}
    for option, value in mixing.items():
        if value:
            raise ValueError(
                f"{option}={value:g} with --host: its loss would mix motion with content; "
                f"leave {option} out, or train without --host"
            )


def loop_arguments(config: RunConfig, loop: Callable[..., None], start: Path | None = None) -> dict[str, Any]:
    """Return the arguments that a training loop takes, its own loss and augmentation in place of ours.

    Args:
        config: The run.
        loop: The function `training_loop` of a checkout.
        start: Snapshot with the networks to start from; None for random weights.

    Returns:
        Keyword arguments.
    """
    described = to_stock(config)
    c = dnnlib.EasyDict(
        {name: dnnlib.EasyDict(value) if isinstance(value, dict) else value for name, value in described.items()}
    )
    (c.loss_kwargs.class_name,) = SLOTS["loss of a host"]
    if config.augmentation is not None:
        (c.augment_kwargs.class_name,) = SLOTS["augmentation of a host"]
        (c.augment_kwargs.pipe_class,) = SLOTS["image augmentation of a host"]
    c.resume_pkl = None if start is None else str(start)
    c.data_loader_kwargs.pin_memory = device_type() == "cuda"
    c.data_loader_kwargs.worker_init_fn = ignore_interrupts
    for name in ("image_snapshot_ticks", "network_snapshot_ticks"):
        c[name] = c[name] or _NEVER  # at the beginning and the end
    accepted = inspect.signature(loop).parameters
    return {name: value for name, value in c.items() if name in accepted}


def _run_processes(config: RunConfig, start: Path | None, run_dir: Path, checkout: Checkout, stopped: Stopped) -> None:
    """Run a process for each GPU. Signals are passed on to them, since each has a session of its own."""
    with tempfile.TemporaryDirectory() as meeting_place:
        arguments = config, start, run_dir, checkout, meeting_place, os.getpid()
        context = torch.multiprocessing.spawn(_process, args=arguments, nprocs=config.batch.num_gpus, join=False)
        passed_on = False
        try:
            while not context.join(timeout=0.2):
                if stopped.number is not None and not passed_on:
                    for process in context.processes:
                        with contextlib.suppress(OSError, TypeError):  # it has ended
                            os.kill(process.pid, stopped.number)
                    passed_on = True
        except torch.multiprocessing.ProcessExitedException:
            if not passed_on:  # a process that does not listen for signals yet ends at once
                raise
        except BaseException:  # the second Ctrl-C
            for process in context.processes:
                process.kill()
            raise


def _process(
    rank: int,
    config: RunConfig,
    start: Path | None,
    run_dir: Path,
    checkout: Checkout,
    meeting_place: str,
    parent: int,
) -> None:
    """Be one of several processes of a run."""
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: Windows
        os.setsid()  # a Ctrl-C reaches all processes of a terminal, and would come twice
    end_with(parent)
    with entered(checkout.path), interruptible(_PROMISE) as stopped:
        _run(rank, config, start, run_dir, checkout, meeting_place, stopped)


def _run(
    rank: int,
    config: RunConfig,
    start: Path | None,
    run_dir: Path,
    checkout: Checkout,
    meeting_place: str | None,
    stopped: Stopped,
) -> None:
    """Run the checkout's loop in this process; the checkout has been entered."""
    loop = import_module(_LOOP)
    vars(loop)["open"] = _open  # its functions find this name before the built-in function
    if meeting_place is not None:
        _join(rank, config.batch.num_gpus, meeting_place)
    machine = config.machine
    arguments = loop_arguments(config, loop.training_loop, start)
    # The loop itself sets the seeds and most of these switches, and never restores them.
    switches = execution(
        seed=machine.random_seed,
        bfloat16_on_cpu=False,
        tf32=machine.allow_tf32,
        cudnn_benchmark=machine.cudnn_benchmark,
    )
    with _logging_to(run_dir), switches, training_stats.recording(training_stats.Statistics()):
        if rank == 0:
            say(f"Engine: {checkout.codebase} in {checkout.path}", "")
        loop.training_loop(run_dir=str(run_dir), rank=rank, abort_fn=_abort_fn(config, stopped), **arguments)
    if meeting_place is not None:
        leave()


def _join(rank: int, num_gpus: int, meeting_place: str) -> None:
    """Meet the other processes of the run."""
    torch.distributed.init_process_group(
        backend="nccl" if device_type() == "cuda" else "gloo",
        init_method=(Path(meeting_place) / "processes").as_uri(),
        rank=rank,
        world_size=num_gpus,
    )
    device = torch.device("cuda", rank) if device_type() == "cuda" else torch.device("cpu")
    training_stats.init_multiprocessing(rank, device)
    if rank != 0:
        custom_ops.set_verbosity("none")


class _WholeFile(io.BufferedWriter):
    """A file that gets its name when it is closed; until then an earlier file of that name stays as it was."""

    def __init__(self, path: str | Path) -> None:
        self._naming = contextlib.ExitStack()
        super().__init__(io.FileIO(self._naming.enter_context(atomic_path(path)), "wb"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            super().close()
            self._naming.__exit__(kind, error, trace)

    def close(self) -> None:
        """Close the file and give it its name."""
        super().close()
        self._naming.close()


_built_in_open: Callable[..., object] = open


def _open(file: str | Path, mode: str = "r", *arguments: object, **options: object) -> object:
    """Open a file as the built-in function does; snapshots are whole or not there."""
    if mode == "wb" and str(file).endswith(".pkl"):
        return _WholeFile(file)
    return _built_in_open(file, mode, *arguments, **options)


def _logging_to(run_dir: Path) -> dnnlib.util.Logger:
    return dnnlib.util.Logger(str(run_dir / "log.txt"), file_mode="a")


def _abort_fn(config: RunConfig, stopped: Stopped) -> Callable[[], bool]:
    """Return a function that says whether a signal came or time is up, the same in all processes, once a tick."""
    hours = config.schedule.max_hours
    deadline = time.time() + hours * 3600 if hours else float("inf")

    def abort() -> bool:
        verdict = stopped.is_set() or time.time() > deadline
        if config.batch.num_gpus == 1:
            return verdict
        shared = torch.tensor([float(verdict)], device=device_type())
        torch.distributed.all_reduce(shared)
        return bool(shared.item())

    return abort


def _starting_networks(config: RunConfig, start: StartConfig, run_dir: Path) -> Path:
    """Write a video snapshot with the networks to start from, for the checkout to read.

    Its loop copies weights by name and stops at another shape, so image models and files of other
    formats are converted here first.
    """
    described = to_stock(config)
    dataset = construct("data set", described["training_set_kwargs"])
    sizes = dict(c_dim=dataset.label_dim, img_resolution=dataset.resolution, img_channels=dataset.num_channels)
    with execution(seed=config.machine.random_seed):
        G = construct("generator", described["G_kwargs"], **sizes)
        D = construct("discriminator", described["D_kwargs"], **sizes)
        G_ema = copy.deepcopy(G)
        source = load(start.path, trust_pickle=start.trusted, allow_nan=start.allow_nan)
        say(*load_networks(source, G, D, G_ema).split("\n"))
    content: dict[str, Any] = {"G": G, "D": D, "G_ema": G_ema}
    for network in content.values():
        network.eval().requires_grad_(requires_grad=False)
    content |= {"augment_pipe": None, "training_set_kwargs": described["training_set_kwargs"]}
    path = run_dir / "network-start.pkl"
    save_snapshot(path, content)
    return path
