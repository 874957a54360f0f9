"""Several processes that train as one, started by torchrun: sums over them, and decisions in common."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import psutil
import torch

from stylegan_v_ext.interrupts import interruptible
from torch_utils import custom_ops, training_stats

__all__ = [
    "ALONE",
    "Processes",
    "end_with",
    "end_with_launcher",
    "join",
    "launched_processes",
    "leave",
    "own_share",
    "relaunch",
]

_Made = TypeVar("_Made")
_BOARD_KEY = "stylegan-v/meeting"
_MEETING_SECONDS = 600
_LAUNCHER = "STYLEGAN_V_LAUNCHER"
_WATCH_SECONDS = 0.5
_LAST_SECONDS = 30.0  # for a step and the files of an orphan, as torchrun has it


@dataclass(frozen=True)
class Processes:
    """This process among all that train together.

    Attributes:
        rank: Number of this process, 0 ... count - 1.
        count: Number of processes; a single process sends nothing.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and prints; only process 0 does."""
        return self.rank == 0

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes, in one flat message.

        Args:
            parameters: Parameters of a network; those without a gradient are left out.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.count == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        for gradient, total in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def join_averages(self, before: torch.Tensor, after: torch.Tensor, beta: float, updates: int) -> None:
        """Merge the running averages of all processes into `after`, in place.

        Since `before`, which was the same in all processes, each process made `updates` updates
        after <- beta after + (1 - beta) x. In the result `before` has the weight that it would have if a single
        process had made the updates of all processes.

        Args:
            before: Average before the updates.
            after: Average of this process after its updates; it gets the result.
            beta: Decay of the average, 0 ... 1.
            updates: Updates that each process made.
        """
        if self.count == 1 or updates == 0:
            return
        kept = beta**updates
        new = (after - kept * before) / (1 - kept)
        torch.distributed.all_reduce(new)
        after.copy_(before.lerp(new / self.count, 1 - kept**self.count))

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Return, for each flag, whether it is true in any process. The message does not wait for GPUs.

        Args:
            flags: Flags of this process.
        """
        if self.count == 1:
            return list(flags)
        values = torch.tensor([int(flag) for flag in flags])
        torch.distributed.all_reduce(values, op=torch.distributed.ReduceOp.MAX)
        return [bool(value) for value in values.tolist()]

    def from_leader(self, make: Callable[[], _Made]) -> _Made:
        """Return in all processes what the leading process makes.

        Args:
            make: Function that the leading process calls.
        """
        if self.count == 1:
            return make()
        box: list[Any] = [make() if self.leads else None]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def leave(self) -> None:
        """End this process together with the others; a single process goes on."""
        if self.count > 1:
            leave()


ALONE = Processes()
"""A single process."""


def leave() -> None:
    """End this process, with exit code 0, once all processes are here."""
    torch.distributed.barrier()  # a process that leaves early would take down those that still work
    torch.distributed.destroy_process_group()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)  # at the usual end of a process, threads of gloo that still run abort it now and then


def launched_processes() -> int:
    """Return how many processes torchrun has started; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def own_share(device: str) -> tuple[int, int, str]:
    """Find the share of this process in work that needs no messages between processes.

    Args:
        device: "cpu", or "cuda" for the GPU of this process's number on this machine.

    Returns:
        Number of this process, number of processes, device of this process.
    """
    count, rank = launched_processes(), int(os.environ.get("RANK", "0"))
    if count > 1:
        end_with_launcher()
    if count > 1 and device == "cuda":
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    return rank, count, device


def join(device: str) -> tuple[Processes, str]:
    """Meet the other processes that torchrun has started.

    Args:
        device: "cpu", or "cuda" for the GPU of this process's number on this machine.

    Returns:
        This process among all, and its device.

    Raises:
        ValueError: If this machine has fewer GPUs than processes.
    """
    count = launched_processes()
    if count == 1:
        return Processes(), device
    end_with_launcher()
    rank, local_rank = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    meeting: dict[str, Any] = {"store": _store(rank, count)}
    if device.startswith("cuda"):
        if local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"{torch.cuda.device_count()} GPUs here, process {local_rank} has none; use --nproc-per-node="
                f"{torch.cuda.device_count()}"
            )
        torch.cuda.set_device(local_rank)
        device = f"cuda:{local_rank}"
        meeting["device_id"] = torch.device(device)
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    torch.distributed.init_process_group(backend, rank=rank, world_size=count, **meeting)
    training_stats.init_multiprocessing(rank, torch.device(device))
    if rank != 0:
        custom_ops.set_verbosity("none")
    return Processes(rank, count), device


def end_with_launcher() -> None:
    """Stop this process, as SIGTERM would, once torchrun or the command with --gpus that started it is gone."""
    numbers = [int(os.environ[_LAUNCHER])] if _LAUNCHER in os.environ else []
    if "TORCHELASTIC_RUN_ID" in os.environ:
        numbers.append(os.getppid())
    end_with(*numbers)


def end_with(*numbers: int) -> None:
    """Stop this process, as SIGTERM would, once one of several processes is gone.

    Those processes may be killed, which leaves them no time to stop this one. If this process works on for half a
    minute after that, it ends without its last step.

    Args:
        numbers: Numbers of the processes in the system.
    """
    if numbers:
        threading.Thread(target=_end_without, args=[numbers], name="launcher watch", daemon=True).start()


def _end_without(numbers: Sequence[int]) -> None:
    """Wait until one of several processes is gone, then end this one."""
    with suppress(psutil.NoSuchProcess):
        launchers = [psutil.Process(number) for number in numbers]
        while all(map(_lives, launchers)):
            time.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_SECONDS)
    os._exit(128 + signal.SIGTERM)


def _lives(process: psutil.Process) -> bool:
    """Return whether a process runs, and is not another process that got its number."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # the process of another user, which may be hidden
        return True


