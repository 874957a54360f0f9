"""From options to a run that can begin: checks the data, and decides on everything that options leave open."""

import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, replace

from stylegan_v_ext.checkpoints import Checkpoint, load
from stylegan_v_ext.checkpoints.advice import why_no_start
from stylegan_v_ext.config import DataFacts, RunConfig, TrainOptions, build_config
from stylegan_v_ext.config.follow import follow_source
from stylegan_v_ext.data.check import summary_of_classes
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.remote import absolute
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.engine.evaluation import check_run_metrics
from stylegan_v_ext.listener import SILENT, Listener
from stylegan_v_ext.networks import precision
from stylegan_v_ext.runs.data_check import check_data
from stylegan_v_ext.runs.demo_data import demo_data

_SMALL_MODEL = "--batch=8 --cbase=1024 --cmax=64 --latent-dim=64 --motion-z-dim=64"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that can begin.

    Attributes:
        config: The run.
        classes: The classes of its videos in words; "" without classes.
        notes: Sentences that the user should read before the run begins.
    """

    config: RunConfig
    classes: str = ""
    notes: tuple[str, ...] = ()


def prepare(
    options: TrainOptions,
    *,
    given: Collection[str] | None = None,
    trial: bool = False,
    processes: Processes = ALONE,
    listener: Listener = SILENT,
) -> Plan:
    """Check the options and the data of a new run, and decide on what the options leave open.

    A run in a host (`options.host`) needs the host entered already.

    Args:
        options: What the user asks for.
        given: Names of the options that the user chose, which stay as they are if the run starts from other networks;
            None takes the options that differ from their defaults.
        trial: Whether nothing is to be written: the built-in data are made small, in a temporary folder.
        processes: All processes of the run; the leading process checks the data for all.
        listener: Hears how the data are made and checked.

    Returns:
        The plan.

    Raises:
        ValueError: If the run cannot begin; the message names value, bound and remedy.
    """
    given = options.chosen() if given is None else given
    _check_metrics(options, processes)
    device = _device(options)
    source = _source(options)
    if source is not None:
        options = replace(options, resume=str(source.path))
    with tempfile.TemporaryDirectory() as scratch:
        if options.data == "demo":
            size = {"num_videos": 1} if trial else {}
            folder = scratch if trial else options.outdir
            options = replace(options, data=processes.from_leader(lambda: demo_data(folder, listener=listener, **size)))
        exclude = processes.from_leader(lambda: _check_data(options, given, listener))
        facts, classes = _facts(options, exclude)
    config = build_config(options, facts, device=device, fast_bfloat16=precision.has_fast_bfloat16())
    if source is not None:
        config = _fit_to_source(config, source, given)
    if options.host is not None:
        config = _fit_to_host(config)
    if processes.count > 1:
        config = replace(config, launch=launch_name())
    return Plan(config=config, classes=classes, notes=tuple(_notes(options, config, starts_anew=source is None)))


def launch_name() -> str | None:
    """Return the name that torchrun gives to one launch of all processes, restarts included; None without torchrun."""
    return os.environ.get("TORCHELASTIC_RUN_ID")


def _check_metrics(options: TrainOptions, processes: Processes) -> None:
    """Raise `ValueError` for metrics that are unknown or do not fit the model."""
    if options.host is None:
        processes.from_leader(lambda: check_run_metrics(options.metrics, options.clip_frames))
        return
    from stylegan_v_ext.host.metrics import valid_metrics

    known = valid_metrics()
    unknown = next((name for name in options.metrics if name not in known), None)
    if unknown is not None:
        raise ValueError(f"--metrics={unknown} is not one of {', '.join(known)}")


def _device(options: TrainOptions) -> str:
    """Return the device to compute on. Raise `ValueError` for a device that is not there, or not the host's."""
    if options.host is None:
        return str(pick_device(options.device))
    from stylegan_v_ext.host.train import device_type

    if options.device not in ("auto", device_type()):
        raise ValueError(
            f"--device={options.device} with --host: it computes on {device_type()} here; leave --device out, or "
            "choose GPUs with the environment variable CUDA_VISIBLE_DEVICES"
        )
    return device_type()


def _source(options: TrainOptions) -> Checkpoint | None:
    """Open the checkpoint that the run starts from, if there is one."""
    if not options.resume:
        return None
    return load(options.resume, trust_pickle=options.trust_pickle, best=False, allow_nan=options.allow_nan)


def _check_data(options: TrainOptions, given: Collection[str], listener: Listener) -> list[str]:
    """Check the data; return the folders of videos to leave out."""
    asked = "max_dist" in given and options.clip_frames > 1
    return check_data(
        options.data,
        options.clip_frames,
        use_labels=options.cond,
        skip_bad=options.skip_bad,
        max_dist=options.max_dist if asked else None,
        listener=listener,
    )


def _facts(options: TrainOptions, exclude: list[str]) -> tuple[DataFacts, str]:
    """Open the data; return what a run has to know about them, and their classes in words."""
    path = absolute(options.data)
    dataset = SparseVideoDataset(
        path,
        use_labels=options.cond,
        xflip=options.mirror,
        num_frames=options.clip_frames,
        max_dist=options.max_dist,
        exclude=exclude,
    )
    facts = DataFacts(
        path=path,
        name=dataset.name,
        resolution=dataset.resolution,
        num_classes=dataset.num_classes,
        num_videos=len(dataset),
        motion_distance=dataset.motion_distance,
        exclude=tuple(exclude),
    )
    return facts, summary_of_classes(dataset.class_sizes)


def _fit_to_source(config: RunConfig, source: Checkpoint, given: Collection[str]) -> RunConfig:
    """Make the networks so that those of a checkpoint fit. Raise `ValueError` if they cannot."""
    generator = source.network(source.generator_key)
    reason = why_no_start(source.path, generator)
    if reason:
        raise ValueError(reason)
    discriminator, _ = source.discriminator()
    arguments = None if discriminator is None else discriminator.kwargs
    return follow_source(config, generator.kwargs, arguments, given)


def _fit_to_host(config: RunConfig) -> RunConfig:
    """Return the run as a host trains it. Raise `ValueError` if the host cannot."""
    from stylegan_v_ext.host.train import check_options

    check_options(config)
    return replace(config, machine=replace(config.machine, allow_bf16=False))  # its loop decides on precision


def _notes(options: TrainOptions, config: RunConfig, *, starts_anew: bool) -> list[str]:
    notes = []
    if options.freezed and starts_anew:
        notes.append(f"Note: --freezed={options.freezed} without --resume keeps those layers at random weights")
    if config.machine.device == "cpu" and options.cbase is None:
        notes.append(f"Note: this size is for GPUs; one that a CPU can train: {_SMALL_MODEL}")
    return notes
