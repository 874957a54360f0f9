"""How far two sets of frames are from each other, for optimisation by gradients."""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F

from stylegan_v_ext.metrics import detectors

LOSSES = ("auto", "vgg16", "pixels")

FrameLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Function of frames `[F, 3, H, W]` in -1 ... 1 and of the frames that they should be, which returns a number."""


class FeatureNetwork(Protocol):
    """A network of perceptual features, as StyleGAN2's projector calls it."""

    def __call__(self, images: torch.Tensor, *, resize_images: bool, return_lpips: bool) -> torch.Tensor:
        """Return features `[F, D]` of images `[F, 3, H, W]` in 0 ... 255."""


_SMALLEST = 8  # pixels of the coarsest scale
_GRADIENTS, _PIXELS = 1.0, 1.0  # weights of edges beside colours, and of colours beside perceptual features
_LARGEST_VGG = 256


def pixel_loss(frames: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return mean squared differences of pixels and of their gradients, over scales down to 8 px.

    Args:
        frames: Frames `[F, C, H, W]` in -1 ... 1.
        target: The frames that they should be.
    """
    total = frames.new_zeros([])
    scales = 0
    difference = frames - target  # gradients and scales are linear: they may be taken of the difference
    while True:
        across, down = difference.diff(dim=3), difference.diff(dim=2)
        total = total + difference.square().mean()
        total = total + _GRADIENTS * (across.square().mean() + down.square().mean())
        scales += 1
        if difference.shape[-1] // 2 < _SMALLEST:
            return total / scales
        difference = F.avg_pool2d(difference, 2)


def vgg_loss(network: FeatureNetwork) -> FrameLoss:
    """Return a loss: the squared distance of VGG16's features (LPIPS, arXiv 1801.03924) plus `pixel_loss`.

    Args:
        network: The TorchScript file of StyleGAN2's projector.
    """

    def features(frames: torch.Tensor) -> torch.Tensor:
        if frames.shape[1] == 1:
            frames = frames.expand(-1, 3, -1, -1)
        if frames.shape[-1] > _LARGEST_VGG:
            frames = F.interpolate(frames, size=(_LARGEST_VGG, _LARGEST_VGG), mode="area")
        return network((frames + 1) * 127.5, resize_images=False, return_lpips=True)

    def loss(frames: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        perceptual = (features(frames) - features(target)).square().sum(1).mean()
        return perceptual + _PIXELS * pixel_loss(frames, target)

    return loss


def load_loss(name: str, device: torch.device) -> tuple[FrameLoss, str]:
    """Return a loss by its name.

    Args:
        name: "vgg16", "pixels", or "auto" for VGG16 if its file is there or can be downloaded, else pixels.
        device: Where the loss is computed.

    Returns:
        The loss, and what it is, for people.

    Raises:
        ValueError: If there is no such loss, or if VGG16 was asked for and cannot be had.
    """
    if name not in LOSSES:
        raise ValueError(f"loss {name!r} is not one of {', '.join(LOSSES)}")
    if name == "pixels":
        return pixel_loss, "pixels and gradients"
    try:
        return vgg_loss(detectors.load_detector(detectors.VGG16, device)), "VGG16 features and pixels"
    except ValueError as error:
        if name == "vgg16":
            raise
        return pixel_loss, f"pixels and gradients ({error})"
