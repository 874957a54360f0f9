"""`train.py` and `stylegan-v train`: parse, check the data, build the config, print it, launch."""

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from stylegan_v_ext.cli.training_data import check_data
from stylegan_v_ext.config import PRESETS, DataFacts, TrainOptions, build_config, from_stock, go_on, to_stock
from stylegan_v_ext.config.options import AUGMENT_MODES
from stylegan_v_ext.text import printable, say

_SMALL_MODEL = "--batch=8 --cbase=1024 --cmax=64 --latent-dim=64 --motion-z-dim=64"
_FREE_OPTIONS = {
    "resume", "outdir", "data", "device", "kimg", "max_hours", "snap_state", "tick", "snap", "workers", "nobench",
    "desc", "gpus", "batch_gpu", "on_bad_frame", "nan_policy", "metrics",
}  # fmt: skip
"""May change when a run goes on; all others decide on its numbers (and --batch-gpu on what is drawn). Data may move."""
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
def train(
    ctx: click.Context,
    data: str | None,
    host: str | None,
    skip_bad: bool,
    dry_run: bool,
    num_frames: int | None,
    trust_pickle: bool,
    allow_nan: bool,
    **kwargs: Any,
) -> None:
    """Train a video GAN on a data set of clips.

    Writes to a new folder in --outdir: log.txt, stats.jsonl, sample sheets (reals.png, fakes*.png,
    fakes*.mp4) and snapshots (network-snapshot-*.pkl), which gen_video.py turns into videos. Ctrl-C,
    SIGTERM, SIGHUP and SIGUSR1 finish the step at hand, save and stop with exit code 128 + the signal's number;
    --resume=DIR goes on from there as if nothing had been, bit for bit on a CPU. A second Ctrl-C stops at
    once, and what was saved before stays.
    """
    from stylegan_v_ext.distributed import Processes, join, launched_processes, relaunch

    given = {name for name in ctx.params if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    options = {**kwargs, "data": data, "num_frames": num_frames}
    reading = {"trust_pickle": trust_pickle, "allow_nan": allow_nan}
    check_resume(kwargs["resume"])
    if host:
        if kwargs["resume"] == "latest":
            raise UserError("--resume=latest with --host: stock loops begin anew; give a snapshot to start from")
        _begin(options, given, host, skip_bad, dry_run, reading, Processes())
        return
    launched = launched_processes()
    if launched > 1:
        if "gpus" in given and kwargs["gpus"] != launched:
            raise UserError(f"--gpus={kwargs['gpus']}: torchrun has started {launched} processes; leave --gpus out")
        options["gpus"] = launched
    elif kwargs["gpus"] > 1 and not dry_run:
        check_gpus(kwargs["gpus"], kwargs["device"])
        ctx.exit(relaunch(kwargs["gpus"], "stylegan_v_ext.cli.main", ["train", *own_arguments(ctx)]))
    processes, options["device"] = join(str(device_to_use(kwargs["device"])))
    with contextlib.ExitStack() as stack:
        if not processes.leads:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        # torchrun has started all processes again after one, or a machine, was lost; it counts on each machine.
        (restarted,) = processes.any([int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0])
        run_dir = processes.from_leader(lambda: _run_to_go_on(kwargs["resume"], kwargs["outdir"], restarted))
        if run_dir is not None:
            _go_on(
                run_dir,
                {name: options[name] for name in given if name in options},
                options["device"],
                dry_run,
                processes,
            )
        else:
            _begin(options, given, None, skip_bad, dry_run, reading, processes)
    processes.leave()


def _begin(
    o: dict[str, Any],
    given: set[str],
    host: str | None,
    skip_bad: bool,
    dry_run: bool,
    reading: dict[str, bool],
    processes: Any,
) -> None:
    """Begin a new run.

    Args:
        o: The options by name; the user gave those in `given`.
        reading: How to open --resume.
    """
    from stylegan_v_ext.engine.evaluation import check_run_metrics

    for name in ("cfg", "data"):
        if o[name] is None:
            raise click.UsageError(f"Missing option '--{name}'; or go on with a run by --resume=DIR")
    if host is not None:
        host = _enter_host(host, o["metrics"])
        o["device"] = _host_device(o["device"])
    else:
        processes.from_leader(lambda: check_run_metrics(o["metrics"], o["num_frames"]))
    source = None
    if o["resume"]:
        from stylegan_v_ext.checkpoints import load

        source = load(o["resume"], best=False, **reading)
        o["resume"] = str(source.path)

    with tempfile.TemporaryDirectory() as scratch:
        if o["data"] == "demo":
            o["data"] = processes.from_leader(lambda: demo_dataset(o["outdir"], scratch if dry_run else None))
        options = TrainOptions(**{name: value for name, value in o.items() if name != "host"})
        config, classes = _prepare(options, given, skip_bad, processes)
    if source is not None:
        if reading["trust_pickle"]:
            config.resume_trusted = True
        if reading["allow_nan"]:
            config.resume_allow_nan = True
        _fit_to_source(config, source, given)
    if host is not None:
        from stylegan_v_ext.host.train import check_options

        check_options(config)
        config.allow_bf16 = False  # its loop decides on precision
    if processes.count > 1:
        config.launch = _launch()
    say(*describe(config, classes).split("\n"))
    if host is not None:
        say(f"Engine: the training loop of {host}", "")
    if options.freezed and source is None:
        print(f"Note: --freezed={options.freezed} without --resume keeps those layers at random weights\n")
    if config.device == "cpu" and options.cbase is None:
        print(f"Note: this size is for GPUs; one that a CPU can train: {_SMALL_MODEL}\n")
    if dry_run:
        print("Dry run; nothing was written.")
        return
    _with_exit_code(processes, launch, config, options.outdir, host, processes)


def _run_to_go_on(resume: str | None, outdir: str, restarted: bool) -> Path | None:
    """The run folder that --resume names, or that a restart goes on with; `None` for a new run."""
    from stylegan_v_ext.engine.saved_state import latest_run, load_options

    if resume is None and restarted:
        # A run of another launch is none of theirs.
        run_dir = latest_run(Path(outdir))
        return run_dir if run_dir is not None and load_options(run_dir).launch == _launch() else None
    if resume == "latest":
        run_dir = latest_run(Path(outdir))
        if run_dir is None:
            raise UserError(f"--resume=latest: no run folder in {outdir} holds a state to go on from; check --outdir")
        return run_dir
    return Path(resume) if resume is not None and Path(resume).is_dir() else None


def _launch() -> str | None:
    """The name that torchrun gives to one launch of all processes, restarts included."""
    return os.environ.get("TORCHELASTIC_RUN_ID")


def _go_on(run_dir: Path, given: dict[str, Any], device: str, dry_run: bool, processes: Any) -> None:
    """Go on with a run.

    Args:
        given: Options of the command line; those that decide on numbers have to be as they were.
    """
    from stylegan_v_ext.data.remote import absolute
    from stylegan_v_ext.engine import load_options, load_state, resume
    from stylegan_v_ext.engine.evaluation import check_run_metrics
    from stylegan_v_ext.engine.going_on import check_going_on
    from stylegan_v_ext.networks import precision

    config = load_options(run_dir)
    given = {name: value for name, value in given.items() if name != "host"}
    config = go_on(config, {**given, "device": device, "gpus": processes.count}, run=run_dir)
    processes.from_leader(lambda: check_run_metrics(config.schedule.metrics, config.data.num_frames))
    data = None if given.get("data") in (None, "demo") else absolute(given["data"])
    if given.get("data") == "demo" and not Path(config.data.path).name.startswith("demo-sky-"):
        raise UserError(f"--data=demo: the run's data are {config.data.path}; leave --data out to go on")
    if dry_run:
        check_going_on(config, run_dir, load_state(run_dir), data)
    say(f"Run folder: {run_dir}")
    if device == "cpu" and config.machine.allow_bf16 and not precision.has_fast_bfloat16():
        print("Note: this CPU has no matrix units for bfloat16, which the run began with; it goes on in float32.")
    if dry_run:
        print("Dry run; nothing was written.")
        return
    _with_exit_code(processes, resume, config, run_dir, processes, data)


def _with_exit_code(processes: Any, run: Callable[..., Path], *arguments: Any) -> None:
    """Run a training; one that a signal ended exits with that signal's code, where it is the only process.

    To torchrun such a code would be a failure.
    """
    from stylegan_v_ext.interrupts import StoppedBySignal

    try:
        run(*arguments)
    except StoppedBySignal as stopped:
        if processes.count == 1:
            raise click.exceptions.Exit(stopped.exit_code) from None


def _enter_host(directory: str, metrics: list[str]) -> str:
    """Make a checkout's modules ours to call, and see that it knows the metrics; returns its path."""
    from stylegan_v_ext.host import enter
    from stylegan_v_ext.host.metrics import valid_metrics

    checkout = enter(directory)
    known = valid_metrics()
    unknown = next((name for name in metrics if name not in known), None)
    if unknown is not None:
        raise UserError(f"--metrics={unknown} is not one of {', '.join(known)}")
    return str(checkout.path)


def _host_device(wanted: str) -> str:
    """The device that a checkout computes on, which is not ours to choose. Raises `UserError` for another one."""
    from stylegan_v_ext.host.train import device_type

    if wanted not in ("auto", device_type()):
        raise UserError(
            f"--device={wanted} with --host: it computes on {device_type()} here; leave --device out, or choose GPUs "
            "with the environment variable CUDA_VISIBLE_DEVICES"
        )
    return device_type()


def make_config(options: TrainOptions, skip_bad: bool = False, processes: Any = None) -> Any:
    """Check the data set, in the leading process, and build the config of a run on it. Raises `ValueError`."""
    return _prepare(options, set(), skip_bad, processes)[0]


def _prepare(options: TrainOptions, given: set[str], skip_bad: bool, processes: Any) -> tuple[Any, str]:
    """Config of a run, and the classes of its videos in words.

    Args:
        given: Options that the user chose.
    """
    from stylegan_v_ext.classes import VIDEO_DATASET, construct
    from stylegan_v_ext.data.check import summary_of_classes
    from stylegan_v_ext.data.remote import absolute
    from stylegan_v_ext.networks import precision

    def check() -> list[str]:
        max_dist = options.max_dist if "max_dist" in given and options.clip_frames > 1 else None
        return check_data(options.data, options.clip_frames, options.cond, skip_bad, max_dist)

    exclude = check() if processes is None else processes.from_leader(check)
    path, frames = absolute(options.data), options.clip_frames
    kwargs = {"path": path, "use_labels": options.cond, "xflip": options.mirror, "num_frames": frames}
    kwargs |= {"class_name": VIDEO_DATASET, "max_dist": options.max_dist, "exclude": exclude}
    training_set = construct("data set", kwargs)
    facts = DataFacts(
        path=path,
        name=training_set.name,
        resolution=training_set.resolution,
        num_classes=training_set.num_classes,
        num_videos=len(training_set),
        motion_distance=training_set.motion_distance,
        exclude=tuple(exclude),
    )
    device = "cpu" if options.device == "auto" else options.device
    config = build_config(options, facts, device=device, fast_bfloat16=precision.has_fast_bfloat16())
    return _easy(to_stock(config)), summary_of_classes(training_set.class_sizes)


def _fit_to_source(config: Any, source: Any, given: set[str]) -> None:
    """Make the networks so that those of a checkpoint fit. Raises `ValueError` where they cannot."""
    from stylegan_v_ext.checkpoints.advice import why_no_start
    from stylegan_v_ext.config.follow import follow_source

    generator = source.network(source.generator_key)
    reason = why_no_start(source.path, generator)
    if reason:
        raise UserError(reason)
    discriminator, _ = source.discriminator()
    followed = follow_source(from_stock(config), generator.kwargs, discriminator and discriminator.kwargs, given)
    config.update(_easy(to_stock(followed)))


def demo_dataset(outdir: str, scratch: str | None = None, resolution: int = 64) -> str:
    """Path of the built-in data set inside `outdir`, made if it is not there; in `scratch` a small one."""
    from stylegan_v_ext.data.synthetic import write_demo_dataset

    path = Path(scratch or outdir) / f"demo-sky-{resolution}.zip"
    if not path.exists():
        num_videos = 1 if scratch else 96
        with progress_bar(num_videos, f"Making {path}") as bar:
            write_demo_dataset(str(path), resolution, num_videos, progress=lambda done: bar.update(1))
    return str(path)


def describe(config: Any, classes: str = "") -> str:
    """The config as JSON and as a few lines for people.

    Args:
        classes: The classes in words; "" shows their number.
    """
    data, frames = config.training_set_kwargs, config.training_set_kwargs["num_frames"]
    rows = {
        "Data set": printable(data["path"]),
        "Videos": config.num_videos,
        "Resolution": data["resolution"],
        "Classes": classes or data["num_classes"],
        "Frames a clip": frames,
        "Batch (clips)": config.batch_size,
        "Duration": f"{config.total_kimg:g} kimg (thousand clips)",
        "Precision": _precision(config),
        "R1 gamma a frame": f"{config.loss_kwargs.r1_gamma * frames:g}",
        "Augmentation": _augmentation(config),
    }
    lines = [f"{name + ':':20s}{value}" for name, value in rows.items()]
    shown = {name: value for name, value in config.items() if name != "options"}
    return "\n".join(["Training options:", json.dumps(shown, indent=2), "", *lines, ""])


def _precision(config: Any) -> str:
    if config.allow_bf16:
        return "bfloat16 and float32"
    return "float16 and float32" if config.G_kwargs.num_fp16_res else "float32"


def _augmentation(config: Any) -> str:
    if not config.get("augment_kwargs"):
        return "none"
    return f"adaptive, target {config.ada_target}" if config.ada_target is not None else f"p = {config.augment_p}"


def launch(config: Any, outdir: str, host: str | None = None, processes: Any = None) -> Path:
    """Train in a new run folder, with the built-in engine or a checkout's; returns the last snapshot's path."""
    from stylegan_v_ext.distributed import Processes

    processes = processes or Processes()
    run_dir = processes.from_leader(lambda: make_run_dir(outdir, config.run_desc))
    say(f"Run folder: {run_dir}")
    try:
        if host is not None:
            from stylegan_v_ext.host.train import train as train_in_host

            return train_in_host(config, run_dir, host)
        from stylegan_v_ext.engine import train as run_training

        return run_training(from_stock(config), run_dir, processes)
    finally:
        with contextlib.suppress(OSError):
            run_dir.rmdir()  # where nothing came of it


def _easy(value: Any) -> Any:
    import dnnlib

    if isinstance(value, dict):
        return dnnlib.EasyDict({key: _easy(entry) for key, entry in value.items()})
    return [_easy(entry) for entry in value] if isinstance(value, list) else value


def make_run_dir(outdir: str, desc: str) -> Path:
    """A new folder `{outdir}/{number}-{desc}` with the first number after those that are there.

    Several runs that begin at the same moment get a number each.
    """
    from stylegan_v_ext.files import locked

    Path(outdir).mkdir(parents=True, exist_ok=True)
    with locked(outdir):
        numbers = [
            int(match[0]) for path in Path(outdir).iterdir() if (match := re.match(r"[0-9]{1,9}(?=-)", path.name))
        ]
        path = Path(outdir) / f"{max(numbers, default=-1) + 1:05d}-{desc}"
        path.mkdir()
    return path
