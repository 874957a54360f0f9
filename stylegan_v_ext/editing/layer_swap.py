"""Layers of fine-tuned image models in a video generator (Pinkney and Adler, arXiv 2010.05334).

The layers of a StyleGAN2 synthesis network stand in a row, two positions a resolution: position
2 log2(res / 4) for its first convolution (or the constant), one more for its second and its ToRGB.
Coarse positions decide on layout, pose and here motion, fine ones on colour and texture. Every layer
of the result is (1 - y) video + y image, with y from a step, hard or logistic, over the positions.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.checkpoints.transfer import MOTION_AXIS, content_part

MAPPINGS = ("video", "image")
NOISES = ("drop", "keep")
_UNRELATED = 0.1  # cosine of two networks' weights; independent ones are near 0, fine-tuned ones near 1


@dataclass(frozen=True)
class LayerRange:
    """Which layers come from an image model: those of resolutions `low` to `high`.

    Attributes:
        blend_width: 0 for a hard step at both ends, else the width of the logistic in positions.
    """

    low: int
    high: int
    blend_width: float = 0.0

    def __post_init__(self) -> None:
        for resolution in (self.low, self.high):
            if resolution < 4 or resolution & (resolution - 1):
                raise ValueError(f"resolution {resolution} is not a power of two from 4 on; use 4, 8, 16, 32, ...")
        if self.low > self.high:
            raise ValueError(f"layers from {self.low} to {self.high} are none; give the smaller resolution first")
        if not math.isfinite(self.blend_width) or self.blend_width < 0:
            raise ValueError(
                f"blend width {self.blend_width} is below 0 or no number; 1 is a soft change, 0 a hard one"
            )

    def weight(self, position: int, last: int) -> float:
        """Share y of the image model at a position, of positions 0 ... last.

        An end of the range at an end of the network is no step.
        """
        start, stop = _position(self.low, 0), _position(2 * self.high, 0)
        y = 1.0
        if start > 0:
            y *= self._step(position - start)
        if stop <= last:
            y *= 1 - self._step(position - stop)
        return y

    def _step(self, x: int) -> float:
        if self.blend_width == 0:
            return float(x >= 0)
        return 1 / (1 + math.exp(min(-x / self.blend_width, 700)))


def fine_layers(split: int, resolution: int, blend_width: float = 0.0) -> LayerRange:
    """From `split` to the top."""
    return LayerRange(split, max(resolution, split), blend_width)


def coarse_layers(split: int, blend_width: float = 0.0) -> LayerRange:
    """Below `split`."""
    if split <= 4:
        raise ValueError(f"no layers are coarser than {split}; use a split from 8 on")
    return LayerRange(4, split // 2, blend_width)


@dataclass(frozen=True)
class ImageSource:
    """An image model and the layers to take from it.

    Attributes:
        name: For people.
    """

    name: str
    network: NetworkData
    layers: LayerRange


@dataclass(frozen=True)
class LayerReport:
    """A layer of the result.

    Attributes:
        weights: Share of each image model.
        distances: Of each image model's weights from the video model's, ||a - b|| / ||a||; `None` where the layer does
            not exist or fit.
    """

    name: str
    weights: tuple[float, ...]
    distances: tuple[float | None, ...]


@dataclass(frozen=True)
class SwapResult:
    """The new video generator and what it is made of.

    Attributes:
        warnings: For people.
    """

    network: NetworkData
    layers: list[LayerReport]
    warnings: list[str]

    def table(self, names: Sequence[str]) -> str:
        """A line a layer: share and distance of every image model."""
        head = f"  {'layer':14s}" + "".join(f"{name:>20s}" for name in names)
        lines = [head, f"  {'':14s}" + f"{'share   distance':>20s}" * len(names)]
        for layer in self.layers:
            cells = [
                f"{weight:8.2f}   {'-' if distance is None else format(distance, '.3f'):>8s}"
                for weight, distance in zip(layer.weights, layer.distances, strict=True)
            ]
            lines.append(f"  {layer.name:14s}" + "".join(f"{cell:>20s}" for cell in cells))
        return "\n".join(lines)


class LayerMismatch(ValueError):
    """Layers that should be taken and do not fit.

    Args:
        misfits: One line each.
    """

    def __init__(self, misfits: list[str], remedy: str) -> None:
        super().__init__(f"{len(misfits)} tensors do not fit, the first: {misfits[0]}. {remedy}")
        self.misfits = misfits


def swap_layers(
    video: NetworkData, images: Sequence[ImageSource], mapping: str = "video", noise: str = "drop"
) -> SwapResult:
    """A video generator with layers of image models.

    Args:
        images: Blended in one after the other, in this order.
        mapping: Whose mapping network makes w, "video" or "image" (the first).
        noise: "drop" the noise inputs of image models where the video model has none, or "keep" them, the same for all
            frames of a video. Motion is the video model's always.

    Raises:
        ValueError: For models that cannot be mixed, `LayerMismatch` naming the layers that do not fit.
    """
    _check(video, images, mapping, noise)
    state, kwargs = {name: tensor.float().clone() for name, tensor in video.state.items()}, dict(video.kwargs)
    if noise == "keep" and not kwargs["use_noise"] and any(s.network.kwargs["use_noise"] for s in images):
        kwargs["use_noise"] = True
        _add_noise(state)
    layers = _layers(state)
    last = max(position for _, position in layers)
    shares = {name: tuple(s.layers.weight(position, last) for s in images) for name, position in layers}
    distances = {name: tuple(_distance(video.state, s.network.state, name) for s in images) for name, _ in layers}
    misfits = _misfits(state, images, shares)
    if misfits:
        raise LayerMismatch(misfits, _remedy(images))
    for number, source in enumerate(images):
        for name, _ in layers:
            _blend(state, source.network.state, name, shares[name][number])
    if mapping == "image":
        kwargs["mapping_kwargs"] = dict(images[0].network.kwargs.get("mapping_kwargs") or {})
        state = {k: v for k, v in state.items() if not _is_content_mapping(k)}
        state |= {k: v.clone() for k, v in images[0].network.state.items() if _is_content_mapping(k)}
    result = NetworkData("VideoGenerator", kwargs, state)
    reports = [LayerReport(name, shares[name], distances[name]) for name, _ in layers]
    return SwapResult(result, reports, _warnings(video, images, kwargs, shares))


def _check(video: NetworkData, images: Sequence[ImageSource], mapping: str, noise: str) -> None:
    if video.class_name != "VideoGenerator" or video.num_frames == 1:
        raise ValueError("the video model makes no videos; give a StyleGAN-V generator")
    if mapping not in MAPPINGS or noise not in NOISES:
        raise ValueError(f"mapping {mapping!r} is not one of {MAPPINGS}, or noise {noise!r} not one of {NOISES}")
    if not images:
        raise ValueError("no image model to take layers from")
    for source in images:
        if not source.network.is_image_model:
            raise ValueError(f"{source.name} is no StyleGAN2 image generator; give one: layers of others do not fit")
        ours, theirs = video.kwargs.get("w_dim", 512), source.network.kwargs["w_dim"]
        if ours != theirs:
            raise ValueError(
                f"{source.name} has w of {theirs} values, the video model of {ours}; start the video model from the "
                "image model (train.py --resume), after which they fit"
            )
        if source.layers.low > video.kwargs["img_resolution"]:
            raise ValueError(
                f"layers from {source.layers.low} px on: the video model ends at {video.kwargs['img_resolution']} px; "
                "use a smaller split"
            )
    if mapping == "image":
        first = images[0].network
        for what, ours, theirs in (
            ("latents of", video.kwargs.get("z_dim", 512), first.kwargs["z_dim"]),
            ("classes:", video.num_classes, first.num_classes),
        ):
            if ours != theirs:
                raise ValueError(
                    f"mapping of {images[0].name}: {what} {theirs} there, {ours} in the video model; use "
                    "--mapping=video"
                )


def _position(resolution: int, level: int) -> int:
    return 2 * (int(math.log2(resolution)) - 2) + level


def _layers(state: dict[str, torch.Tensor]) -> list[tuple[str, int]]:
    """(layer, position) of all layers of a synthesis network, from coarse to fine."""
    found = {}
    for name in state:
        if match := re.match(r"synthesis\.b([0-9]{1,9})\.(const|conv0|conv1|torgb)\b", name):
            layer = f"b{match[1]}.{match[2]}"
            found[layer] = _position(int(match[1]), int(match[2] in ("conv1", "torgb")))
    return sorted(found.items(), key=lambda item: (item[1], item[0]))


def _tensors(state: dict[str, torch.Tensor], layer: str) -> list[str]:
    prefix = f"synthesis.{layer}"
    return [name for name in state if name == prefix or name.startswith(f"{prefix}.")]


def _pair(video: torch.Tensor, image: torch.Tensor | None, name: str) -> torch.Tensor | None:
    """What of a video model's tensor an image model's lies over; `None` where they do not fit."""
    if image is None or video.shape == image.shape:
        return None if image is None else video
    return content_part(video, name, image) if name in MOTION_AXIS else None


def _distance(video: dict[str, torch.Tensor], image: dict[str, torch.Tensor], layer: str) -> float | None:
    """||video - image|| / ||video|| of a layer's weights."""
    name = f"synthesis.{layer}" if layer.endswith("const") else f"synthesis.{layer}.weight"
    theirs = image.get(name)
    ours = _pair(video[name], theirs, name)
    return None if ours is None or theirs is None else float((ours - theirs).norm() / ours.norm().clamp_min(1e-12))


