"""`stylegan-v metrics`: how far generated videos are from real ones."""

import contextlib
import inspect
import os
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.classes import VIDEO_DATASET
from stylegan_v_ext.cli.common import (
    FOLDER,
    PATH,
    NameList,
    OutputFile,
    UserError,
    check_gpus,
    device_to_use,
    files_to_replace,
    own_arguments,
    progress_bar,
    report_user_errors,
    say_written,
)
from stylegan_v_ext.cli.entry import Group
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.text import say

_SIDES = ("_std", "_real", "_fake", "_real_std", "_fake_std")  # shown beside the figure that they belong to
_SETTINGS = {"show_default": True, "max_content_width": 110}
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


@click.group(cls=Group, invoke_without_command=True, epilog=_EPILOG, context_settings=_SETTINGS)
@click.option(
    "--network",
    help="Checkpoint of a video or image model of this project, or a run folder",
    type=PATH,
    metavar="PKL|DIR",
)
@click.option(
    "--real",
    help="Data set, or folder or .zip of video files, to compare with in place of a network's",
    type=PATH,
    metavar="PATH",
)
@click.option(
    "--fake",
    help="Data set, or folder or .zip of video files, to compare in place of a network",
    type=PATH,
    metavar="PATH",
)
@click.option(
    "--metrics",
    "--metric",
    "names",
    help="What to measure, see `stylegan-v metrics list`; the numbers in the names may be others",
    metavar="NAME,...",
    type=NameList(),
    default="fvd2048_16f",
)
@click.option(
    "--data", help="Data set to compare a network with  [default: the one it was trained on]", type=PATH, metavar="PATH"
)
@click.option(
    "--mirror",
    help="Count mirror images of the real videos as well  [default: as in training]",
    cls=Switch,
    default=None,
)
@click.option(
    "--repeat",
    help="Measure that many times with other clips of both sides; mean and standard deviation",
    type=click.IntRange(min=1),
    default=1,
)
@click.option(
    "--detectors",
    help="Folder with the networks that metrics look through  [env: STYLEGAN_V_DETECTORS]",
    type=PATH,
    metavar="DIR",
)
@click.option(
    "--detector", help="TorchScript file to look through in place of the usual network", type=PATH, metavar="FILE"
)
@click.option(
    "--outdir",
    help="Where metric-NAME.jsonl is added to  [default: beside the network; of --fake nowhere]",
    type=FOLDER,
    metavar="DIR",
)
@click.option(
    "--resolution",
    help="Side of frames from video files where neither side has one by itself",
    type=click.IntRange(min=8),
    default=256,
)
@click.option("--cache", help="Keep statistics of real videos for the next time", cls=Switch, default=True)
@click.option(
    "--host",
    help="stylegan3 or stylegan2-ada-pytorch checkout whose metrics to use  [env: STYLEGAN_HOST]",
    type=PATH,
    metavar="DIR",
    envvar="STYLEGAN_HOST",
)
@click.option(
    "--gpus", help="Processes to share the work; torchrun brings its own", type=click.IntRange(min=1), default=1
)
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@nan_option
@click.pass_context
@report_user_errors
def metrics(ctx: click.Context, names: list[str], detectors: str | None, gpus: int, **kwargs: Any) -> None:
    """Measure a generator against a data set, or videos against videos.

    Results are printed as a table and added, with a protocol that says exactly what was measured, to
    metric-NAME.jsonl beside the snapshot. The same command gives the same figures.
    """
    if ctx.invoked_subcommand is not None:
        return
    from stylegan_v_ext.distributed import join, launched_processes, relaunch
    from stylegan_v_ext.metrics.detectors import ENVIRONMENT

    request = Request(names=names, **kwargs)
    request.check()
    if detectors is not None:
        if not Path(detectors).is_dir():
            raise UserError(f"--detectors={detectors} is no folder; see `stylegan-v metrics detectors`")
        os.environ[ENVIRONMENT] = os.path.abspath(detectors)
    if gpus > 1 and launched_processes() == 1:
        check_gpus(gpus, request.device)
        ctx.exit(relaunch(gpus, "stylegan_v_ext.cli.main", ["metrics", *own_arguments(ctx)]))
    processes, request.device = join(str(device_to_use(request.device)))
    with contextlib.ExitStack() as stack:
        if not processes.leads:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        _measure_all(request, processes)
    processes.leave()