def _store(rank: int, count: int) -> torch.distributed.Store:
    """Return the store at which the processes of this attempt find each other."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return torch.distributed.TCPStore(address, port, count, is_master=rank == 0)
    return _meeting(torch.distributed.TCPStore(address, port, is_master=False), address, rank)


def _meeting(board: torch.distributed.Store, address: str, rank: int) -> torch.distributed.Store:
    """Return a store of this attempt alone; its process 0 holds it, and writes its address on torchrun's own store.

    Torchrun's store outlives restarts, and processes of earlier attempts have left their addresses on it. The number of
    the attempt cannot tell them apart: it starts anew on a machine on which torchrun itself was started again.
    """
    if rank == 0:
        meeting = torch.distributed.TCPStore(address, 0, is_master=True, wait_for_workers=False)
        board.set(_BOARD_KEY, str(meeting.port))
        return meeting
    deadline = time.monotonic() + _MEETING_SECONDS
    while True:
        port = int(board.get(_BOARD_KEY))
        try:
            found = torch.distributed.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=5))
            found.set_timeout(timedelta(seconds=_MEETING_SECONDS))
            return found
        except (RuntimeError, ValueError):  # the address of an earlier attempt, whose process 0 is gone
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def relaunch(count: int, module: str, arguments: Sequence[str]) -> int:
    """Run a Python module in several processes on this machine. A signal to this process is passed on to all of them.

    Args:
        count: Number of processes.
        module: Name of the module.
        arguments: Arguments of its command line.

    Returns:
        Exit code of the processes; 128 plus the number of a signal that this process got.
    """
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={count}",
        "-m",
        module,
        *arguments,
    ]
    environment = {
        "OMP_NUM_THREADS": str(max((os.cpu_count() or 1) // count, 1)),
        **os.environ,
        _LAUNCHER: str(os.getpid()),
    }
    with interruptible("Passing it on to all processes, which finish their step and save") as stopped:
        # In a session of its own: at a Ctrl-C torchrun would end the processes before they have saved.
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            while process.poll() is None and not stopped.wait(0.2):
                pass
            if stopped.number is not None:
                _pass_on(stopped.number, process)
            code = process.wait()
        except BaseException:
            for other in [*_below(process), process]:
                with suppress(psutil.Error, OSError):
                    other.kill()
            raise
    return code if stopped.number is None else 128 + stopped.number


def _pass_on(number: int, launcher: subprocess.Popen) -> None:
    """Send a signal to the processes that a launcher has started, or end the launcher if there are no processes yet."""
    workers = [child for child in _below(launcher, recursive=False) if _lives(child)]
    for worker in workers:
        with suppress(psutil.Error):
            worker.send_signal(number)
    if not workers and launcher.poll() is None:
        launcher.terminate()


def _below(process: subprocess.Popen, *, recursive: bool = True) -> list[psutil.Process]:
    """Return the processes that a process has started.

    Args:
        process: The process.
        recursive: Whether processes that these have started are included.
    """
    try:
        return psutil.Process(process.pid).children(recursive=recursive)
    except psutil.Error:
        return []