def _misfits(
    state: dict[str, torch.Tensor], images: Sequence[ImageSource], shares: dict[str, tuple[float, ...]]
) -> list[str]:
    """Tensors that should be taken and cannot be."""
    found = []
    for number, source in enumerate(images):
        for layer, weights in shares.items():
            for name in _tensors(state, layer) if weights[number] > 0 else ():
                theirs, kind = source.network.state.get(name), name.rpartition(".")[2]
                if kind in ("noise_const", "noise_strength", "resample_filter"):
                    continue
                if theirs is None:
                    found.append(f"{name} is not in {source.name}")
                elif _pair(state[name], theirs, name) is None:
                    found.append(f"{name} is {list(theirs.shape)} in {source.name}, {list(state[name].shape)} here")
    return found


def _remedy(images: Sequence[ImageSource]) -> str:
    bases = ", ".join(
        f"--cbase={s.network.kwargs['channel_base']} --cmax={s.network.kwargs['channel_max']}" for s in images
    )
    return (
        "Take other layers (--split=LOW-HIGH leaves them out), or train the video model from the image model "
        f"(train.py --resume; channels {bases}), after which all layers fit"
    )


def _blend(state: dict[str, torch.Tensor], image: dict[str, torch.Tensor], layer: str, share: float) -> None:
    """State <- (1 - share) state + share image, in place, for the tensors of a layer."""
    if share == 0:
        return
    for name in _tensors(state, layer):
        theirs, kind = image.get(name), name.rpartition(".")[2]
        if kind == "resample_filter":
            continue
        if kind == "noise_const":  # a mixture of two noises would be weaker than either
            if theirs is not None and share >= 0.5:
                state[name].copy_(theirs)
        elif kind == "noise_strength":
            state[name].mul_(1 - share).add_(0 if theirs is None else share * theirs)
        else:
            ours = _pair(state[name], theirs, name)
            assert ours is not None and theirs is not None, "misfits were refused"
            ours.copy_(ours.lerp(theirs.to(ours), share))


