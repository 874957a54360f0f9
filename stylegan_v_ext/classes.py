"""The classes that a name in a file may stand for.

Options of run folders and checkpoints name classes, and both may come from strangers. Every such name fills a slot. A
slot has a short list of names, and a name outside of the list is refused before anything is imported.
"""

import inspect
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import dnnlib
from stylegan_v_ext.text import printable

__all__ = ["FRAME_DATASET", "RENAMED", "SLOTS", "VIDEO_DATASET", "check", "construct", "shown_value"]

VIDEO_DATASET = "stylegan_v_ext.data.dataset.SparseVideoDataset"
FRAME_DATASET = "stylegan_v_ext.data.frames.FrameDataset"

SLOTS: dict[str, tuple[str, ...]] = {
    "data set": (VIDEO_DATASET,),
    "generator": ("stylegan_v_ext.networks.generator.VideoGenerator",),
    "discriminator": ("stylegan_v_ext.networks.discriminator.TimeConditionedDiscriminator",),
    "augmentation": ("stylegan_v_ext.engine.augment.AugmentPipe",),
    "loss": ("stylegan_v_ext.engine.loss.StyleGAN2Loss",),
    "optimizer": ("torch.optim.Adam",),
    # Classes of a checkout, which the checkout looks up by name itself.
    "data set of a host": (VIDEO_DATASET, FRAME_DATASET, "training.dataset.ImageFolderDataset"),
    "loss of a host": ("training.loss.StyleGAN2Loss",),
    "augmentation of a host": ("stylegan_v_ext.host.augment.ClipAugmentPipe",),
    "image augmentation of a host": ("training.augment.AugmentPipe",),
}

RENAMED = {"stylegan_v_ext.engine.steps.StyleGAN2Loss": "stylegan_v_ext.engine.loss.StyleGAN2Loss"}
"""Names that files of version 0.1.0 hold, and the names of the same classes today."""


Constructed: TypeAlias = Any
"""An object of one of the classes of a slot: the caller knows which class, the type checker does not."""


def construct(slot: str, described: Mapping[str, Any], **own: object) -> Constructed:
    """Make the object that a file describes.

    Args:
        slot: A key of `SLOTS`.
        described: `class_name` and keyword arguments, as the file has them.
        own: Keyword arguments that the program adds; the file may not give them.

    Returns:
        An object of a class of the slot.

    Raises:
        ValueError: If the slot does not take the class, or the class does not take the arguments.
    """
    check(slot, described, own)
    arguments = {name: value for name, value in described.items() if name != "class_name"}
    name = described["class_name"]
    cls = dnnlib.util.get_obj_by_name(RENAMED.get(name, name))
    try:
        inspect.signature(cls).bind(**arguments, **own)
    except TypeError as error:
        raise ValueError(f"the {slot} has odd arguments ({error})") from None
    return cls(**arguments, **own)


def check(slot: str, described: object, own: Collection[str] = ()) -> None:
    """Check that a file describes a class of the slot, with arguments that the class has, of types that it takes.

    Args:
        slot: A key of `SLOTS`.
        described: What the file has in place of `class_name` and keyword arguments.
        own: Names of arguments that the file may not give.

    Raises:
        ValueError: If the slot does not take the class, or the class does not take an argument.
    """
    if not isinstance(described, Mapping):
        raise ValueError(f"the {slot} is described by a {type(described).__name__}, expected an object")
    name = described.get("class_name")
    name = RENAMED.get(name, name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in SLOTS[slot]:
        shown = printable(name, 100) if isinstance(name, str) else f"a {type(name).__name__}"
        raise ValueError(f"the {slot} is of the class {shown}, which is not one of {', '.join(SLOTS[slot])}")
    parameters = inspect.signature(dnnlib.util.get_obj_by_name(name)).parameters
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    short = name.rpartition(".")[2]
    for key, value in described.items():
        if key == "class_name":
            continue
        if key in own or not (key in parameters or open_ended):
            raise ValueError(
                f"the {slot} has an argument {printable(key, 100)}, which {short} does not take from a file"
            )
        if key in parameters and not _is_of_kind(value, parameters[key].annotation):
            raise ValueError(f"the {slot} has {printable(key, 100)} = {shown_value(value)}, which {short} cannot use")


def shown_value(value: object) -> str:
    """Return a value from a file as text for a message, containers and long numbers by their type alone.

    Args:
        value: Object of any type.
    """
    if value is None or isinstance(value, (bool, float)):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() <= 64 else f"a number of {value.bit_length()} bits"
    return repr(printable(value, 60)) if isinstance(value, str) else f"a {type(value).__name__}"


def _is_of_kind(value: object, kind: object) -> bool:
    """Return whether a plain value fits an annotation; every value fits annotations of other types."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_is_of_kind(value, one) for one in arguments)
    if origin is dict:
        return isinstance(value, dict)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, (list, tuple)) and all(_is_of_kind(entry, arguments[0]) for entry in value)
    if kind in (None, type(None)):
        return value is None
    if kind is bool:
        return isinstance(value, bool) or (type(value) is int and value in (0, 1))
    if kind is int:
        return type(value) is int
    if kind is float:
        return type(value) in (int, float) and value == value  # NaN is no number
    return isinstance(value, str) if kind is str else True