@dataclass
class Request:
    """What the command line asks for."""

    names: list[str]
    network: str | None
    real: str | None
    fake: str | None
    data: str | None
    mirror: bool | None
    repeat: int
    detector: str | None
    outdir: str | None
    resolution: int
    cache: bool
    host: str | None
    device: str
    trust_pickle: bool
    allow_nan: bool

    def check(self) -> None:
        """Raise a one-line error where options do not go together."""
        if (self.network is None) == (self.fake is None):
            raise click.UsageError("give --network=PKL, or --fake=PATH with --real=PATH")
        if self.fake is not None and self.data is not None:
            raise click.UsageError("--data belongs to --network; name what to compare with by --real")
        if self.network is not None and self.real is not None:
            raise click.UsageError("--real belongs to --fake; name a network's data set by --data")
        if not self.names:
            raise UserError("--metrics names none; fvd2048_16f is one")
        for option in ("real", "fake", "data", "detector"):
            path = getattr(self, option)
            if path is not None and not _exists(path):
                from stylegan_v_ext.data.opening import nearest

                raise UserError(f"--{option}={path}: no such file or folder{nearest(Path(path))}")
        if self.host and self.network is not None and (self.repeat > 1 or self.detector is not None):
            raise click.UsageError("--repeat and --detector are for our own metrics; leave them or --host out")
        self.host = self.host if self.network is not None and self.host else None
        if self.outdir is not None:
            try:
                os.makedirs(self.outdir, exist_ok=True)
            except OSError as error:
                raise UserError(f"--outdir={self.outdir}: {error.strerror}; name another folder") from None


def _exists(path: str) -> bool:
    """Whether a data set or file that the user names is there; an address is asked later."""
    from stylegan_v_ext.data.recorded import is_here
    from stylegan_v_ext.data.remote import is_remote

    return is_remote(path) or is_here(path)


def _measure_all(request: Request, processes: Any) -> None:
    import torch

    from stylegan_v_ext.metrics.evaluate import append_result, result_line

    device = torch.device(request.device)
    subject = _Subject(request, device, processes)
    folder = Path(request.outdir) if request.outdir else subject.folder
    for number, (name, run) in enumerate(subject.runs()):
        started = time.time()
        with progress_bar(1, name) as bar:
            result = run(_progress_of(bar))
        line = result_line(name, result, time.time() - started, subject.snapshot)
        if not processes.leads:
            continue
        if number == 0 and request.network is not None and request.data is None:
            path = subject.dataset_kwargs["path"]
            say(f"Data set: {path}, which {subject.snapshot} names; --data=PATH names another")
        _print_result(name, result, time.time() - started)
        if folder is not None:
            try:
                append_result(folder, name, line)
            except OSError as error:
                say(f"Not kept in {folder}: {error.strerror}; name another --outdir", err=True)


def _progress_of(bar: Any) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        bar.length = total
        bar.update(done - bar.pos)

    return progress


