"""Layers of fine-tuned image models in a video generator (Pinkney and Adler, arXiv 2010.05334).

The layers of a StyleGAN2 synthesis network have positions, two for each resolution: position 2 log2(res / 4) for its
first convolution (or the constant), the next position for its second convolution and its ToRGB. Layers at coarse
positions decide on layout, pose and motion, layers at fine positions on colour and texture. Every layer of the result
is (1 - y) video + y image. y is a step over the positions, hard or logistic.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.checkpoints.transfer import MOTION_AXIS, content_part
from stylegan_v_ext.editing.layer_range import LayerRange, layer_position

MAPPINGS = ("video", "image")
NOISES = ("drop", "keep")
_UNRELATED = 0.1  # cosine of two networks' weights: independent networks are near 0, fine-tuned networks near 1


@dataclass(frozen=True)
class ImageSource:
    """An image model and the layers to take from it.

    Attributes:
        name: Name of the model, for people.
        network: The image model.
        layers: Which layers to take.
    """

    name: str
    network: NetworkData
    layers: LayerRange


@dataclass(frozen=True)
class LayerReport:
    """A layer of the result.

    Attributes:
        name: Name of the layer in the synthesis network, such as "b8.conv1".
        weights: Share of each image model.
        distances: Distance ||a - b|| / ||a|| of the weights a of the video model from those of each image model, b;
            None if an image model has no such layer, or if it does not fit.
    """

    name: str
    weights: tuple[float, ...]
    distances: tuple[float | None, ...]


@dataclass(frozen=True)
class SwapResult:
    """The new video generator, and what it is made of.

    Attributes:
        network: The new video generator.
        layers: Its layers from coarse to fine.
        warnings: What people should know about the result.
    """

    network: NetworkData
    layers: list[LayerReport]
    warnings: list[str]

    def table(self, names: Sequence[str]) -> str:
        """Return a table with a line for each layer: share and distance of every image model.

        Args:
            names: Names of the image models.
        """
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
    """Layers that should be taken do not fit.

    Args:
        misfits: One line for each tensor that does not fit.
        remedy: What to do.
    """

    def __init__(self, misfits: list[str], remedy: str) -> None:
        super().__init__(f"{len(misfits)} tensors do not fit, the first: {misfits[0]}. {remedy}")
        self.misfits = misfits


def blend_networks(
    video: NetworkData, images: Sequence[ImageSource], *, mapping: str = "video", noise: str = "drop"
) -> SwapResult:
    """Put layers of image models into a video generator. Its motion stays as it is.

    Args:
        video: The video generator.
        images: Image models, which are blended in one by one, in this order.
        mapping: Whose mapping network makes w: "video", or "image" for the first image model.
        noise: "drop" leaves out noise inputs that the video model has not; "keep" takes them along, the same for all
            frames of a video.

    Returns:
        The new video generator, and a report about its layers.

    Raises:
        ValueError: If the models cannot be mixed.
        LayerMismatch: If layers do not fit; it names them.
    """
    _check(video, images, mapping, noise)
    state, kwargs = {name: tensor.float().clone() for name, tensor in video.state.items()}, dict(video.kwargs)
    if noise == "keep" and not kwargs["use_noise"] and any(source.network.kwargs["use_noise"] for source in images):
        kwargs["use_noise"] = True
        _add_noise(state)
    layers = _layers(state)
    last = max(position for _, position in layers)
    shares = {name: tuple(source.layers.weight(position, last) for source in images) for name, position in layers}
    distances = {
        name: tuple(_distance(video.state, source.network.state, name) for source in images) for name, _ in layers
    }
    misfits = _misfits(state, images, shares)
    if misfits:
        raise LayerMismatch(misfits, _remedy(images))
    for number, source in enumerate(images):
        for name, _ in layers:
            _blend(state, source.network.state, name, shares[name][number])
    if mapping == "image":
        kwargs["mapping_kwargs"] = dict(images[0].network.kwargs.get("mapping_kwargs") or {})
        state = {name: tensor for name, tensor in state.items() if not _is_content_mapping(name)}
        theirs = images[0].network.state
        state |= {name: tensor.clone() for name, tensor in theirs.items() if _is_content_mapping(name)}
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


def _layers(state: dict[str, torch.Tensor]) -> list[tuple[str, int]]:
    """Return (layer, position) of all layers of a synthesis network, from coarse to fine."""
    found = {}
    for name in state:
        if match := re.match(r"synthesis\.b([0-9]{1,9})\.(const|conv0|conv1|torgb)\b", name):
            layer = f"b{match[1]}.{match[2]}"
            found[layer] = layer_position(int(match[1]), int(match[2] in ("conv1", "torgb")))
    return sorted(found.items(), key=lambda item: (item[1], item[0]))


def _tensors(state: dict[str, torch.Tensor], layer: str) -> list[str]:
    prefix = f"synthesis.{layer}"
    return [name for name in state if name == prefix or name.startswith(f"{prefix}.")]


def _pair(video: torch.Tensor, image: torch.Tensor | None, name: str) -> torch.Tensor | None:
    """Return the part of a video model's tensor that an image model's tensor is blended into; None if they differ."""
    if image is None or video.shape == image.shape:
        return None if image is None else video
    return content_part(video, name, image) if name in MOTION_AXIS else None


def _distance(video: dict[str, torch.Tensor], image: dict[str, torch.Tensor], layer: str) -> float | None:
    """Return ||video - image|| / ||video|| of a layer's weights; None if the layer is missing or does not fit."""
    name = f"synthesis.{layer}" if layer.endswith("const") else f"synthesis.{layer}.weight"
    theirs = image.get(name)
    ours = _pair(video[name], theirs, name)
    return None if ours is None or theirs is None else float((ours - theirs).norm() / ours.norm().clamp_min(1e-12))


def _misfits(
    state: dict[str, torch.Tensor], images: Sequence[ImageSource], shares: dict[str, tuple[float, ...]]
) -> list[str]:
    """Return a line for each tensor that should be taken and does not fit."""
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
    arguments = [source.network.kwargs for source in images]
    bases = ", ".join(f"--cbase={kwargs['channel_base']} --cmax={kwargs['channel_max']}" for kwargs in arguments)
    return (
        "Take other layers (--split=LOW-HIGH leaves them out), or train the video model from the image model "
        f"(train.py --resume; channels {bases}), after which all layers fit"
    )


def _blend(state: dict[str, torch.Tensor], image: dict[str, torch.Tensor], layer: str, share: float) -> None:
    """Set state <- (1 - share) state + share image in place, for the tensors of a layer."""
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
    """Add noise inputs of strength 0 to every convolution, in place."""
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
    """Return the median cosine between the convolution weights of two networks."""
    cosines = []
    for name, theirs in image.items():
        if re.fullmatch(r"synthesis\.b[0-9]{1,9}\.conv[01]\.weight", name) and name in video:
            ours = _pair(video[name], theirs, name)
            if ours is not None:
                cosines.append(float((ours * theirs).sum() / (ours.norm() * theirs.norm()).clamp_min(1e-12)))
    return sorted(cosines)[len(cosines) // 2] if cosines else 0.0
