"""Training in a checkout: our config becomes the arguments of its own training loop."""

import copy
import inspect
import io
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch

import dnnlib
from stylegan_v_ext import host
from stylegan_v_ext.checkpoints import find_snapshot
from stylegan_v_ext.classes import SLOTS, construct
from stylegan_v_ext.distributed import end_with, leave
from stylegan_v_ext.engine.batches import ignore_interrupts
from stylegan_v_ext.engine.folder import held
from stylegan_v_ext.engine.state import save_options
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.interrupts import Stopped, StoppedBySignal, interruptible
from stylegan_v_ext.metrics.catalogue import check_metrics
from stylegan_v_ext.text import say

_NEVER = 10**9  # ticks


def train(config: dnnlib.EasyDict, run_dir: str | Path, directory: str | Path) -> Path:
    """Run a config in the checkout at `directory`, into a new run folder; returns the last snapshot's path.

    Args:
        config: Of `stylegan_v_ext.config`. One process for each of `num_gpus`, on CUDA where there is a GPU, otherwise
            on the CPU.

    Raises:
        ValueError: For options that its loop cannot follow, and `StoppedBySignal` after a signal, which its loop
            follows with a snapshot at the end of the tick.
    """
    checkout = host.enter(directory)
    host.import_module("training.training_loop")  # before the folder, which is not made for what does not work
    check_options(config)
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    with held(run_dir):
        return _train(copy.deepcopy(config), run_dir, checkout)


def _train(config: dnnlib.EasyDict, run_dir: Path, checkout: host.Checkout) -> Path:
    """Run a config in a folder that this process holds; returns the last snapshot's path."""
    save_options(run_dir, config)
    if config.resume_pkl:
        with _logging_to(run_dir):
            config.resume_pkl = str(_starting_networks(config, run_dir))
    with interruptible("Stopping with a snapshot at the end of this tick") as stopped:
        if config.num_gpus == 1:
            _run(0, config, run_dir, checkout, None, stopped)
        else:
            _run_processes(config, run_dir, checkout, stopped)
    if stopped.number is not None:
        raise StoppedBySignal(stopped.number)
    return find_snapshot(run_dir)


def device_type() -> str:
    """What checkouts compute on here: they take CUDA where there is a GPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_options(config: dnnlib.EasyDict) -> None:
    """Raise `ValueError` for metrics of another kind of model, for losses that would reach motion rows of `ws`, and for
    what the checkout's loop knows nothing of.
    """
    check_metrics(config.metrics, config.training_set_kwargs.num_frames)
    accepted = inspect.signature(host.import_module("training.training_loop").training_loop).parameters
    if config.allow_tf32 and "allow_tf32" not in accepted:
        raise ValueError("--tf32=1 with --host: its training loop has no such option; leave --tf32 out")
    if config.loss_kwargs.get("compiled"):
        raise ValueError("--compile=1 with --host: its loss runs networks as they are; leave --compile out")
    if config.on_bad_frame == "skip":
        raise ValueError("--on-bad-frame=skip with --host: its loop cannot say what was left out; leave it out")
    if config.training_set_kwargs.num_frames == 1:
        return
    for option, name in (("--style-mixing", "style_mixing_prob"), ("--pl-weight", "pl_weight")):
        if config.loss_kwargs[name]:
            raise ValueError(
                f"{option}={config.loss_kwargs[name]:g} with --host: its loss would mix motion with content; "
                f"leave {option} out, or train without --host"
            )


def loop_arguments(config: dnnlib.EasyDict, loop: Callable[..., None]) -> dict[str, Any]:
    """Those entries of a config that a training loop takes, its own loss and augmentation in place of ours."""
    c = copy.deepcopy(config)
    (c.loss_kwargs.class_name,) = SLOTS["loss of a host"]
    if c.get("augment_kwargs"):
        (c.augment_kwargs.class_name,) = SLOTS["augmentation of a host"]
        (c.augment_kwargs.pipe_class,) = SLOTS["image augmentation of a host"]
    c.data_loader_kwargs.pin_memory = device_type() == "cuda"
    c.data_loader_kwargs.worker_init_fn = ignore_interrupts
    for name in ("image_snapshot_ticks", "network_snapshot_ticks"):
        c[name] = c[name] or _NEVER  # at the beginning and the end
    accepted = inspect.signature(loop).parameters
    return {name: value for name, value in c.items() if name in accepted}


def _run_processes(config: dnnlib.EasyDict, run_dir: Path, checkout: host.Checkout, stopped: Stopped) -> None:
    """A run in one process for each GPU. Signals are passed on to them: they are in sessions of their own."""
    with tempfile.TemporaryDirectory() as meeting_place:
        arguments = config, run_dir, checkout, meeting_place, os.getpid()
        context = torch.multiprocessing.spawn(_process, args=arguments, nprocs=config.num_gpus, join=False)
        told = False
        try:
            while not context.join(timeout=0.2):
                if stopped.number is not None and not told:
                    for process in context.processes:
                        with suppress(OSError, TypeError):  # it has ended
                            os.kill(process.pid, stopped.number)
                    told = True
        except torch.multiprocessing.ProcessExitedException:
            if not told:  # one that had not begun to listen ends at once
                raise
        except BaseException:  # the second Ctrl-C
            for process in context.processes:
                process.kill()
            raise


def _process(
    rank: int, config: dnnlib.EasyDict, run_dir: Path, checkout: host.Checkout, meeting_place: str, parent: int
) -> None:
    """One of several processes of a run."""
    with suppress(OSError, AttributeError):  # AttributeError: Windows
        os.setsid()  # a Ctrl-C reaches all processes of a terminal, and would come twice
    end_with(parent)
    with interruptible("Stopping with a snapshot at the end of this tick") as stopped:
        _run(rank, config, run_dir, checkout, meeting_place, stopped)


def _run(
    rank: int,
    config: dnnlib.EasyDict,
    run_dir: Path,
    checkout: host.Checkout,
    meeting_place: str | None,
    stopped: Stopped,
) -> None:
    """The checkout's loop, in this process."""
    from torch_utils import custom_ops, training_stats

    host.enter(checkout.path)
    loop = host.import_module("training.training_loop")
    vars(loop)["open"] = _open  # what its functions find in place of the built-in one
    training_loop = loop.training_loop
    if meeting_place is not None:
        torch.distributed.init_process_group(
            backend="nccl" if device_type() == "cuda" else "gloo",
            init_method=(Path(meeting_place) / "processes").as_uri(),
            rank=rank,
            world_size=config.num_gpus,
        )
    device = torch.device("cuda", rank) if device_type() == "cuda" else torch.device("cpu")
    training_stats.init_multiprocessing(rank, device if config.num_gpus > 1 else None)
    if rank != 0:
        custom_ops.set_verbosity("none")
    with _logging_to(run_dir):
        if rank == 0:
            say(f"Engine: {checkout.codebase} in {checkout.path}", "")
        arguments = loop_arguments(config, training_loop)
        training_loop(run_dir=str(run_dir), rank=rank, abort_fn=_abort_fn(config, stopped), **arguments)
    if meeting_place is not None:
        leave()


