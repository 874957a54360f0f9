"""The parts of `stylegan-v metrics` beside measuring: `list`, `detectors`, `plot`, its folders."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import click

from stylegan_v_ext.cli.asking import files_to_replace, say_written
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import UserError, report_user_errors
from stylegan_v_ext.cli.types import PATH, OutputFile
from stylegan_v_ext.text import say

SETTINGS = {"show_default": True, "max_content_width": 110}


def prepare_folders(outdir: str | None, detectors: str | None) -> None:
    """Make the folder of the results, and have this command look for detectors in a folder first.

    Args:
        outdir: Value of --outdir; None makes no folder.
        detectors: Value of --detectors; None leaves the choice to the environment.

    Raises:
        UserError: If the folder cannot be made, or if there is no folder of detectors.
    """
    if outdir is not None:
        try:
            os.makedirs(outdir, exist_ok=True)
        except OSError as error:
            raise UserError(f"--outdir={outdir}: {error.strerror}; name another folder") from None
    if detectors is not None:
        if not Path(detectors).is_dir():
            raise UserError(f"--detectors={detectors} is no folder; see `stylegan-v metrics detectors`")
        _look_into(detectors)


def _look_into(detectors: str) -> None:
    """Have the running command, and processes that it starts, look for detectors in a folder first."""
    click.get_current_context().with_resource(_environment(os.path.abspath(detectors)))


@contextlib.contextmanager
def _environment(detectors: str) -> Iterator[None]:
    """Name the folder of the detectors in the environment inside the block."""
    from stylegan_v_ext.metrics.detectors import ENVIRONMENT

    before = os.environ.get(ENVIRONMENT)
    os.environ[ENVIRONMENT] = detectors
    try:
        yield
    finally:
        os.environ.pop(ENVIRONMENT, None)
        if before is not None:
            os.environ[ENVIRONMENT] = before


@click.command("list", cls=Command, context_settings=SETTINGS)
@report_user_errors
def list_metrics() -> None:
    """Say what each metric is: detector, frames, which clips of which side, how they are compared."""
    from stylegan_v_ext.metrics.report import catalogue_lines

    say(*catalogue_lines())


@click.command("detectors", cls=Command, context_settings=SETTINGS)
@click.option("--detectors", help="Folder to look into  [env: STYLEGAN_V_DETECTORS]", type=PATH, metavar="DIR")
@report_user_errors
def show_detectors(detectors: str | None) -> None:
    """Show which detectors are present, their checksums, and where to put those that are missing."""
    from stylegan_v_ext.metrics.report import detector_lines

    if detectors is not None:
        _look_into(detectors)
    say(*detector_lines())


@click.command("plot", cls=Command, context_settings=SETTINGS)
@click.argument("run_dir")
@click.option("--output", help="PNG to write  [default: RUN_DIR/metrics.png]", type=OutputFile("png"), metavar="PNG")
@report_user_errors
def plot(run_dir: str, output: str | None) -> None:
    """Draw the figures of a run over its snapshots."""
    from stylegan_v_ext.data.findings import count
    from stylegan_v_ext.metrics.plot import plot_run

    target = Path(output) if output else Path(run_dir) / "metrics.png"
    replaced = files_to_replace([target], ask=False)
    for curve in plot_run(Path(run_dir), target):
        snapshots = count(curve.num_snapshots, "snapshot")
        say(f"{curve.name}: {snapshots}, best {curve.best:.6g} at kimg {curve.best_kimg:g}")
    say_written(target, replaced)
