"""A network as data: its class, the arguments of the constructor, and the tensors."""

import functools
import hashlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import dnnlib
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.values import brief
from stylegan_v_ext.classes import SLOTS

_PATHS = (
    *SLOTS["generator"],
    "stylegan_v_ext.networks.stylegan2.ImageGenerator",
    "stylegan_v_ext.networks.stylegan3.AliasFreeGenerator",
    *SLOTS["discriminator"],
)
CLASSES = {path.rpartition(".")[2]: path for path in _PATHS}
"""Classes of the networks in checkpoints, by name: those of a training run, and those of images."""
_GENERATORS = ("VideoGenerator", "ImageGenerator", "AliasFreeGenerator")
ROLES = {"G": _GENERATORS, "G_ema": _GENERATORS, "D": ("TimeConditionedDiscriminator",)}
_MAX_RESOLUTION = 8192  # pixels, the same bound as for data
_MAX_MARGIN = 1024  # pixels
_MAX_ARGUMENTS = 1000
_MAX_ARGUMENT = 1 << 40  # largest number; the numbers of real networks are far below it
_MAX_TEXT = 300  # characters
_GREED = "the arguments ask for far more than the tensors of the file"


@dataclass
class NetworkData:
    """A network that can be built, written and compared without the code it came with.

    Attributes:
        class_name: Name of its class, a key of `CLASSES`.
        kwargs: Keyword arguments of its constructor, plain values.
        state: Tensors by their names in the network.
        notes: Sentences about decisions that were needed to read it.
    """

    class_name: str
    kwargs: dict[str, Any]
    state: dict[str, torch.Tensor]
    notes: list[str] = field(default_factory=list)

    @property
    def num_frames(self) -> int | None:
        """Frames of a clip, 1 for StyleGAN2's image networks; None if labels hold no timestamps."""
        return self.kwargs.get("num_frames", 3) if self.class_name in _TIMED else None

    @property
    def num_classes(self) -> int:
        """Number of classes, 0 for an unconditional network."""
        return self.kwargs["c_dim"] - (self.num_frames or 0)

    def check(self) -> None:
        """Compare class, arguments and tensors with each other; this takes no memory for a network.

        Raises:
            CheckpointError: Unless the arguments are plain values that describe a network of these tensors.
        """
        self._on_paper()

    def build(self) -> torch.nn.Module:
        """Build the network.

        Returns:
            The network on the CPU in eval mode; it holds the tensors of `state`, not copies.

        Raises:
            CheckpointError: If class, arguments and tensors do not fit.
        """
        return self._on_paper().float().eval().requires_grad_(requires_grad=False)

    def check_arguments(self) -> None:
        """Raise `CheckpointError` unless the class takes these arguments, and their values have the right types."""
        cls = network_class(self.class_name)
        _check_plain(self.kwargs)
        try:
            inspect.signature(cls).bind(**self.kwargs)
        except TypeError as error:
            raise CheckpointError(f"a {self.class_name} with odd arguments ({error})") from None
        for name, value in self.kwargs.items():
            kind: type = dict if name.endswith("_kwargs") else int
            absent = value is None and kind is dict
            if name in _CHECKED and not absent and not isinstance(value, kind):
                raise CheckpointError(f"a {self.class_name} with {name} {brief(value)}, which is no {kind.__name__}")
        period = (self.kwargs.get("motion_kwargs") or {}).get("min_period", 16)
        if not isinstance(period, (int, float)):
            raise CheckpointError(f"a {self.class_name} with min_period {brief(period)}, which is no number")
        # No tensor shows these sizes, and pictures grow with them.
        for name, most in (("img_resolution", _MAX_RESOLUTION), ("margin_size", _MAX_MARGIN)):
            value = self.kwargs.get(name, 0)
            if not isinstance(value, (int, float)) or not 0 <= value <= most:
                raise CheckpointError(f"{_GREED}: {name} is {brief(value)}, {most} is the most")

    def _on_paper(self) -> torch.nn.Module:
        """Return the network with the tensors of `state`.

        It is built without memory (on PyTorch's "meta" device) until every tensor has its place.
        """
        self.check_arguments()
        try:
            with torch.device("meta"), np.errstate(all="ignore"):
                network = network_class(self.class_name)(**self.kwargs)
            self._refuse_greed(network)
            network.load_state_dict(self.state, assign=True)
        except CheckpointError:
            raise
        except Exception as error:  # arguments and tensors of the file may be anything
            if "overflow" in str(error):  # a size in the arguments is too large
                raise CheckpointError(_GREED) from None
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            reason = lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else lines[0]
            raise CheckpointError(f"does not fit its class here ({reason})") from None
        return network

    def _refuse_greed(self, network: torch.nn.Module) -> None:
        asked = sum(tensor.numel() for tensor in network.state_dict().values())
        held = sum(tensor.numel() for tensor in self.state.values())
        if asked > 2 * held + 65_536:
            raise CheckpointError(f"{_GREED}: {asked:,} numbers, {held:,} are there")

    def find_not_finite(self) -> list[str]:
        """Return the names of the tensors that hold NaN, infinity, or numbers that are infinite in float32."""
        return [
            name
            for name, tensor in self.state.items()
            if tensor.is_floating_point() and not bool(tensor.to(torch.float32).isfinite().all())
        ]

    @property
    def num_parameters(self) -> int:
        """Number of trained parameters."""
        return sum(tensor.numel() for name, tensor in self.state.items() if name.split(".")[-1] not in _BUFFERS)

    @property
    def is_image_model(self) -> bool:
        """Whether this is StyleGAN2's image generator."""
        return self.class_name == "VideoGenerator" and self.num_frames == 1

    @classmethod
    def of(cls, network: torch.nn.Module) -> "NetworkData":
        """Describe a live network of one of our classes.

        Args:
            network: The network, of a persistent class.

        Returns:
            The same network as data; the tensors are shared, not copied.
        """
        name = type(network).__name__
        made: Any = network  # persistent classes keep the arguments of their constructor
        return cls(name, keyword_arguments(name, made.init_args, made.init_kwargs), dict(network.state_dict()))


