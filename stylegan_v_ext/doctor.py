"""What works on this machine, what does not, and what to do about it."""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

from stylegan_v_ext import __version__


class Finding(NamedTuple):
    """The state of one part of the machine.

    Attributes:
        fine: Whether the part works, or is not needed.
        name: Its name.
        state: What was found, with the remedy if the part does not work.
    """

    fine: bool
    name: str
    state: str


def _fine(name: str, state: str) -> Finding:
    return Finding(fine=True, name=name, state=state)


def _wrong(name: str, state: str) -> Finding:
    return Finding(fine=False, name=name, state=state)


def examine() -> Iterator[Finding]:
    """Look at PyTorch, GPUs, CUDA kernels, ffmpeg, PyAV, host and detectors.

    On a machine with a GPU this compiles the kernels and compares their results with the references.

    Yields:
        The findings, one by one.
    """
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (_packages, _kernels, _ffmpeg, _decoder, _host, _detectors)
    for check in checks:
        yield from check()


def _packages() -> Iterator[Finding]:
    import torch

    from stylegan_v_ext.networks import precision

    yield _fine("stylegan_v_ext", f"{__version__}, Python {platform.python_version()}")
    cuda = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPUs"
    yield _fine("PyTorch", f"{torch.__version__}, {cuda}, {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        name = torch.cuda.get_device_name(index)
        yield _fine(f"GPU {index}", f"{name}, sm_{major}{minor}, {memory:.0f} GiB")
    if not torch.cuda.is_available():
        remedy = "" if torch.version.cuda else "; for an NVIDIA GPU install a CUDA build from pytorch.org"
        yield _fine("GPU", f"none; everything runs on the CPU{remedy}")
    amx = "bfloat16 by matrix units (AMX) in training, and with gen_video.py --bf16=1"
    yield _fine("CPU", amx if precision.has_fast_bfloat16() else "float32")
    for package, without in (
        ("simplejpeg", "not installed, JPEG is read slower: pip install simplejpeg"),
        ("tensorboard", "not installed, optional: pip install tensorboard"),
    ):
        there = importlib.util.find_spec(package) is not None
        yield _fine(package, "installed" if there else without)


def _kernels() -> Iterator[Finding]:
    import torch

    from torch_utils import custom_ops, self_check

    if not torch.cuda.is_available():
        yield _fine("CUDA kernels", "not needed without a GPU; the ops run as PyTorch functions")
        return
    try:
        state = f"{custom_ops.nvrtc_version()}, kernels are kept in {custom_ops.cache_dir()}"
    except custom_ops.KernelUnavailable as problem:
        state = f"{problem}; until then the ops run as PyTorch functions, several times slower"
        yield _wrong("NVRTC", state)
        return
    yield _fine("NVRTC", state)
    for name in ("bias_act", "upfirdn2d", "filtered_lrelu"):  # an op registers its check when it is imported
        importlib.import_module(f"torch_utils.ops.{name}")
    for index in range(torch.cuda.device_count()):
        for name, check in self_check.CHECKS.items():
            try:
                error = check(torch.device("cuda", index))
            except Exception as problem:  # whatever it is, the user has to know it
                yield _wrong(f"{name}, GPU {index}", f"{problem}; the ops run as PyTorch functions")
                continue
            kernel = custom_ops.state(name)
            made = f"compiled in {kernel.seconds:.1f} s" if kernel.compiled else "from the cache"
            state = f"kernel {made}, {error:.1e} from the reference"
            remedy = f"; wrong: not used. Delete {custom_ops.cache_dir()} and update the driver"
            fine = error < self_check.TOLERANCE
            yield Finding(fine, f"{name}, GPU {index}", state if fine else state + remedy)


def _ffmpeg() -> Iterator[Finding]:
    from stylegan_v_ext.data.ffmpeg import FfmpegError, start_ffmpeg

    try:
        with start_ffmpeg(["-version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            text = process.communicate()[0]
    except FfmpegError as problem:
        yield _wrong("ffmpeg", str(problem))
        return
    first, _, rest = text.partition("\n")
    version, fine = first.split(" Copyright")[0], "libx264" in rest
    without = f"{version} has no H.264 (libx264): pip install imageio-ffmpeg"
    yield Finding(fine, "ffmpeg", version if fine else without)


def _decoder() -> Iterator[Finding]:
    if importlib.util.find_spec("av") is not None:
        yield _fine("PyAV", importlib.metadata.version("av"))
    else:
        yield _wrong("PyAV", "not installed, video files cannot be read: pip install av")


def _host() -> Iterator[Finding]:
    from patches import needed_patches
    from stylegan_v_ext.host.checkout import recognise

    directory = os.environ.get("STYLEGAN_HOST")
    if not directory:
        advice = "none; STYLEGAN_HOST or --host may name a stylegan3 or stylegan2-ada-pytorch checkout"
        yield _fine("host", advice)
        return
    try:
        checkout = recognise(directory)
    except ValueError as problem:
        yield _wrong("host", f"STYLEGAN_HOST: {problem}")
        return
    state = f"{checkout.codebase} in {checkout.path}, {len(needed_patches())} patches needed here"
    yield _fine("host", state)


def _detectors() -> Iterator[Finding]:
    from stylegan_v_ext.metrics import detectors

    folder = detectors.detectors_folder()
    if folder is not None and not folder.is_dir():
        state = f"{detectors.ENVIRONMENT}={folder} is no folder; make it, or unset the variable"
        yield _wrong("detectors", state)
    for name in detectors.DETECTORS:
        path = detectors.local_detector(name) or detectors.downloaded_detector(name)
        where = f"not in {folder}, " if folder else ""
        yield _fine("detector", str(path) if path else f"{name}: {where}downloaded when a metric needs it")
