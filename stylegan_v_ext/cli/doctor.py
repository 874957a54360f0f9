"""`stylegan-v doctor`: what works on this machine, what does not, and what to do about it."""

import click

from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.text import say


@click.command(cls=Command)
@report_user_errors
def doctor() -> None:
    """Show the state of PyTorch, GPUs, CUDA kernels, ffmpeg, PyAV, host and detectors, and how to mend the rest.

    On a machine with a GPU this compiles the kernels (seconds, then cached) and compares their results with
    the references. Exit code 1 if something that is needed does not work.
    """
    from stylegan_v_ext.doctor import examine

    all_fine = True
    for finding in examine():
        all_fine &= finding.fine
        say(f"{'ok  ' if finding.fine else 'FIX '} {finding.name:22s}{finding.state}")
    if not all_fine:
        raise SystemExit(1)
