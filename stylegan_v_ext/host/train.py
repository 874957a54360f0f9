"""Training in a checkout: our config becomes the arguments of its own training loop."""

import copy
import inspect
import io
import json
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

import dnnlib
from stylegan_v_ext import host
from stylegan_v_ext.checkpoints import find_snapshot
from stylegan_v_ext.distributed import leave
from stylegan_v_ext.engine.batches import ignore_interrupts
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.metrics.catalogue import check_metrics

_NEVER = 10**9  # ticks


def train(config: dnnlib.EasyDict, run_dir: str | Path, directory: str | Path) -> Path:
    """Run a config in the checkout at `directory`, into a new run folder; returns the last snapshot's path.

    config: of `stylegan_v_ext.config`. One process for each of `num_gpus`, on CUDA where there is a GPU,
    otherwise on the CPU. Raises `ValueError` for options that its loop cannot follow.
    """
    checkout = host.enter(directory)
    host.import_module("training.training_loop")  # before the folder, which is not made for what does not work
    check_options(config)
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    config = copy.deepcopy(config)
    with atomic_path(run_dir / "training_options.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if config.resume_pkl:
        with _logging_to(run_dir):
            config.resume_pkl = str(_starting_networks(config, run_dir))
    if config.num_gpus == 1:
        _process(0, config, run_dir, checkout, None)
    else:
        with tempfile.TemporaryDirectory() as meeting_place, _interrupts_left_to_children():
            arguments = config, run_dir, checkout, meeting_place
            torch.multiprocessing.spawn(_process, args=arguments, nprocs=config.num_gpus)
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
    c.loss_kwargs.class_name = "training.loss.StyleGAN2Loss"
    if c.get("augment_kwargs"):
        c.augment_kwargs.class_name = "stylegan_v_ext.host.augment.ClipAugmentPipe"
        c.augment_kwargs.pipe_class = "training.augment.AugmentPipe"
    c.data_loader_kwargs.pin_memory = device_type() == "cuda"
    c.data_loader_kwargs.worker_init_fn = ignore_interrupts
    for name in ("image_snapshot_ticks", "network_snapshot_ticks"):
        c[name] = c[name] or _NEVER  # at the beginning and the end
    accepted = inspect.signature(loop).parameters
    return {name: value for name, value in c.items() if name in accepted}


def _process(
    rank: int, config: dnnlib.EasyDict, run_dir: Path, checkout: host.Checkout, meeting_place: str | None
) -> None:
    """One of the processes of a run."""
    from torch_utils import custom_ops, training_stats

    host.enter(checkout.path)
    loop = host.import_module("training.training_loop")
    vars(loop)["open"] = _open  # what its functions find in place of the built-in one
    training_loop = loop.training_loop
    if meeting_place is not None:
        torch.distributed.init_process_group(
            backend="nccl" if device_type() == "cuda" else "gloo",
            init_method=(Path(meeting_place) / "processes").as_uri(), rank=rank, world_size=config.num_gpus,
        )  # fmt: skip
    device = torch.device("cuda", rank) if device_type() == "cuda" else torch.device("cpu")
    training_stats.init_multiprocessing(rank, device if config.num_gpus > 1 else None)
    if rank != 0:
        custom_ops.set_verbosity("none")
    with _logging_to(run_dir):
        if rank == 0:
            print(f"Engine: {checkout.codebase} in {checkout.path}\n")
        arguments = loop_arguments(config, training_loop)
        training_loop(run_dir=str(run_dir), rank=rank, abort_fn=_abort_fn(config, rank), **arguments)
    if meeting_place is not None:
        leave()


class _WholeFile(io.BufferedWriter):
    """A file that has its name once it is closed; a process that is killed before leaves whatever was there."""

    def __init__(self, path: str | Path):
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


@contextmanager
def _interrupts_left_to_children() -> Iterator[None]:
    """Ctrl-C reaches all processes of a terminal; inside the block this one lives on until the others are done."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _abort_fn(config: dnnlib.EasyDict, rank: int) -> Callable[[], bool]:
    """Whether Ctrl-C was pressed or time is up, the same in all processes; asked once a tick."""
    stopped = threading.Event()
    deadline = time.time() + config.max_hours * 3600 if config.max_hours else float("inf")

    def stop(number: int, frame: Any) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        if rank == 0:
            print("\nStopping with a snapshot at the end of this tick; press Ctrl-C again to stop at once.", flush=True)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, stop)

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

    dataset = dnnlib.util.construct_class_by_name(**config.training_set_kwargs)
    sizes = dict(c_dim=dataset.label_dim, img_resolution=dataset.resolution, img_channels=dataset.num_channels)
    torch.manual_seed(config.random_seed)
    G = dnnlib.util.construct_class_by_name(**config.G_kwargs, **sizes)
    D = dnnlib.util.construct_class_by_name(**config.D_kwargs, **sizes)
    G_ema = copy.deepcopy(G)
    source = checkpoints.load(config.resume_pkl, trust_pickle=bool(config.get("resume_trusted")))
    print(load_networks(source, G, D, G_ema), flush=True)
    content: dict[str, Any] = {"G": G, "D": D, "G_ema": G_ema}
    for network in content.values():
        network.eval().requires_grad_(False)
    content |= {"augment_pipe": None, "training_set_kwargs": dict(config.training_set_kwargs)}
    path = run_dir / "network-start.pkl"
    checkpoints.save_snapshot(path, content)
    return path
