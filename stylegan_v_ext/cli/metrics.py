"""`stylegan-v metrics`: distances between a generator and a data set."""

import inspect
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.checkpoint import trust_option
from stylegan_v_ext.cli.common import NameList, UserError, progress_bar, report_user_errors

_DATASET = "stylegan_v_ext.data.dataset.SparseVideoDataset"
_EPILOG = """
\b
Examples:
  stylegan-v metrics --network=runs/00000-stylegan-v-sky --metrics=fvd2048_16f
  stylegan-v metrics --network=snapshot.pkl --data=sky.zip --host=~/stylegan3 --metrics=fvd2048_128f,fid50k_full
\b
Detectors are looked for in the folder that STYLEGAN_V_DETECTORS names, by their usual file names
(i3d_torchscript.pt; inception-v3-2015-12-05.pkl, vgg16.pkl for stylegan3), then downloaded.
"""


@click.command(epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option("--network", help="Checkpoint of a video or image model of this project, or a run folder",
              metavar="PKL|DIR", required=True)  # fmt: skip
@click.option("--metrics", "names", help="fvd2048_16f, fvd2048_128f, fvd2048_128f_subsample8f; with --host also the "
              "checkout's own, on single frames", metavar="NAME,...", type=NameList(),
              default="fvd2048_16f")  # fmt: skip
@click.option("--data", help="Data set  [default: the one it was trained on]", metavar="PATH")
@click.option("--mirror", help="Count mirrored videos as well  [default: as in training]", type=bool, metavar="BOOL")
@click.option("--host", help="stylegan3 or stylegan2-ada-pytorch checkout whose metrics to use  [env: STYLEGAN_HOST]",
              metavar="DIR", envvar="STYLEGAN_HOST")  # fmt: skip
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@report_user_errors
def metrics(
    network: str, names: list[str], data: str | None, mirror: bool | None, host: str | None, device: str,
    trust_pickle: bool,
) -> None:  # fmt: skip
    """Measure a generator against a data set.

    FVD takes one clip of each real video and 2048 generated ones. Results are printed, one line of JSON a
    metric, and kept beside the snapshot in metric-NAME.jsonl.
    """
    from stylegan_v_ext.checkpoints import load
    from stylegan_v_ext.device import pick_device
    from stylegan_v_ext.metrics.fvd import PROTOCOLS, check_metrics

    host = host or None
    if not names:
        raise UserError("--metrics names none; fvd2048_16f is one")
    if host is not None:
        from stylegan_v_ext.host import enter
        from stylegan_v_ext.host.metrics import valid_metrics

        enter(host)
    known = list(PROTOCOLS) if host is None else valid_metrics()
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        more = "" if host else "; --host=DIR adds those of a stylegan3 or stylegan2-ada-pytorch checkout"
        raise UserError(f"--metrics={unknown} is not one of {', '.join(known)}{more}")
    target = pick_device(device)
    checkpoint = load(network, trust_pickle)
    generator = checkpoint.build_generator()
    dataset_kwargs = _dataset_kwargs(checkpoint, generator, data, mirror)
    check_metrics(names, generator.num_frames)
    generator = generator.eval().requires_grad_(False).to(target)
    for name in names:
        started = time.time()
        measure = _measure if host is None else _measure_in_host
        results = measure(name, generator, dataset_kwargs, target)
        _report(name, results, time.time() - started, checkpoint.path)


def _dataset_kwargs(checkpoint: Any, generator: Any, data: str | None, mirror: bool | None) -> dict[str, Any]:
    """Arguments of the data set to compare with. Raises `UserError` where it is unknown, gone or does not fit."""
    from stylegan_v_ext.data.dataset import SparseVideoDataset

    recorded = dict(checkpoint.training_set_kwargs)
    if data is not None:
        if not Path(data).exists():
            raise UserError(f"--data={data}: no such file or folder")
        recorded = {"path": os.path.abspath(data), "xflip": recorded.get("xflip", False)}
    elif recorded.get("class_name") != _DATASET or not Path(str(recorded.get("path"))).exists():
        raise UserError(f"{checkpoint.path} names no data set that is here; name one with --data")
    known = inspect.signature(SparseVideoDataset).parameters
    kwargs = {key: value for key, value in recorded.items() if key in known}
    kwargs |= {"num_frames": generator.num_frames, "num_classes": generator.num_classes}
    kwargs |= {"class_name": _DATASET, "resolution": generator.img_resolution}
    if mirror is not None:
        kwargs["xflip"] = mirror
    return kwargs


def _measure(name: str, generator: Any, dataset_kwargs: dict[str, Any], device: Any) -> dict[str, float]:
    from stylegan_v_ext.metrics import detectors
    from stylegan_v_ext.metrics.fvd import PROTOCOLS, compute_fvd

    detector = detectors.load_detector(detectors.I3D, device)
    with progress_bar(1, name) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        return {name: compute_fvd(PROTOCOLS[name], generator, dataset_kwargs, detector, device, progress=progress)}


def _measure_in_host(name: str, generator: Any, dataset_kwargs: dict[str, Any], device: Any) -> dict[str, float]:
    from stylegan_v_ext.host import import_module

    metric_utils = import_module("metrics.metric_utils")
    result = import_module("metrics.metric_main").calc_metric(
        metric=name, G=generator, dataset_kwargs=dataset_kwargs, num_gpus=1, rank=0, device=device,
        progress=metric_utils.ProgressMonitor(verbose=True),
    )  # fmt: skip
    return dict(result["results"])


def _report(name: str, results: dict[str, float], seconds: float, snapshot: Path) -> None:
    import dnnlib

    line = json.dumps({
        "results": {key: value if math.isfinite(value) else None for key, value in results.items()}, "metric": name,
        "total_time": seconds, "total_time_str": dnnlib.util.format_time(seconds), "num_gpus": 1,
        "snapshot_pkl": snapshot.name, "timestamp": time.time(),
    })  # fmt: skip
    click.echo(line)
    try:
        with open(snapshot.parent / f"metric-{name}.jsonl", "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        click.echo(f"Not kept beside the snapshot: {error.strerror}", err=True)