class _Subject:
    """What is measured: a network, or videos; and against what."""

    def __init__(self, request: Request, device: Any, processes: Any) -> None:
        self.request, self.device, self.processes = request, device, processes
        self.folder: Path | None = None
        self.snapshot: str | None = None
        if request.host is not None:
            from stylegan_v_ext.host import enter

            enter(request.host)
        self.known = self._known_metrics()
        if request.network is not None:
            self._open_network(request.network)
        else:
            self._open_videos()

    def _known_metrics(self) -> dict[str, Any]:
        """Metrics by the names that the user gave. Raises `UserError` for a name that is none, or lacks its data."""
        from stylegan_v_ext.metrics.catalogue import STANDARD, parse_metric

        request = self.request
        if request.host is not None:
            from stylegan_v_ext.host.metrics import valid_metrics

            valid = valid_metrics()
            for name in request.names:
                if name not in valid:
                    raise UserError(f"--metrics={name} is not one of {', '.join(valid)}")
            return dict.fromkeys(request.names)
        known = {}
        for name in request.names:
            metric = parse_metric(name)
            if metric is None:
                raise UserError(
                    f"--metrics={name} is not one of {', '.join(STANDARD)}, nor one of them with other numbers; "
                    "--host=DIR adds those of a stylegan3 or stylegan2-ada-pytorch checkout"
                )
            if metric.family.needs_real and request.fake is not None and request.real is None:
                raise UserError(f"--metrics={name} compares with real videos; name them with --real")
            known[metric.name] = metric
        if request.mirror and not any(metric.family.needs_real for metric in known.values()):
            raise UserError(f"--mirror=1: {', '.join(known)} looks at no real videos; leave --mirror out")
        return known

    def _open_network(self, network: str) -> None:
        from stylegan_v_ext.checkpoints import load
        from stylegan_v_ext.checkpoints.advice import why_no_metrics
        from stylegan_v_ext.metrics.catalogue import check_metrics

        checkpoint = load(network, self.request.trust_pickle, allow_nan=self.request.allow_nan)
        reason = why_no_metrics(checkpoint.path, checkpoint.network(checkpoint.generator_key))
        if reason:
            raise UserError(reason)
        generator = checkpoint.build_generator()
        self.dataset_kwargs = _dataset_kwargs(checkpoint, generator, self.request.data, self.request.mirror)
        check_metrics(self.known, generator.num_frames)
        self.generator = generator.eval().requires_grad_(False).to(self.device)
        self.folder, self.snapshot = checkpoint.path.parent, checkpoint.path.name

    def _open_videos(self) -> None:
        from stylegan_v_ext.metrics.sources import VideoFiles, open_sources

        request = self.request
        assert request.fake is not None
        paths = [path for path in (request.real, request.fake) if path is not None]
        mirrors = [bool(request.mirror) and path is request.real for path in paths]
        sources = open_sources(paths, request.resolution, mirrors)
        self.fake, self.real = sources[-1], sources[0] if request.real is not None else None
        if len({source.resolution for source in sources}) > 1:
            raise UserError(
                f"{paths[0]} has {sources[0].resolution} px, {paths[1]} {sources[1].resolution}; convert one of them, "
                "figures of different sizes do not compare"
            )
        if any(isinstance(source, VideoFiles) for source in sources):
            say(
                f"Frames of video files are cut to the middle square and scaled to {self.fake.resolution} px.", err=True
            )

    def runs(self) -> Any:
        """(name, function of progress that measures) of every metric."""
        from stylegan_v_ext.metrics.evaluate import measure_generator
        from stylegan_v_ext.metrics.measure import measure

        own = Path(self.request.detector) if self.request.detector else None
        rest = (self.request.repeat, own, self.request.cache, self.processes)
        for name, metric in self.known.items():
            if metric is None:
                yield name, lambda progress, name=name: self._measure_in_host(name)
            elif self.request.network is not None:
                yield (
                    name,
                    lambda progress, metric=metric: measure_generator(
                        metric, self.generator, self.dataset_kwargs, self.device, *rest, progress
                    ),
                )
            else:
                yield (
                    name,
                    lambda progress, metric=metric: measure(metric, self.real, self.fake, self.device, *rest, progress),
                )

    def _measure_in_host(self, name: str) -> Any:
        from stylegan_v_ext.host import import_module
        from stylegan_v_ext.metrics.measure import Result

        metric_utils = import_module("metrics.metric_utils")
        result = import_module("metrics.metric_main").calc_metric(
            metric=name,
            G=self.generator,
            dataset_kwargs=self.dataset_kwargs,
            num_gpus=self.processes.count,
            rank=self.processes.rank,
            device=self.device,
            progress=metric_utils.ProgressMonitor(verbose=self.processes.leads),
        )
        return Result(dict(result["results"]), {"metric": name, "host": self.request.host, "num_processes": 1})


def _dataset_kwargs(checkpoint: Any, generator: Any, data: str | None, mirror: bool | None) -> dict[str, Any]:
    """Arguments of the data set to compare with. Raises `UserError` where it is unknown, gone or does not fit."""
    from stylegan_v_ext.classes import check
    from stylegan_v_ext.data.dataset import SparseVideoDataset
    from stylegan_v_ext.data.remote import absolute

    recorded = dict(checkpoint.training_set_kwargs)
    if data is not None:
        recorded = {"path": absolute(data), "xflip": recorded.get("xflip", False)}
    else:
        _check_recorded(checkpoint.path, recorded)
    known = inspect.signature(SparseVideoDataset).parameters
    kwargs = {key: value for key, value in recorded.items() if key in known}
    kwargs |= {"num_frames": generator.num_frames, "num_classes": generator.num_classes}
    kwargs |= {"class_name": VIDEO_DATASET, "resolution": generator.img_resolution}
    if mirror is not None:
        kwargs["xflip"] = mirror
    try:
        check("data set", kwargs)
    except ValueError as error:
        raise UserError(f"{checkpoint.path}: {error}; name its data set with --data") from None
    return kwargs


