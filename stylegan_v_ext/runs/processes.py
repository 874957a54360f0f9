"""The processes that torchrun has started for a run or a measurement."""

import contextlib
import os
from collections.abc import Iterator

from stylegan_v_ext.distributed import Processes, join, launched_processes
from stylegan_v_ext.interrupts import StoppedBySignal


def check_alone(function: str, gpus: int = 1) -> None:
    """Check that a function that works in one process is not asked to be one of several.

    Args:
        function: Name of the function, for the message.
        gpus: Number of processes that the user asks for.

    Raises:
        ValueError: If the user, or torchrun, wants several processes.
    """
    count = max(gpus, launched_processes())
    if count > 1:
        raise ValueError(f"gpus={count}: {function}() works in one process; use `train.py --gpus={count}`")


@contextlib.contextmanager
def joined(device: str) -> Iterator[tuple[Processes, str]]:
    """Work together with the other processes inside of the block; only the leading process prints.

    With several processes the block does not return: they end together. A signal that stopped their training ends them
    with exit code 0, since torchrun takes any other code for a failure.

    Args:
        device: "cpu", or "cuda" for the GPU with the number of this process on its machine.

    Yields:
        All processes, and the device of this process.

    Raises:
        ValueError: If the device is not there.
        StoppedBySignal: If a signal ended the block in the only process.
    """
    processes, own_device = join(device)
    with contextlib.ExitStack() as stack:
        if not processes.leads:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        try:
            yield processes, own_device
        except StoppedBySignal:
            if processes.count == 1:
                raise
    processes.leave()


def restarted(processes: Processes) -> bool:
    """Return whether torchrun has started all processes again after it lost a process or a machine.

    Torchrun counts its restarts on each machine, so all processes have to call this function.
    """
    (again,) = processes.any([int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0])
    return again