def network_class(name: str) -> type[torch.nn.Module]:
    """Return the class of a name in `CLASSES`. Raises `CheckpointError` for any other name."""
    if name not in CLASSES:
        raise CheckpointError(f"a {name}; known classes are {', '.join(CLASSES)}")
    return dnnlib.util.get_obj_by_name(CLASSES[name])


def keyword_arguments(class_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments of one of our classes by name, with defaults.

    Args:
        class_name: A key of `CLASSES`.
        args: Positional arguments.
        kwargs: Keyword arguments.

    Returns:
        Plain values by name.

    Raises:
        CheckpointError: If the class is unknown, or if a value is not plain.
    """
    parameters = inspect.signature(network_class(class_name)).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    given = {**defaults, **dict(zip(parameters, args, strict=False)), **kwargs}
    _check_plain(given)
    return json.loads(json.dumps(given))


def _check_plain(arguments: dict[str, Any]) -> None:
    """Raise `CheckpointError` unless the arguments are a few short texts and finite numbers, perhaps in containers."""
    pending: list[tuple[str, Any]] = [("", arguments)]
    for _ in range(_MAX_ARGUMENTS):
        if not pending:
            return
        name, value = pending.pop()
        if isinstance(value, (list, tuple, dict)):
            if len(value) > _MAX_ARGUMENTS:
                raise CheckpointError(f"{name or 'the arguments'}: {brief(value)}; {_MAX_ARGUMENTS} are the most")
            pending += _named_items(name, value)
        elif isinstance(value, (int, float)):
            if not -_MAX_ARGUMENT <= value <= _MAX_ARGUMENT:  # both comparisons are false for NaN
                raise CheckpointError(f"{name} is {brief(value)}, which is no finite number up to {_MAX_ARGUMENT}")
        elif not isinstance(value, (str, type(None))) or len(value or "") > _MAX_TEXT:
            raise CheckpointError(f"{name} is {brief(value)}; arguments are plain values, texts of {_MAX_TEXT} letters")
    raise CheckpointError(f"more than {_MAX_ARGUMENTS} arguments")


def _named_items(name: str, value: dict[Any, Any] | Sequence[Any]) -> list[tuple[str, Any]]:
    """Return the items of a container, each with the name of its argument."""
    if not isinstance(value, dict):
        return [(name, item) for item in value]
    for key in value:
        if not isinstance(key, str) or len(key) > _MAX_TEXT:
            raise CheckpointError(f"an argument is named {brief(key)}, which is no short text")
    return list(value.items())


_BUFFERS = {
    "resample_filter",
    "noise_const",
    "w_avg",
    "freqs",
    "phase_scales",
    "up_filter",
    "down_filter",
    "magnitude_ema",
    "transform",
    "phases",
}
_CHECKED = {
    "c_dim",
    "img_resolution",
    "img_channels",
    "z_dim",
    "w_dim",
    "num_frames",
    "channel_base",
    "channel_max",
    "mapping_kwargs",
    "motion_kwargs",
}
_TIMED = ("VideoGenerator", "TimeConditionedDiscriminator")


def capacity(channels: dict[int, int]) -> dict[str, int]:
    """Find `channel_base` and `channel_max` with min(channel_base // resolution, channel_max) channels.

    Args:
        channels: Channels by resolution.

    Returns:
        Both arguments by name.

    Raises:
        CheckpointError: If no such numbers exist.
    """
    largest = max(channels.values())
    below = [count * resolution for resolution, count in channels.items() if count < largest]
    base = max(below) if below else largest * max(channels)
    if any(min(base // resolution, largest) != count for resolution, count in channels.items()):
        listed = ", ".join(f"{resolution}: {count}" for resolution, count in sorted(channels.items()))
        raise CheckpointError(f"channels {listed} do not follow min(base / resolution, max)")
    return {"channel_base": base, "channel_max": largest}


def count_layers(state: dict[str, torch.Tensor], prefix: str) -> int:
    """Count the tensors `{prefix}0.weight`, `{prefix}1.weight`, ... up to the first gap."""
    number = 0
    while f"{prefix}{number}.weight" in state:
        number += 1
    return number


def resolutions(state: dict[str, torch.Tensor], prefix: str, layer: str) -> list[int]:
    """Return the resolutions `res` for which `{prefix}b{res}.{layer}.weight` is there, ascending."""
    found = []
    resolution = 4
    while resolution <= 1 << 16:
        if f"{prefix}b{resolution}.{layer}.weight" in state:
            found.append(resolution)
        resolution *= 2
    return found


@functools.cache
def known_sources() -> dict[str, str]:
    """Return the files of this package that define networks, by the SHA-256 of their text."""
    modules = [inspect.getmodule(dnnlib.util.get_obj_by_name(name)) for name in CLASSES.values()]
    return {
        hashlib.sha256(inspect.getsource(module).encode()).hexdigest(): module.__name__.replace(".", "/") + ".py"
        for module in modules
        if module is not None
    }
