"""Starting a network from the tensors of another network: tensors that fit are copied, the rest is reported."""

import math
import re
from dataclasses import dataclass, field
from typing import cast

import torch

from stylegan_v_ext.checkpoints.checkpoint import Checkpoint
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.text import printable

# Axis of the input channels in the tensors of the first layer; content comes before motion.
MOTION_AXIS = {
    "synthesis.b4.conv1.weight": 1,
    "synthesis.b4.conv1.affine.weight": 0,
    "synthesis.b4.conv1.affine.bias": 0,
}


@dataclass
class Transfer:
    """A report of how the tensors of a network were filled; tensors are given by their names in the network.

    Attributes:
        copied: Tensors that were copied whole.
        extended: Tensors that were copied to the content channels; their motion channels do nothing at first.
        fitted: Tensors that were copied without the channels of motion or classes, which are left out or do nothing at
            first.
        notes: Clauses about the whole network.
        new: Tensors that the other network does not have.
        misfits: Shapes (there, here) of the tensors that could not be copied.
        unused: Tensors of the other network that have no place here.
    """

    copied: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    fitted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    misfits: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether every tensor of both networks was copied whole."""
        return not (self.extended or self.fitted or self.new or self.misfits or self.unused)

    @property
    def has_layers(self) -> bool:
        """Whether the weights of some convolution of a generator were copied."""
        return any(
            re.fullmatch(r"synthesis\.b[0-9]+\.conv[01]\.weight", name) for name in [*self.copied, *self.extended]
        )

    def table(self, title: str) -> str:
        """Return a report with a title and a line for every part of the network."""
        parts: dict[str, dict[str, list[str]]] = {}
        kinds = {
            "copied": self.copied,
            "extended": self.extended,
            "fitted": self.fitted,
            "new": self.new,
            "not copied": list(self.misfits),
            "unused": self.unused,
        }
        for kind, names in kinds.items():
            for name in names:
                parts.setdefault(_part(name), {}).setdefault(kind, []).append(name)
        lines = [printable(title), *(f"  {printable(note)}" for note in self.notes)]
        for part in sorted(parts, key=_natural):
            words = [f"{len(names)} {kind}" for kind, names in parts[part].items()]
            first = next((name for name in parts[part].get("not copied", [])), None)
            if first is not None:
                there, here = self.misfits[first]
                words.append(f"{printable(first.removeprefix(part + '.'), 100)} is {there} there, {here} here")
            if "extended" in parts[part]:
                words.append("motion channels start at zero")
            if "fitted" in parts[part]:
                words.append("all but the channels of " + ("motion" if part == "synthesis.b4" else "classes"))
            lines.append(f"  {printable(part, 100):22s}{', '.join(words)}")
        return "\n".join(lines)


def load_networks(source: Checkpoint, G: torch.nn.Module, D: torch.nn.Module, G_ema: torch.nn.Module) -> str:
    """Start the networks of a training run from the tensors of a checkpoint that fit.

    Tensors that the checkpoint does not have stay equal in G and G_ema.

    Args:
        source: The checkpoint.
        G: Generator, changed in place.
        D: Discriminator, changed in place.
        G_ema: Averaged generator, changed in place.

    Returns:
        A report for the user, in several lines.

    Raises:
        CheckpointError: If a network of the checkpoint cannot be used.
    """
    average = source.network(source.generator_key)
    report = _transfer_network(G_ema, average)
    _transfer_network(G, source.network("G") if "G" in source.readers else average)
    if not report.has_layers:
        report.notes.append(
            "no convolution fits: leave out --cbase, --cmax and --latent-dim, which then follow the file"
        )
    discriminator, reason = source.discriminator()
    judged = None if discriminator is None else _transfer_network(D, discriminator)
    if report.is_complete and judged is not None and judged.is_complete:
        return f"Networks from {source.path} ({source.format})"
    lines = [report.table(f"Generator from {source.path} ({source.format}), tensors by part:")]
    lines += [f"  Note: {note}" for note in average.notes]
    lines.append(judged.table("Discriminator:") if judged is not None else f"Discriminator: new ({reason})")
    return "\n".join(lines)


def _transfer_network(network: torch.nn.Module, data: NetworkData) -> Transfer:
    return transfer(network, data.state, data.num_classes)


def _part(name: str) -> str:
    """Return the part of a network under which a tensor is reported."""
    pieces = name.split(".")
    depth = 2 if pieces[0] == "synthesis" or name.startswith("mapping.motion") else 1
    return ".".join(pieces[:depth])


def _natural(part: str) -> tuple[str, int]:
    head, _, tail = part.rpartition("b")
    return (head, int(tail)) if re.fullmatch("[0-9]{1,9}", tail) else (part, 0)


@torch.no_grad()
def transfer(network: torch.nn.Module, state: dict[str, torch.Tensor], num_classes: int | None = None) -> Transfer:
    """Copy into `network` the tensors of `state` that fit it.

    If the tensors come from an image generator and `network` makes videos, the first layer fills the content channels.
    The weights of the motion channels become zero, so that every frame of a video is the image of the image model. If
    the numbers of classes differ, everything except the embedding of the classes is kept.

    Args:
        network: The network, changed in place.
        state: Tensors of the other network by name.
        num_classes: Number of classes of the other network; None if it equals that of `network`.

    Returns:
        A report about all tensors.
    """
    own, report = network.state_dict(), Transfer()
    here = cast("int | None", getattr(network, "num_classes", None))
    classes = None if num_classes is None or here is None else Classes(num_classes, here)
    anew = classes is not None and classes.begin_anew(own, state, report.notes)
    for name, target in own.items():
        source = state.get(name)
        if source is None or (anew and name.startswith("mapping.embed.")):
            report.new.append(name)
        elif source.shape == target.shape:
            target.copy_(source)
            report.copied.append(name)
        elif name in MOTION_AXIS and (content := content_part(target, name, source)) is not None:
            if name == "synthesis.b4.conv1.weight":
                target.zero_()
            content.copy_(source)
            report.extended.append(name)
        elif name in MOTION_AXIS and (content := content_part(source, name, target)) is not None:
            target.copy_(content)
            report.fitted.append(name)
        elif classes is not None and classes.fit(name, own, state):
            report.fitted.append(name)
        else:
            report.misfits[name] = (list(source.shape), list(target.shape))
    report.unused = [name for name in state if name not in own]
    return report


@dataclass(frozen=True)
class Classes:
    """Copies layers between two networks that may have different numbers of classes.

    Attributes:
        there: Number of classes of the other network.
        here: Number of classes of this network.
    """

    there: int
    here: int

    def begin_anew(self, own: dict[str, torch.Tensor], state: dict[str, torch.Tensor], notes: list[str]) -> bool:
        """Return whether the embedding of the classes of a generator or an image discriminator is not copied.

        Args:
            own: Tensors of this network by name.
            state: Tensors of the other network by name.
            notes: Gets a clause if the classes differ.
        """
        if self.there == self.here:
            return False
        # The embedding of a discriminator with `time` holds classes and time.
        timed = any(name.startswith("time.") for name in own)
        parts = [] if timed or not self.here else ["mapping.embed starts anew"]
        notes.append(
            ": ".join([*parts, f"the model there has {_counted(self.there)}, this training {_counted(self.here)}"])
        )
        return not timed

    def fit(self, name: str, own: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> bool:
        """Copy the weights of a layer without the channels of classes, which become zero.

        The gain of the layer follows the number of all its channels, which differs here; the weights are scaled to make
        up for it.

        Args:
            name: Name of the weights.
            own: Tensors of this network by name.
            state: Tensors of the other network by name.

        Returns:
            Whether the weights were copied.
        """
        if name not in _CLASS_LAYERS or own[name].shape[0] != state[name].shape[0] or own[name].ndim < 2:
            return False
        target, source = own[name], state[name]
        ours, theirs = (
            tensors[name].shape[1] - _class_width(name, tensors, number)
            for tensors, number in ((own, self.here), (state, self.there))
        )
        if ours != theirs or ours < 1 or target.shape[2:] != source.shape[2:]:
            return False
        gain = 1.0 if name.endswith("weight_ih_l0") else math.sqrt(target.shape[1] / source.shape[1])
        at_end = name == "mapping.embed.weight"  # channels of classes come before those of time
        target.zero_()
        target.narrow(1, target.shape[1] - ours if at_end else 0, ours).copy_(
            source.narrow(1, source.shape[1] - ours if at_end else 0, ours) * gain
        )
        return True


_CLASS_LAYERS = (
    "mapping.fc0.weight",
    "mapping.motion.conv0.weight",
    "mapping.motion.lstm.weight_ih_l0",
    "mapping.embed.weight",
)


def _class_width(name: str, tensors: dict[str, torch.Tensor], num_classes: int) -> int:
    """Return how many input channels of a layer belong to classes."""
    if name == "mapping.fc0.weight" and num_classes:
        return len(tensors["mapping.embed.weight"])
    return num_classes


def _counted(num_classes: int) -> str:
    return ("1 class" if num_classes == 1 else f"{num_classes} classes") if num_classes else "no classes"


def content_part(video: torch.Tensor, name: str, image: torch.Tensor) -> torch.Tensor | None:
    """Return the content channels of a tensor of the first layer of a video generator.

    Args:
        video: The tensor.
        name: Its name, a key of `MOTION_AXIS`.
        image: The same tensor of an image model.

    Returns:
        A view of `video` with the shape of `image`; None if there is no such view.
    """
    axis = MOTION_AXIS[name]
    if video.ndim != image.ndim or image.shape[axis] > video.shape[axis]:
        return None
    content = video.narrow(axis, 0, image.shape[axis])
    return content if content.shape == image.shape else None
