"""The networks that make the features of metrics: where their files come from, and a check that no file changes.

A detector is a TorchScript file. It is looked for in a local folder, then downloaded. No other code is executed. The
SHA-256 of the file is recorded at first use and compared at every later use, so that figures from two networks of one
name are not mixed up.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

import dnnlib
from stylegan_v_ext.documents import parse_json
from stylegan_v_ext.files import atomic_path

ENVIRONMENT = "STYLEGAN_V_DETECTORS"
_ATTEMPTS = 3
_RECORD = "detectors.json"  # SHA-256 by file name


@dataclass(frozen=True)
class Detector:
    """A network that metrics look through.

    Attributes:
        file: Name of its file.
        about: What it is, and what it returns.
        urls: Addresses of the file, tried one after another.
        arguments: Keyword arguments of its calls, after a batch of uint8.
    """

    file: str
    about: str
    urls: tuple[str, ...]
    arguments: tuple[tuple[str, bool], ...] = ()


I3D = "i3d_torchscript.pt"
C3D = "c3d_ucf101.pt"
INCEPTION = "inception-2015-12-05.pt"
VGG16 = "vgg16.pt"
_NVIDIA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/"
DETECTORS = {
    detector.file: detector
    for detector in (
        Detector(
            I3D,
            "I3D of tf.hub (Kinetics-400), for FVD: 400 logits of clips [N, 3, T, H, W]",
            (
                "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
                "https://huggingface.co/flateon/FVD-I3D-torchscript/resolve/main/i3d_torchscript.pt",
                "https://github.com/JunyaoHu/common_metrics_on_video_quality/raw/main/fvd/styleganv/i3d_torchscript.pt",
            ),
            (("rescale", True), ("resize", True), ("return_features", True)),
        ),
        Detector(
            C3D,
            "C3D of UCF101, for ISV: class probabilities of clips [N, 3, 16, H, W]",
            ("https://www.dropbox.com/s/jxpu7avzdc9n97q/c3d_ucf101.pt?dl=1",),
        ),
        Detector(
            INCEPTION,
            "Inception v3 of 2015, for FID, KID and IS: 2048 features or class probabilities of images [N, 3, H, W]",
            (_NVIDIA + INCEPTION,),
            (("return_features", True),),
        ),
        Detector(
            VGG16,
            "VGG16, for PR: 4096 features of images [N, 3, H, W]; projection and edits use it too",
            (_NVIDIA + VGG16,),
            (("return_features", True),),
        ),
    )
}


def detectors_folder() -> Path | None:
    """Return the folder that STYLEGAN_V_DETECTORS names; None if the variable is not set."""
    folder = os.environ.get(ENVIRONMENT)
    return Path(os.path.expanduser(folder)) if folder else None


def local_detector(name: str) -> Path | None:
    """Return the file of a detector in the folder that STYLEGAN_V_DETECTORS names; None if it is not there."""
    folder = detectors_folder()
    path = folder / name if folder else None
    return path if path is not None and path.is_file() else None


def downloaded_detector(name: str) -> Path | None:
    """Return the file of a detector among earlier downloads; None if it is not there."""
    for url in DETECTORS[name].urls:
        pattern = f"{hashlib.sha256(url.encode()).hexdigest()[:32]}_*"
        for path in sorted(Path(dnnlib.make_cache_dir_path("downloads")).glob(pattern)):
            return path
    return None


def record_path() -> Path:
    """Return the file that the SHA-256 of each detector is recorded in."""
    return Path(dnnlib.make_cache_dir_path(_RECORD))


def recorded_sha256() -> dict[str, str]:
    """Return the recorded SHA-256 of each detector that was used before, by file name."""
    try:
        record = parse_json(record_path().read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def find_detector(name: str) -> Path:
    """Find a detector's file, download it if it is not here, and check it against its record.

    Args:
        name: A key of `DETECTORS`.

    Returns:
        Path of the file.

    Raises:
        ValueError: If the file cannot be downloaded, or differs from the file of the first use.
    """
    path = local_detector(name) or _download(name)
    found, recorded = sha256_of(path), recorded_sha256()
    if recorded.get(name, found) != found:
        raise ValueError(
            f"{path} is not the file that {name} was at first use (SHA-256 {found[:12]}…, recorded "
            f"{recorded[name][:12]}…): figures would not compare; put the first one back, or take its line out of "
            f"{record_path()}"
        )
    if name not in recorded:
        with atomic_path(record_path()) as temporary:
            temporary.write_text(json.dumps(recorded | {name: found}, indent=2) + "\n", encoding="utf-8")
    return path


def _download(name: str) -> Path:
    for url in DETECTORS[name].urls:
        try:
            return Path(dnnlib.util.open_url(url, num_attempts=_ATTEMPTS, return_filename=True))
        except OSError:
            continue
    raise ValueError(
        f"{name} could not be downloaded; put it into a folder and set {ENVIRONMENT} to that folder "
        f"({DETECTORS[name].urls[0]})"
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_detector(name: str, device: torch.device) -> torch.jit.ScriptModule:
    """Load a known detector.

    Args:
        name: A key of `DETECTORS`.
        device: Where it computes.

    Returns:
        The TorchScript module in eval mode.

    Raises:
        ValueError: If the file cannot be had, or is no TorchScript file.
    """
    return load_torchscript(find_detector(name), device)


def load_torchscript(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    """Load a TorchScript file.

    Args:
        path: The file.
        device: Where the module computes.

    Returns:
        The module in eval mode.

    Raises:
        ValueError: If the file is no TorchScript file.
    """
    try:
        with warnings.catch_warnings():  # newer PyTorch recommends a format that no detector has
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} is no TorchScript file ({str(error).splitlines()[0]}); replace it") from None


def caller(module: torch.jit.ScriptModule, arguments: dict[str, bool]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Make a function of batches alone out of a detector.

    Args:
        module: The detector.
        arguments: Keyword arguments of its calls; those that its `forward` does not have are left out.

    Returns:
        A function from a batch to features `[N, D]`. It raises `ValueError` if the detector returns something else.
    """
    schema = getattr(getattr(module, "forward", None), "schema", None)
    if schema is not None:
        known = {argument.name for argument in schema.arguments}
        arguments = {name: value for name, value in arguments.items() if name in known}

    def call(batch: torch.Tensor) -> torch.Tensor:
        result = module(batch, **arguments)
        if not isinstance(result, torch.Tensor) or result.ndim < 2 or len(result) != len(batch):
            raise ValueError("the detector does not return features [N, D] for a batch of N; name another one")
        return result.flatten(1)

    return call


def short_name(path: Path) -> str:
    """Return the name that a user's own detector has in the names of results."""
    return re.sub(r"[^0-9a-zA-Z]+", "-", path.stem).strip("-") or "detector"
