"""`train.py` and `stylegan-v train`: parse, prepare, print, train."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stylegan_v_ext.cli.checkpoint import nan_option, trust_option
from stylegan_v_ext.cli.common import (
    FOLDER,
    PATH,
    NameList,
    UserError,
    check_gpus,
    device_to_use,
    own_arguments,
    progress_bar,
    report_user_errors,
)
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.pointers import Preset, check_resume
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.config import PRESETS, TrainOptions
from stylegan_v_ext.config.options import AUGMENT_MODES
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
@click.option(
    "--cfg",
    help="Model: "
    + "; ".join(f"{name} ({preset.summary})" for name, preset in PRESETS.items())
    + "  [required for a new run]",
    type=Preset(list(PRESETS)),
    metavar="CFG",
)
@click.option(
    "--data",
    help="Data set: zip, folder, shards, an address such as s3://bucket/name.zip, or `demo` for "
    "the built-in sky time-lapse  [required for a new run]",
    type=PATH,
    metavar="PATH",
)
@click.option("--outdir", help="Where run folders go", type=FOLDER, metavar="DIR", default="runs")
@click.option(
    "--host",
    help="Train with the loop, loss, augmentation and metrics of this stylegan3 or "
    "stylegan2-ada-pytorch checkout, unchanged, in place of the built-in engine  [env: STYLEGAN_HOST]",
    type=PATH,
    metavar="DIR",
    envvar="STYLEGAN_HOST",
)
@click.option(
    "--gpus",
    help="Processes on this machine, one a GPU, or on the CPU; short for torchrun "
    "--nproc-per-node, which also spans machines (docs/scaling.md)",
    type=click.IntRange(min=1),
    default=1,
)
@click.option("--batch", help="Clips a step  [default: from the resolution]", type=click.IntRange(min=1, max=2**16))
@click.option(
    "--batch-gpu",
    help="Clips at a time; the rest accumulates  [default: --batch]",
    type=click.IntRange(min=1, max=2**12),
)
@click.option("--gamma", help="R1 weight per frame  [default: from resolution and batch]", type=click.FloatRange(min=0))
@click.option("--cond", help="Use the classes in dataset.json", cls=Switch)
@click.option("--mirror", help="Add mirrored videos", cls=Switch)
@click.option(
    "--aug",
    help="Augmentation: none, adaptive, or with fixed probability",
    type=click.Choice(AUGMENT_MODES),
    default="ada",
)
@click.option(
    "--augpipe",
    help="Transforms: blit, geom, color, filter, noise, cutout, or b, bg, bgc, ... bgcfnc",
    default="bgc",
    metavar="NAME",
)
@click.option(
    "--p",
    help="Probability for --aug=fixed, where --aug=ada begins  [default: 0.2; 0 for ada]",
    type=click.FloatRange(min=0, max=1),
)
@click.option(
    "--ada-kimg",
    help="Thousand clips in which --aug=ada may move p from 0 to 1  [default: 500; 100 with --resume]",
    type=click.FloatRange(min=1e-9, max=1e9),
)
@click.option("--target", help="Target of --aug=ada", type=click.FloatRange(min=0, max=1), default=0.6)
@click.option(
    "--resume",
    help="A run folder, or `latest` in --outdir: go on with that run exactly where it stopped, "
    "in its folder; --data says where its data moved to. A checkpoint or URL: start a new run from what "
    "fits of its networks (transfer learning; counters and optimizers start anew); sizes of networks follow "
    "it unless given. A StyleGAN2 image model starts a video model whose every frame is the image at first",
    type=PATH,
    metavar="DIR|latest|PKL",
)
@trust_option
@nan_option
@click.option("--freezed", help="Freeze that many first layers of D", type=click.IntRange(min=0), default=0)
@click.option("--num-frames", help="Frames a clip  [default: 3; 1 for stylegan2]", type=click.IntRange(min=1, max=1024))
@click.option(
    "--max-dist",
    help="Largest distance between the frames of a clip, below the length of the longest video",
    type=click.IntRange(min=1, max=2**31),
    default=32,
)
@click.option(
    "--motion-distance",
    help="Frames between motion anchors: 16 suits faces, 256 time-lapses  [default: the data's hint, or 16]",
    type=click.IntRange(min=1, max=2**31),
)
@click.option(
    "--min-period",
    help="Shortest period of motion in frames  [default: --motion-distance]",
    type=click.FloatRange(min=1, max=1024),
)
@click.option(
    "--cbase", help="Capacity  [default: 16384 below 512 px, else 32768]", type=click.IntRange(min=1, max=2**20)
)
@click.option("--cmax", help="Most feature maps a layer", type=click.IntRange(min=1, max=2**14), default=512)
@click.option("--map-depth", help="Layers of the mapping network", type=click.IntRange(min=1, max=64), default=2)
@click.option("--latent-dim", help="Size of z and w", type=click.IntRange(min=2, max=2**14), default=512)
@click.option(
    "--motion-z-dim", help="Size of motion noise and codes", type=click.IntRange(min=1, max=2**14), default=512
)
@click.option("--mbstd-group", help="Group size of minibatch std", type=click.IntRange(min=1, max=2**12), default=4)
@click.option("--glr", help="Learning rate of G  [default: 0.8 of D's]", type=click.FloatRange(min=0))
@click.option(
    "--dlr", help="Learning rate of D  [default: 0.0025 below 1024 px, else 0.002]", type=click.FloatRange(min=0)
)
@click.option(
    "--style-mixing", help="Share of clips with mixed styles", type=click.FloatRange(min=0, max=1), default=0.0
)
@click.option("--pl-weight", help="Path length regularisation", type=click.FloatRange(min=0), default=0.0)
@click.option(
    "--metrics",
    help="Metrics to measure at every snapshot, such as fvd2048_16f, see `stylegan-v metrics "
    "list`; with --host also the checkout's own, on single frames",
    metavar="NAME,...",
    type=NameList(),
    default="none",
)
@click.option("--desc", help="Text at the end of the run folder's name", metavar="TEXT")
@click.option(
    "--kimg", help="Length of training in thousand clips", default=8333.0, type=click.FloatRange(min=1e-9, max=1e9)
)
@click.option("--max-hours", help="Stop and save after this time", type=click.FloatRange(min=0, min_open=True))
@click.option(
    "--snap-state",
    help="Minutes between writes of training-state-latest.pt, from which --resume=DIR goes on",
    type=click.FloatRange(min=0),
    default=10.0,
)
@click.option("--tick", help="Thousand clips between lines of progress", default=4.0, type=click.FloatRange(min=1e-9))
@click.option("--snap", help="Ticks between snapshots; 0 for one at the end", type=click.IntRange(min=0), default=50)
@click.option("--seed", help="Random seed", type=click.IntRange(min=0, max=2**32 - 1), default=0)
@click.option("--fp32", help="No mixed precision, which CUDA has, and CPUs with AMX", cls=Switch)
@click.option(
    "--tf32",
    "--allow-tf32",
    "tf32",
    help="TF32 for what is computed in 32 bits, on GPUs that have it: faster, less exact",
    cls=Switch,
)
@click.option(
    "--compile",
    help="Run the networks through torch.compile where first derivatives do; the first step "
    "takes minutes. On CPUs slower than without",
    cls=Switch,
)
@click.option("--nobench", help="No cuDNN benchmarking", cls=Switch)
@click.option("--workers", help="Data loader processes", type=click.IntRange(min=0, max=256), default=3)
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@click.option(
    "--skip-bad", help="Train without videos that are damaged, too short or, with --cond, without a class", cls=Switch
)
@click.option(
    "--on-bad-frame",
    help="A frame that cannot be read in training: stop, or skip, which takes another clip "
    "and stops at the 101st frame",
    type=click.Choice(["stop", "skip"]),
    default="stop",
)
@click.option(
    "--nan-policy",
    help="A loss that becomes NaN: stop and keep the last good state, or ignore, which leaves out its gradients",
    type=click.Choice(["stop", "ignore"]),
    default="stop",
)
@click.option("-n", "--dry-run", help="Print the training options and stop", cls=Switch)
@click.pass_context
@report_user_errors
def train(ctx: click.Context, *, dry_run: bool, **given_values: object) -> None:
    """Train a video GAN on a data set of clips.

    Writes to a new folder in --outdir: log.txt, stats.jsonl, sample sheets (reals.png, fakes*.png,
    fakes*.mp4) and snapshots (network-snapshot-*.pkl), which gen_video.py turns into videos. Ctrl-C,
    SIGTERM, SIGHUP and SIGUSR1 finish the step at hand, save and stop with exit code 128 + the signal's number;
    --resume=DIR goes on from there as if nothing had been, bit for bit on a CPU. A second Ctrl-C stops at
    once, and what was saved before stays.
    """
    from stylegan_v_ext.distributed import launched_processes, relaunch
    from stylegan_v_ext.runs.continuation import run_to_go_on
    from stylegan_v_ext.runs.processes import joined

    values: dict[str, Any] = dict(given_values)
    given = {name for name in values if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    check_resume(values["resume"])
    if values["host"]:
        if values["resume"] == "latest":
            raise UserError("--resume=latest with --host: stock loops begin anew; give a snapshot to start from")
        _begin(values, given, dry_run=dry_run)
        return
    launched, gpus = launched_processes(), values["gpus"]
    if launched > 1 and "gpus" in given and gpus != launched:
        raise UserError(f"--gpus={gpus}: torchrun has started {launched} processes; leave --gpus out")
    if launched == 1 and gpus > 1 and not dry_run:
        check_gpus(gpus, values["device"])
        ctx.exit(relaunch(gpus, "stylegan_v_ext.cli.main", ["train", *own_arguments(ctx)]))
    with joined(str(device_to_use(values["device"]))) as (processes, device):
        values |= {"device": device, "gpus": max(launched, gpus)}
        run_dir = run_to_go_on(values["resume"], values["outdir"], processes)
        if run_dir is None:
            _begin(values, given, dry_run=dry_run, processes=processes)
        else:
            _go_on(run_dir, {name: values[name] for name in given}, device, dry_run=dry_run, processes=processes)


def _begin(values: dict[str, Any], given: set[str], *, dry_run: bool, processes: "Processes | None" = None) -> None:
    """Begin a new run."""
    from stylegan_v_ext.distributed import Processes
    from stylegan_v_ext.runs import describe, prepare, start
    from stylegan_v_ext.runs.launch import inside

    for name in ("cfg", "data"):
        if values[name] is None:
            raise click.UsageError(f"Missing option '--{name}'; or go on with a run by --resume=DIR")
    processes = processes or Processes()
    with inside(values["host"] or None) as host:
        options = TrainOptions(**{**values, "host": host})
        plan = prepare(options, given=given, trial=dry_run, processes=processes, progress=progress_bar)
        say(*describe(plan.config, plan.classes))
        say(*([f"Engine: the training loop of {host}", ""] if host else []))
        for note in plan.notes:
            say(note, "")
        if dry_run:
            print("Dry run; nothing was written.")
        else:
            start(plan.config, options.outdir, host=host, processes=processes)


def _go_on(run_dir: Path, changes: dict[str, Any], device: str, *, dry_run: bool, processes: "Processes") -> None:
    """Go on with a run."""
    from stylegan_v_ext.runs.continuation import check, reopen, train_on

    part = reopen(run_dir, changes, device=device, processes=processes)
    if dry_run:
        check(part)
    say(f"Run folder: {run_dir}", *part.notes)
    if dry_run:
        print("Dry run; nothing was written.")
    else:
        train_on(part, processes)


if __name__ == "__main__":
    train()