class _WholeFile(io.BufferedWriter):
    """A file that has its name once it is closed; a process that is killed before leaves whatever was there."""

    def __init__(self, path: str | Path) -> None:
        self._naming = ExitStack()
        super().__init__(io.FileIO(self._naming.enter_context(atomic_path(path)), "wb"))

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self.close()
        else:
            super().close()
            self._naming.__exit__(*error)

    def close(self) -> None:
        super().close()
        self._naming.close()


def _open(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
    """`open` for a checkout's loop, in which snapshots are whole or not there."""
    if mode == "wb" and str(file).endswith(".pkl"):
        return _WholeFile(file)
    return open(file, mode, *arguments, **options)


def _logging_to(run_dir: Path) -> dnnlib.util.Logger:
    return dnnlib.util.Logger(str(run_dir / "log.txt"), file_mode="a")


def _abort_fn(config: dnnlib.EasyDict, stopped: Stopped) -> Callable[[], bool]:
    """Whether a signal came or time is up, the same in all processes; asked once a tick."""
    deadline = time.time() + config.max_hours * 3600 if config.max_hours else float("inf")

    def abort() -> bool:
        verdict = stopped.is_set() or time.time() > deadline
        if config.num_gpus == 1:
            return verdict
        shared = torch.tensor([float(verdict)], device=device_type())
        torch.distributed.all_reduce(shared)
        return bool(shared.item())

    return abort


def _starting_networks(config: dnnlib.EasyDict, run_dir: Path) -> Path:
    """A video snapshot with the networks to start from, for the checkout to read.

    Its loop copies weights by name and stops at another shape, so image models and files of other
    formats are converted here first.
    """
    from stylegan_v_ext import checkpoints
    from stylegan_v_ext.checkpoints.transfer import load_networks

    dataset = construct("data set", config.training_set_kwargs)
    sizes = dict(c_dim=dataset.label_dim, img_resolution=dataset.resolution, img_channels=dataset.num_channels)
    torch.manual_seed(config.random_seed)
    G = construct("generator", config.G_kwargs, **sizes)
    D = construct("discriminator", config.D_kwargs, **sizes)
    G_ema = copy.deepcopy(G)
    source = checkpoints.load(
        config.resume_pkl,
        trust_pickle=bool(config.get("resume_trusted")),
        allow_nan=bool(config.get("resume_allow_nan")),
    )
    say(*load_networks(source, G, D, G_ema).split("\n"))
    content: dict[str, Any] = {"G": G, "D": D, "G_ema": G_ema}
    for network in content.values():
        network.eval().requires_grad_(False)
    content |= {"augment_pipe": None, "training_set_kwargs": dict(config.training_set_kwargs)}
    path = run_dir / "network-start.pkl"
    checkpoints.save_snapshot(path, content)
    return path
