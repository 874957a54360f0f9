"""Where the networks that metrics look through come from: a local folder first, then URLs."""

import os
import warnings
from pathlib import Path
from typing import Any

import torch

import dnnlib

ENVIRONMENT = "STYLEGAN_V_DETECTORS"
I3D = "i3d_torchscript.pt"
VGG16 = "vgg16.pt"
_URLS = {
    I3D: ("https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",),
    VGG16: ("https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/vgg16.pt",),
}
_ATTEMPTS = 3


def local_detector(name: str) -> Path | None:
    """The file of that name in the folder that STYLEGAN_V_DETECTORS names, if it is there."""
    folder = os.environ.get(ENVIRONMENT)
    path = Path(folder).expanduser() / name if folder else None
    return path if path is not None and path.is_file() else None


def load_detector(name: str, device: torch.device) -> Any:
    """A TorchScript detector on a device. Raises `ValueError` with the remedy where it cannot be had."""
    path = local_detector(name)
    for url in () if path else _URLS[name]:
        try:
            path = Path(dnnlib.util.open_url(url, num_attempts=_ATTEMPTS, return_filename=True))
            break
        except OSError:
            continue
    if path is None:
        raise ValueError(
            f"{name} could not be downloaded; put it into a folder and set {ENVIRONMENT} to that folder "
            f"({_URLS[name][0]})"
        )
    try:
        with warnings.catch_warnings():  # newer PyTorch would rather have another format, which no detector comes in
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise ValueError(f"{path} is no TorchScript file ({str(error).splitlines()[0]}); replace it") from None
