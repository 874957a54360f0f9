"""Feature extractors with the call signatures of Inception and I3D, for runs without downloads."""

import pickle
import warnings
from pathlib import Path

import torch


class Inception(torch.nn.Module):
    """Features `[N, 12]` of images uint8 `[N, 3, H, W]`."""

    def forward(self, images: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        x = images.float() / 127.5 - 1
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


class I3D(torch.nn.Module):
    """Features `[N, 24]` of clips uint8 `[N, 3, T, H, W]`."""

    def forward(
        self, clips: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> torch.Tensor:
        x = clips.float() / 127.5 - 1
        return torch.nn.functional.adaptive_avg_pool3d(x, [2, 2, 2]).flatten(1)


class VGG16(torch.nn.Module):
    """Features `[N, 192]` of images `[N, 3, H, W]` in 0 ... 255."""

    def forward(self, images: torch.Tensor, resize_images: bool = False, return_lpips: bool = False) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images / 255, 8).flatten(1)


def write_torchscript(module: torch.nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))


def write_detectors(folder: Path) -> None:
    """Under the names that the metrics of both codebases and ours look for."""
    folder.mkdir(parents=True, exist_ok=True)
    scripted = {"inception-2015-12-05.pt": Inception(), "vgg16.pt": VGG16(), "i3d_torchscript.pt": I3D()}
    for name, module in scripted.items():
        write_torchscript(module, folder / name)
    for name in ("inception-v3-2015-12-05.pkl", "inception-2015-12-05.pkl"):
        (folder / name).write_bytes(pickle.dumps(Inception()))
