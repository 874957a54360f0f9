"""Starting a network from another one's tensors: what fits by name and shape is copied, the rest is told."""

import re
from dataclasses import dataclass, field

import torch

from stylegan_v_ext.checkpoints.checkpoint import Checkpoint
from stylegan_v_ext.text import printable
from torch_utils import misc

# Where the input channels of the first layer, content before motion, lie in its tensors.
MOTION_AXIS = {
    "synthesis.b4.conv1.weight": 1,
    "synthesis.b4.conv1.affine.weight": 0,
    "synthesis.b4.conv1.affine.bias": 0,
}


@dataclass
class Transfer:
    """What became of the tensors of a network, by their names in it.

    extended: copied to the content channels, with motion channels that do nothing at first. misfits:
    shapes (there, here) of what could not be copied. unused: tensors of the other that have no place.
    """

    copied: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    misfits: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def table(self, title: str) -> str:
        """A line for every part of the network."""
        parts: dict[str, dict[str, list[str]]] = {}
        kinds = {"copied": self.copied, "extended": self.extended, "new": self.new,
                 "not copied": list(self.misfits), "unused": self.unused}  # fmt: skip
        for kind, names in kinds.items():
            for name in names:
                parts.setdefault(_part(name), {}).setdefault(kind, []).append(name)
        lines = [printable(title)]
        for part in sorted(parts, key=_natural):
            words = [f"{len(names)} {kind}" for kind, names in parts[part].items()]
            first = next((name for name in parts[part].get("not copied", [])), None)
            if first is not None:
                there, here = self.misfits[first]
                words.append(f"{printable(first.removeprefix(part + '.'), 100)} is {there} there, {here} here")
            if "extended" in parts[part]:
                words.append("motion channels start at zero")
            lines.append(f"  {printable(part, 100):22s}{', '.join(words)}")
        return "\n".join(lines)


def load_networks(source: Checkpoint, G: torch.nn.Module, D: torch.nn.Module, G_ema: torch.nn.Module) -> str:
    """Start networks of a training run from a checkpoint; returns what there is to tell.

    An image model starts a video model with what fits. Otherwise raises `ValueError` where a tensor has
    another shape here.
    """
    average = source.network(source.generator_key)
    if average.is_image_model and G.num_frames != 1:
        return _start_from_images(source, G, D, G_ema)
    for key, network in (("G", G), ("D", D), ("G_ema", G_ema)):
        if key in source.readers:
            misc.copy_params_and_buffers(source.build(key), network)
    if "G" not in source.readers:
        misc.copy_params_and_buffers(G_ema, G)
    return f"Networks from {source.path} ({source.format})"


def _start_from_images(source: Checkpoint, G: torch.nn.Module, D: torch.nn.Module, G_ema: torch.nn.Module) -> str:
    """Copy what fits of an image model; what it does not bring stays equal in G and G_ema. Returns a table."""
    average = source.network(source.generator_key)
    report = transfer(G_ema, average.state)
    transfer(G, source.network("G").state if "G" in source.readers else average.state)
    lines = [report.table(f"Generator from {source.path} ({source.format}), tensors by part:")]
    discriminator, reason = source.discriminator()
    if discriminator is not None:
        lines.append(transfer(D, discriminator.state).table("Discriminator:"))
    else:
        lines.append(f"Discriminator: new ({reason})")
    return "\n".join(lines)


def _part(name: str) -> str:
    """The part of a network that a tensor is told of under."""
    pieces = name.split(".")
    depth = 2 if pieces[0] == "synthesis" or name.startswith("mapping.motion") else 1
    return ".".join(pieces[:depth])


def _natural(part: str) -> tuple[str, int]:
    head, _, tail = part.rpartition("b")
    return (head, int(tail)) if re.fullmatch("[0-9]{1,9}", tail) else (part, 0)


@torch.no_grad()
def transfer(network: torch.nn.Module, state: dict[str, torch.Tensor]) -> Transfer:
    """Copy into `network` the tensors of `state` that fit it.

    Of an image generator, what goes into the first layer of a video generator fills its content
    channels; the weights of the motion channels become zero, so that every frame of a video is the
    image model's image.
    """
    own, report = network.state_dict(), Transfer()
    for name, target in own.items():
        source = state.get(name)
        if source is None:
            report.new.append(name)
        elif source.shape == target.shape:
            target.copy_(source)
            report.copied.append(name)
        elif name in MOTION_AXIS and (content := content_part(target, name, source)) is not None:
            if name == "synthesis.b4.conv1.weight":
                target.zero_()
            content.copy_(source)
            report.extended.append(name)
        else:
            report.misfits[name] = (list(source.shape), list(target.shape))
    report.unused = [name for name in state if name not in own]
    return report


def content_part(video: torch.Tensor, name: str, image: torch.Tensor) -> torch.Tensor | None:
    """The content channels of a first-layer tensor of a video generator, if an image model's has their shape."""
    axis = MOTION_AXIS[name]
    if video.ndim != image.ndim or image.shape[axis] > video.shape[axis]:
        return None
    content = video.narrow(axis, 0, image.shape[axis])
    return content if content.shape == image.shape else None
