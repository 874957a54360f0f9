"""Commands in processes of their own that start at once.

A server has imported everything and forks a child for each command.
"""

import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PRELOADED = [
    "torch._dynamo", "torch.utils.tensorboard", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "stylegan_v_ext.cli.main",
    "stylegan_v_ext.data.dataset", "stylegan_v_ext.engine.augment", "stylegan_v_ext.engine.training",
    "stylegan_v_ext.engine.loss", "stylegan_v_ext.networks.discriminator", "stylegan_v_ext.networks.generator",
    "tests.faults.forked",
]  # fmt: skip


def start(*arguments: object, log: Path, **environment: str) -> multiprocessing.Process:
    """A process that runs a command on one thread.

    arguments: `train.py` or another script of the root folder and its arguments, or those of `stylegan-v`.
    log: file that what it says is added to. environment: variables that it gets besides those of the server.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    before, os.environ["PYTHONPATH"] = os.environ.get("PYTHONPATH"), str(ROOT)  # read when the server starts
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    process = context.Process(target=_run, args=([str(argument) for argument in arguments], str(log), environment))
    process.start()
    return process


def finish(process: multiprocessing.Process, seconds: float = 240) -> int:
    """The exit code of a process once it has ended."""
    process.join(seconds)
    assert process.exitcode is not None, f"it runs for more than {seconds} s"
    return process.exitcode


def waited(condition: Callable[[], object], process: multiprocessing.Process, seconds: float = 0.001) -> bool:
    """Whether a condition came true before the process ended; it is looked at every so many seconds."""
    while not condition():
        if process.exitcode is not None:
            return False
        time.sleep(seconds)
    return True


def _run(arguments: list[str], log: str, environment: dict[str, str]) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (sys.stdout, sys.stderr):
        os.dup2(file, standard.fileno())
    os.environ.update(environment)
    multiprocessing.set_start_method("fork", force=True)  # as commands have it; the server's own goes on to children
    import torch

    torch.set_num_threads(1)
    if arguments[0].endswith(".py"):
        sys.argv = arguments
        runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")
    else:
        from stylegan_v_ext.cli.main import main

        main(arguments, prog_name="stylegan-v")