def _check_recorded(checkpoint: Path, recorded: dict[str, Any]) -> None:
    """Raise `UserError` unless a checkpoint names a video data set on this machine."""
    from stylegan_v_ext.data.recorded import is_here, recorded_path

    path = recorded_path(checkpoint, recorded.get("path"))
    if recorded.get("class_name") != VIDEO_DATASET or not is_here(path):
        raise UserError(f"{checkpoint} names no data set that is here; name one with --data")


def _print_result(name: str, result: Any, seconds: float) -> None:
    import dnnlib

    used = [
        f"{about.get('clips', about.get('frames'))} {'clips' if 'clips' in about else 'frames'} of {side}"
        for side in ("real", "fake")
        if isinstance(about := result.protocol.get(side), dict)
    ]
    say(", ".join([name, *used, dnnlib.util.format_time(seconds)]))
    values = result.values
    shown = [key for key in values if not any(key.endswith(end) and key[: -len(end)] in values for end in _SIDES)]
    width = max(map(len, shown)) + 2
    for key in shown:
        sides = [f"{end[1:]} {_figure(values, key + end)}" for end in ("_real", "_fake") if key + end in values]
        means = f"  (mean: {', '.join(sides)})" if sides else ""
        say(f"  {key:{width}s}{_figure(values, key)}{means}")
    for note in result.notes:
        say(f"  Note: {note}")


def _figure(values: dict[str, float], key: str) -> str:
    spread = values.get(f"{key}_std")
    return f"{values[key]:.6g}" + (f" ± {spread:.2g}" if spread is not None else "")


@metrics.command("list", context_settings=_SETTINGS)
@report_user_errors
def list_metrics() -> None:
    """Say what each metric is: detector, frames, which clips of which side, how they are compared."""
    from stylegan_v_ext.metrics.catalogue import ALIASES, STANDARD, parse_metric

    for name in STANDARD:
        metric = parse_metric(name)
        assert metric is not None
        short = next((alias for alias, full in ALIASES.items() if full == name), None)
        say(name + (f" (or {short})" if short else ""))
        detector = f" Detector: {metric.family.detector}." if metric.family.detector else ""
        say(*textwrap.wrap(metric.definition + detector, 100, initial_indent="    ", subsequent_indent="    "))
    say("", "The numbers may be others: fvd256_16f compares 256 clips, motion2048_64f clips of 64 frames.")


@metrics.command("detectors", context_settings=_SETTINGS)
@click.option("--detectors", help="Folder to look into  [env: STYLEGAN_V_DETECTORS]", type=PATH, metavar="DIR")
@report_user_errors
def show_detectors(detectors: str | None) -> None:
    """Show which detectors are present, their checksums, and where to put those that are missing."""
    from stylegan_v_ext.metrics import detectors as known

    if detectors is not None:
        os.environ[known.ENVIRONMENT] = os.path.abspath(detectors)
    recorded = known.recorded_sha256()
    for detector in known.DETECTORS.values():
        path = known.local_detector(detector.file) or known.downloaded_detector(detector.file)
        say(f"{detector.file}: {detector.about}")
        if path is None:
            say("    missing; downloaded at first use, from the first of these that answers:")
            for url in detector.urls:
                say(f"      {url}")
            continue
        found = known.sha256_of(path)
        before = recorded.get(detector.file)
        state = (
            "not used yet" if before is None else "as at first use" if before == found else "NOT the one of first use"
        )
        say(f"    {path}", f"    SHA-256 {found}, {state}")
    folder = known.detectors_folder()
    say(
        f"Files in {folder} are taken before any download."
        if folder
        else f"Put files under these names into a folder and name it by --detectors or {known.ENVIRONMENT}."
    )


@metrics.command("plot", context_settings=_SETTINGS)
@click.argument("run_dir")
@click.option("--output", help="PNG to write  [default: RUN_DIR/metrics.png]", type=OutputFile("png"), metavar="PNG")
@report_user_errors
def plot(run_dir: str, output: str | None) -> None:
    """Draw the figures of a run over its snapshots."""
    from stylegan_v_ext.data.check import count
    from stylegan_v_ext.metrics.plot import plot_run

    target = Path(output) if output else Path(run_dir) / "metrics.png"
    replaced = files_to_replace([target], ask=False)
    for name, num_snapshots, best, kimg in plot_run(Path(run_dir), target):
        say(f"{name}: {count(num_snapshots, 'snapshot')}, best {best:.6g} at kimg {kimg:g}")
    say_written(target, replaced)