def _add_noise(state: dict[str, torch.Tensor]) -> None:
    """Noise inputs of no strength for every convolution."""
    for layer in [
        name.removesuffix(".bias") for name in state if re.fullmatch(r"synthesis\.b[0-9]{1,9}\.conv[01]\.bias", name)
    ]:
        resolution = int(layer.split(".")[1][1:])
        state[f"{layer}.noise_strength"] = torch.zeros([])
        state[f"{layer}.noise_const"] = torch.zeros([resolution, resolution])


def _is_content_mapping(name: str) -> bool:
    return name.startswith("mapping.") and not name.startswith("mapping.motion.")


def _warnings(
    video: NetworkData, images: Sequence[ImageSource], kwargs: dict[str, Any], shares: dict[str, tuple[float, ...]]
) -> list[str]:
    found = []
    for number, source in enumerate(images):
        similarity = _similarity(video.state, source.network.state)
        if similarity < _UNRELATED:
            found.append(
                f"{source.name} and the video model share no ancestor (cosine of their weights {similarity:.3f}): "
                "their layers do not understand each other; start the video model from the image model's base"
            )
        if source.network.kwargs["use_noise"] and not kwargs["use_noise"]:
            found.append(f"the noise inputs of {source.name} are left out; --noise=keep takes them along")
        if not any(weights[number] > 0 for weights in shares.values()):
            found.append(f"no layer of {source.name} is taken")
    return found


def _similarity(video: dict[str, torch.Tensor], image: dict[str, torch.Tensor]) -> float:
    """Median cosine between the two networks' convolution weights."""
    cosines = []
    for name, theirs in image.items():
        if re.fullmatch(r"synthesis\.b[0-9]{1,9}\.conv[01]\.weight", name) and name in video:
            ours = _pair(video[name], theirs, name)
            if ours is not None:
                cosines.append(float((ours * theirs).sum() / (ours.norm() * theirs.norm()).clamp_min(1e-12)))
    return sorted(cosines)[len(cosines) // 2] if cosines else 0.0
