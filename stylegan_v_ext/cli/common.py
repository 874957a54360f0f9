"""What commands share: the device, a progress bar, their own words on the command line."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from stylegan_v_ext.cli.errors import UserError
from stylegan_v_ext.text import printable, say

if TYPE_CHECKING:
    import torch
    from click._termui_impl import ProgressBar

_LONGEST_LABEL = 60


@contextlib.contextmanager
def computing(name: str) -> "Iterator[torch.device]":
    """Compute on a device inside the block, as commands do; afterwards the process has the settings of before.

    Numbers of 32 bits stay numbers of 32 bits: PyTorch would let convolutions on GPUs round to TF32. Training has an
    option for that. On a CPU, freed memory is kept for the next tensor.

    Args:
        name: Value of --device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Yields:
        The device.

    Raises:
        ValueError: If the name is unknown or the device is not there.
    """
    from stylegan_v_ext.device import pick_device
    from stylegan_v_ext.execution import execution
    from stylegan_v_ext.memory import keep_freed_memory

    device = pick_device(name)
    with contextlib.ExitStack() as stack:
        if device.type == "cpu":
            stack.enter_context(keep_freed_memory())
        stack.enter_context(execution(tf32=False))
        yield device


def device_to_use(name: str) -> "torch.device":
    """Return the device that the running command computes on, as inside of `computing`, until the command ends.

    Args:
        name: Value of --device.

    Returns:
        The device.

    Raises:
        ValueError: If the name is unknown or the device is not there.
    """
    return click.get_current_context().with_resource(computing(name))


def check_gpus(count: int, device: str) -> None:
    """Check that there are as many GPUs as --gpus asks for; on the CPU, note that processes share cores.

    Args:
        count: Value of --gpus.
        device: Value of --device.

    Raises:
        UserError: If there are fewer GPUs.
    """
    import torch

    from stylegan_v_ext.device import pick_device

    kind, cores = pick_device(device).type, os.cpu_count() or 1
    if kind == "cuda" and count > torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(f"--gpus={count}: this machine has {found}; use --gpus={found} or less, or --device=cpu")
    if kind == "cpu" and count > cores:
        say(f"Note: --gpus={count} on the CPU: {count} processes share {cores} cores", err=True)


def progress_bar(length: int, label: str) -> "ProgressBar[int]":
    """Return a bar with percentage and time left, which draws on stderr; it draws nothing if that is no terminal.

    Args:
        length: Number of steps.
        label: Text before the bar.
    """
    return click.progressbar(
        length=length, label=printable(label, _LONGEST_LABEL), file=sys.stderr, hidden=not sys.stderr.isatty()
    )


def own_arguments(ctx: click.Context) -> list[str]:
    """Return the words of the command line after the name of a command.

    Args:
        ctx: Context of the command.
    """
    return sys.argv[1:] if ctx.parent is None else sys.argv[sys.argv.index(str(ctx.info_name)) + 1 :]
