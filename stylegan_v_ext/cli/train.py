"""`train.py` and `stylegan-v train`: options, a plan of the run, its description on the screen, the training."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan_v_ext.cli.common import UserError, check_gpus, device_to_use, own_arguments, report_user_errors
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.pointers import check_resume
from stylegan_v_ext.cli.settings import given_options, training_options
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.terminal import Terminal
from stylegan_v_ext.config import TrainOptions
from stylegan_v_ext.text import say

if TYPE_CHECKING:
    from stylegan_v_ext.distributed import Processes

_EPILOG = """
\b
Examples:
  python train.py --cfg=stylegan-v --data=demo
  python train.py --cfg=stylegan-v --data=sky.zip --gamma=1 --motion-distance=256 --mirror=1
  python train.py --resume=latest                                (goes on with the last run, exactly)
  python train.py --cfg=stylegan-v --data=faces.zip --resume=runs/00000-.../network-snapshot-001000.pkl
  python train.py --cfg=stylegan-v --data=faces.zip --resume=stylegan2-ffhq.pkl   (image model to video model)
  python train.py --cfg=stylegan-v --data=faces.zip --host=~/stylegan3 --metrics=fvd2048_16f,fid50k_full
  stylegan-v data convert videos/ clips.zip --resolution=256   (makes the data set)
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@training_options
@click.option("-n", "--dry-run", help="Print the training options and stop", cls=Switch, group="Run")
@click.pass_context
@report_user_errors
def train(ctx: click.Context, *, dry_run: bool, **values: Any) -> None:  # noqa: ANN401
    """Train a video GAN on a data set of clips.

    Writes to a new folder in --outdir: log.txt, stats.jsonl, sample sheets (reals.png, fakes*.png,
    fakes*.mp4) and snapshots (network-snapshot-*.pkl), which gen_video.py turns into videos. Ctrl-C,
    SIGTERM, SIGHUP and SIGUSR1 finish the step at hand, save and stop with exit code 128 + the signal's number;
    --resume=DIR goes on from there as if nothing had been, bit for bit on a CPU. A second Ctrl-C stops at
    once, and what was saved before stays.
    """
    from stylegan_v_ext.distributed import Processes, launched_processes, relaunch
    from stylegan_v_ext.runs.continuation import run_to_go_on
    from stylegan_v_ext.runs.processes import joined

    given = given_options(ctx)
    check_resume(values["resume"])
    if values["host"]:
        if values["resume"] == "latest":
            raise UserError("--resume=latest with --host: stock loops begin anew; give a snapshot to start from")
        _begin(values, set(given), Processes(), dry_run=dry_run)
        return
    launched, gpus = launched_processes(), values["gpus"]
    if launched > 1 and "gpus" in given and gpus != launched:
        raise UserError(f"--gpus={gpus}: torchrun has started {launched} processes; leave --gpus out")
    if launched == 1 and gpus > 1 and not dry_run:
        check_gpus(gpus, values["device"])
        ctx.exit(relaunch(gpus, "stylegan_v_ext.cli.main", ["train", *own_arguments(ctx)]))
    with joined(str(device_to_use(values["device"]))) as (processes, device):
        run_dir = run_to_go_on(values["resume"], values["outdir"], processes)
        if run_dir is not None:
            _go_on(run_dir, given, device, processes, dry_run=dry_run)
        else:
            values |= {"device": device, "gpus": launched if launched > 1 else gpus}
            _begin(values, set(given), processes, dry_run=dry_run)


def _begin(values: dict[str, Any], given: set[str], processes: "Processes", *, dry_run: bool) -> None:
    """Begin a new run with these options; the user gave some of them."""
    from stylegan_v_ext.runs import describe, prepare, start
    from stylegan_v_ext.runs.launch import inside

    for name in ("cfg", "data"):
        if values[name] is None:
            raise click.UsageError(f"Missing option '--{name}'; or go on with a run by --resume=DIR")
    with inside(values["host"] or None) as host:
        options = TrainOptions(**{**values, "host": host})
        plan = prepare(options, given=given, trial=dry_run, processes=processes, listener=Terminal())
        say(*describe(plan.config, plan.classes))
        if host is not None:
            say(f"Engine: the training loop of {host}", "")
        for note in plan.notes:
            say(note, "")
        if dry_run:
            say("Dry run; nothing was written.")
        else:
            start(plan.config, options.outdir, host=host, processes=processes)


def _go_on(run_dir: Path, changes: dict[str, Any], device: str, processes: "Processes", *, dry_run: bool) -> None:
    """Go on with a run, with other values of the options that may change."""
    from stylegan_v_ext.runs.continuation import check, reopen, train_on

    part = reopen(run_dir, changes, device=device, processes=processes)
    if dry_run:
        check(part)
    say(f"Run folder: {run_dir}", *part.notes)
    if dry_run:
        say("Dry run; nothing was written.")
    else:
        train_on(part, processes)


if __name__ == "__main__":
    train()
