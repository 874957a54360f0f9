"""`stylegan-v metrics`: how far generated videos are from real ones."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from stylegan_v_ext.cli import metric_pages
from stylegan_v_ext.cli.common import check_gpus, device_to_use, own_arguments
from stylegan_v_ext.cli.entry import Group
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.terminal import Terminal
from stylegan_v_ext.cli.types import FOLDER, PATH, NameList
from stylegan_v_ext.text import say

if TYPE_CHECKING:
    from stylegan_v_ext.distributed import Processes
    from stylegan_v_ext.metrics.measurement import Measurement

_EPILOG = """
\b
Examples:
  stylegan-v metrics --network=runs/00000-stylegan-v-sky --metrics=fvd2048_16f,fid50k_full
  stylegan-v metrics --network=snapshot.pkl --data=sky.zip --metrics=fvd256_16f --repeat=5
  stylegan-v metrics --real=sky.zip --fake=videos/ --metrics=fvd,motion      (videos/: mp4 files of any model)
  stylegan-v metrics --network=snapshot.pkl --host=~/stylegan3 --metrics=fid50k_full   (the checkout's own)
  torchrun --nproc-per-node=8 -m stylegan_v_ext.cli.main metrics --network=snapshot.pkl
\b
`stylegan-v metrics list` says what each metric is, `stylegan-v metrics detectors` which networks they look
through and where to put these, `stylegan-v metrics plot RUN_DIR` draws the figures of a run.
"""
_NETWORK = "Checkpoint of a video or image model of this project, or a run folder"
_REAL = "Real videos that --fake is compared with: a data set, or a folder or .zip of video files"
_FAKE = "Videos to measure in place of a network: a data set, or a folder or .zip of video files"
_NAMES = "What to measure, see `stylegan-v metrics list`; the numbers in the names may be others"
_DATA = "Data set to compare a network with  [default: the data set of its training]"
_MIRROR = "Count mirror images of the real videos as well  [default: as in training]"
_REPEAT = "Measure that many times with other clips of both sides; mean and standard deviation"
_DETECTORS = "Folder with the networks that metrics look through  [env: STYLEGAN_V_DETECTORS]"
_DETECTOR = "TorchScript file to look through in place of the usual network"
_OUTDIR = "Folder of the files metric-NAME.jsonl, which get a line  [default: the network's; with --fake no file]"
_RESOLUTION = "Side of frames from video files if neither side is a data set"
_HOST = "stylegan3 or stylegan2-ada-pytorch checkout whose metrics to use  [env: STYLEGAN_HOST]"
_GPUS = "Processes that share the work; torchrun brings its own"


@click.group(cls=Group, invoke_without_command=True, epilog=_EPILOG, context_settings=metric_pages.SETTINGS)
@click.option("--network", help=_NETWORK, type=PATH, metavar="PKL|DIR")
@click.option("--real", help=_REAL, type=PATH, metavar="PATH")
@click.option("--fake", help=_FAKE, type=PATH, metavar="PATH")
@click.option(
    "--metrics", "--metric", "metrics", help=_NAMES, metavar="NAME,...", type=NameList(), default="fvd2048_16f"
)
@click.option("--data", help=_DATA, type=PATH, metavar="PATH")
@click.option("--mirror", help=_MIRROR, cls=Switch, default=None)
@click.option("--repeat", help=_REPEAT, type=click.IntRange(min=1), default=1)
@click.option("--detectors", help=_DETECTORS, type=PATH, metavar="DIR")
@click.option("--detector", help=_DETECTOR, type=PATH, metavar="FILE")
@click.option("--outdir", help=_OUTDIR, type=FOLDER, metavar="DIR")
@click.option("--resolution", help=_RESOLUTION, type=click.IntRange(min=8), default=256)
@click.option("--cache", help="Keep statistics of real videos for the next time", cls=Switch, default=True)
@click.option("--host", help=_HOST, type=PATH, metavar="DIR", envvar="STYLEGAN_HOST")
@click.option("--gpus", help=_GPUS, type=click.IntRange(min=1), default=1)
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@nan_option
@click.pass_context
@report_user_errors
def metrics(
    ctx: click.Context,
    detectors: str | None,
    outdir: str | None,
    host: str | None,
    gpus: int,
    device: str,
    **options: object,
) -> None:
    """Measure a generator against a data set, or videos against videos.

    Results are printed as a table and added, with a protocol that says exactly what was measured, to
    metric-NAME.jsonl beside the snapshot. The same command gives the same figures.
    """
    if ctx.invoked_subcommand is not None:
        return
    import torch

    from stylegan_v_ext.distributed import launched_processes, relaunch
    from stylegan_v_ext.host.measuring import opened_in_host
    from stylegan_v_ext.metrics.measurement import MeasureRequest, open_measurement
    from stylegan_v_ext.runs.processes import joined

    try:
        request = MeasureRequest(**cast("dict[str, Any]", options))
        host = host if request.network is not None and host else None
        if host is not None and (request.repeat > 1 or request.detector is not None):
            raise ValueError("--repeat and --detector are for our own metrics; leave them or --host out")
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    request.check()
    metric_pages.prepare_folders(outdir, detectors)
    if gpus > 1 and launched_processes() == 1:
        check_gpus(gpus, device)
        ctx.exit(relaunch(gpus, "stylegan_v_ext.cli.main", ["metrics", *own_arguments(ctx)]))
    with joined(str(device_to_use(device))) as (processes, own_device), contextlib.ExitStack() as stack:
        place = torch.device(own_device)
        if host is None:
            opened = open_measurement(request, place, processes=processes)
        else:
            opened = stack.enter_context(opened_in_host(request, host, place, processes=processes))
        _measure_all(opened, outdir, processes)


def _measure_all(opened: "Measurement", outdir: str | None, processes: "Processes") -> None:
    """Measure what was opened; print the results, and add them to the files of results."""
    from stylegan_v_ext.metrics.evaluate import append_result, result_line
    from stylegan_v_ext.metrics.report import result_lines

    say(*opened.notes, err=True)
    folder, terminal = Path(outdir) if outdir else opened.folder, Terminal(ask=False)
    for number, (name, run) in enumerate(opened.runs.items()):
        started = time.time()
        with terminal.progress(name, 1) as advance:
            result = run(advance)
        seconds = time.time() - started
        line = result_line(name, result, seconds, opened.snapshot)
        if not processes.leads:
            continue
        if number == 0 and opened.recorded_data is not None:
            say(f"Data set: {opened.recorded_data}, which {opened.snapshot} names; --data=PATH names another")
        say(*result_lines(name, result, seconds))
        if folder is not None:
            try:
                append_result(folder, name, line)
            except OSError as error:
                say(f"Not kept in {folder}: {error.strerror}; name another --outdir", err=True)


for _page in (metric_pages.list_metrics, metric_pages.show_detectors, metric_pages.plot):
    metrics.add_command(_page)
