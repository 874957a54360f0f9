"""The networks that metrics look through: where they come from, and that they are always the same ones.

A detector is a TorchScript file, looked for in a local folder first, then downloaded. Nothing else is
ever executed. Its SHA-256 is recorded the first time it is used and compared from then on, so that
figures from two networks of one name are not mixed up.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        arguments: It is called with, after a batch of uint8.
        urls: Where it can be downloaded, tried one after another.
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
    """The folder that STYLEGAN_V_DETECTORS names."""
    folder = os.environ.get(ENVIRONMENT)
    return Path(os.path.expanduser(folder)) if folder else None


def local_detector(name: str) -> Path | None:
    """The file of that name in the folder that STYLEGAN_V_DETECTORS names, if it is there."""
    folder = detectors_folder()
    path = folder / name if folder else None
    return path if path is not None and path.is_file() else None


def downloaded_detector(name: str) -> Path | None:
    """The file of that name among earlier downloads, if it is there."""
    for url in DETECTORS[name].urls:
        pattern = f"{hashlib.sha256(url.encode()).hexdigest()[:32]}_*"
        for path in sorted(Path(dnnlib.make_cache_dir_path("downloads")).glob(pattern)):
            return path
    return None


def record_path() -> Path:
    """The file that SHA-256s are recorded in."""
    return Path(dnnlib.make_cache_dir_path(_RECORD))


def recorded_sha256() -> dict[str, str]:
    """SHA-256 by detector file, of those that were used before."""
    try:
        record = parse_json(record_path().read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def find_detector(name: str) -> Path:
    """A detector's file, checked against its record, downloaded if need be.

    Raises `ValueError` with the remedy where it cannot be had, or is not the one of before.
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
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_detector(name: str, device: torch.device) -> Any:
    """A known detector's TorchScript module on a device. Raises `ValueError` with the remedy."""
    return load_torchscript(find_detector(name), device)


def load_torchscript(path: Path, device: torch.device) -> Any:
    """A TorchScript file's module on a device. Raises `ValueError` where the file is none."""
    try:
        with warnings.catch_warnings():  # newer PyTorch would rather have another format, which no detector comes in
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} is no TorchScript file ({str(error).splitlines()[0]}); replace it") from None


def caller(module: Any, arguments: dict[str, bool]) -> Callable[[torch.Tensor], torch.Tensor]:
    """A module as a function of batches alone, called with those of the arguments that it knows."""
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
    """What a user's own detector is called in the names of results."""
    return re.sub(r"[^0-9a-zA-Z]+", "-", path.stem).strip("-") or "detector"
