"""`stylegan-v doctor`: what works on this machine, what does not, and what to do about it."""

import importlib.util
import os
import platform
from collections.abc import Iterator

import click

from stylegan_v_ext import __version__
from stylegan_v_ext.cli.common import report_user_errors
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.text import say

Row = tuple[bool, str, str]  # in order, what, its state with the remedy where it is not


@click.command(cls=Command)
@report_user_errors
def doctor() -> None:
    """Show the state of PyTorch, GPUs, CUDA kernels, ffmpeg, PyAV, host and detectors, and how to mend the rest.

    On a machine with a GPU this compiles the kernels (seconds, then cached) and compares their results with
    the references. Exit code 1 where something that is needed does not work.
    """
    fine = True
    for found in (_packages, _kernels, _ffmpeg, _decoder, _host, _detectors):
        for ok, name, state in found():
            fine &= ok
            say(f"{'ok  ' if ok else 'FIX '} {name:22s}{state}")
    if not fine:
        raise SystemExit(1)


def _packages() -> Iterator[Row]:
    import torch

    from stylegan_v_ext.networks import precision

    yield True, "stylegan_v_ext", f"{__version__}, Python {platform.python_version()}"
    cuda = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPUs"
    yield True, "PyTorch", f"{torch.__version__}, {cuda}, {torch.get_num_threads()} threads"
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        yield True, f"GPU {index}", f"{torch.cuda.get_device_name(index)}, sm_{major}{minor}, {memory:.0f} GiB"
    if not torch.cuda.is_available():
        remedy = "" if torch.version.cuda else "; for an NVIDIA GPU install a CUDA build from pytorch.org"
        yield True, "GPU", f"none; everything runs on the CPU{remedy}"
    amx = "bfloat16 by matrix units (AMX) in training, and with gen_video.py --bf16=1"
    yield True, "CPU", amx if precision.has_fast_bfloat16() else "float32"
    quick = importlib.util.find_spec("simplejpeg") is not None
    yield (
        True,
        "simplejpeg",
        "installed" if quick else "not installed, JPEG is read slower: pip install simplejpeg",
    )
    there = importlib.util.find_spec("tensorboard") is not None
    yield True, "tensorboard", "installed" if there else "not installed, optional: pip install tensorboard"


def _kernels() -> Iterator[Row]:
    import torch

    from torch_utils import custom_ops, self_check

    if not torch.cuda.is_available():
        yield True, "CUDA kernels", "not needed without a GPU; the ops run as PyTorch functions"
        return
    try:
        yield True, "NVRTC", f"{custom_ops.nvrtc_version()}, kernels are kept in {custom_ops.cache_dir()}"
    except custom_ops.KernelUnavailable as problem:
        yield False, "NVRTC", f"{problem}; until then the ops run as PyTorch functions, several times slower"
        return
    for op in ("bias_act", "upfirdn2d", "filtered_lrelu"):  # an op registers its check when it is imported
        importlib.import_module(f"torch_utils.ops.{op}")
    for index in range(torch.cuda.device_count()):
        for name, check in self_check.CHECKS.items():
            try:
                error = check(torch.device("cuda", index))
            except Exception as problem:  # noqa: BLE001 - of any kind, it is what the user has to know
                yield False, f"{name}, GPU {index}", f"{problem}; the ops run as PyTorch functions"
                continue
            op = custom_ops.state(name)
            made = f"compiled in {op.seconds:.1f} s" if op.compiled else "from the cache"
            state = f"kernel {made}, {error:.1e} from the reference"
            remedy = f"; wrong: not used. Delete {custom_ops.cache_dir()} and update the driver"
            ok = error < self_check.TOLERANCE
            yield ok, f"{name}, GPU {index}", state if ok else state + remedy


def _ffmpeg() -> Iterator[Row]:
    import subprocess

    from stylegan_v_ext.data.ffmpeg import FfmpegError, start_ffmpeg

    try:
        with start_ffmpeg(["-version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            version = process.stdout.readline().split(" Copyright")[0]
            encoders = "libx264" in process.stdout.read()
    except FfmpegError as problem:
        yield False, "ffmpeg", str(problem)
        return
    yield encoders, "ffmpeg", version if encoders else f"{version} has no H.264 (libx264): pip install imageio-ffmpeg"


def _decoder() -> Iterator[Row]:
    import importlib.metadata

    if importlib.util.find_spec("av") is not None:
        yield True, "PyAV", importlib.metadata.version("av")
    else:
        yield False, "PyAV", "not installed, video files cannot be read: pip install av"


def _host() -> Iterator[Row]:
    from patches import needed_patches
    from stylegan_v_ext.host.checkout import recognise

    directory = os.environ.get("STYLEGAN_HOST")
    if not directory:
        yield True, "host", "none; STYLEGAN_HOST or --host may name a stylegan3 or stylegan2-ada-pytorch checkout"
        return
    try:
        checkout = recognise(directory)
    except ValueError as problem:
        yield False, "host", f"STYLEGAN_HOST: {problem}"
        return
    yield True, "host", f"{checkout.codebase} in {checkout.path}, {len(needed_patches())} patches needed here"


def _detectors() -> Iterator[Row]:
    from stylegan_v_ext.metrics import detectors

    folder = detectors.detectors_folder()
    if folder is not None and not folder.is_dir():
        yield False, "detectors", f"{detectors.ENVIRONMENT}={folder} is no folder; make it, or unset the variable"
    for name in detectors.DETECTORS:
        path = detectors.local_detector(name) or detectors.downloaded_detector(name)
        where = f"not in {folder}, " if folder else ""
        yield True, "detector", str(path) if path else f"{name}: {where}downloaded when a metric needs it"
