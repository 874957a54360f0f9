"""How far two sets of frames are from each other, for optimisation by gradients."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from stylegan_v_ext.metrics import detectors

LOSSES = ("auto", "vgg16", "pixels")

FrameLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Frames `[F, 3, H, W]` in -1 ... 1 and the frames they should be -> a number."""

_SMALLEST = 8  # pixels of the coarsest scale
_GRADIENTS, _PIXELS = 1.0, 1.0  # weights of edges beside colours, and of colours beside perceptual features
_LARGEST_VGG = 256


def pixel_loss(frames: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared differences of pixels and of their gradients, over scales from the full one down to 8 px."""
    total = frames.new_zeros([])
    scales = 0
    difference = frames - target  # all of it is linear: differences of gradients are gradients of differences
    while True:
        across, down = difference.diff(dim=3), difference.diff(dim=2)
        total = total + difference.square().mean()
        total = total + _GRADIENTS * (across.square().mean() + down.square().mean())
        scales += 1
        if difference.shape[-1] // 2 < _SMALLEST:
            return total / scales
        difference = F.avg_pool2d(difference, 2)


def vgg_loss(network: Any) -> FrameLoss:
    """Squared distance of VGG16's features (LPIPS, arXiv 1801.03924) plus `pixel_loss`.

    Args:
        network: The TorchScript file of StyleGAN2's projector, called `network(images [F, 3, H, W] in 0 ... 255,
            resize_images=False, return_lpips=True) -> [F, D]`.
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
    """The loss of that name, and what it is, for people.

    Args:
        name: "vgg16", "pixels", or "auto" for VGG16 where it can be had.

    Raises:
        ValueError: Where it was asked for and cannot.
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
