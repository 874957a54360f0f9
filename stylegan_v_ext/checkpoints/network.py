"""A network as data: which of our classes, made with which arguments, holding which tensors."""

import functools
import hashlib
import inspect
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import dnnlib
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.values import brief

CLASSES = {
    "VideoGenerator": "stylegan_v_ext.networks.generator.VideoGenerator",
    "ImageGenerator": "stylegan_v_ext.networks.stylegan2.ImageGenerator",
    "AliasFreeGenerator": "stylegan_v_ext.networks.stylegan3.AliasFreeGenerator",
    "TimeConditionedDiscriminator": "stylegan_v_ext.networks.discriminator.TimeConditionedDiscriminator",
}
_GENERATORS = ("VideoGenerator", "ImageGenerator", "AliasFreeGenerator")
ROLES = {"G": _GENERATORS, "G_ema": _GENERATORS, "D": ("TimeConditionedDiscriminator",)}
_MAX_RESOLUTION = 8192  # pixels, as for data
_MAX_MARGIN = 1024  # pixels
_MAX_ARGUMENTS = 1000
_MAX_ARGUMENT = 1 << 40  # largest number, and far above the largest of a real network
_MAX_TEXT = 300  # characters
_GREED = "the arguments ask for far more than the tensors of the file"


@dataclass
class NetworkData:
    """A network that can be built, written and compared without the code it came with.

    Attributes:
        class_name: Of `CLASSES`.
        kwargs: Its arguments, plain values.
        state: Tensors by their names in it.
        notes: What had to be decided on the way, for people.
    """

    class_name: str
    kwargs: dict[str, Any]
    state: dict[str, torch.Tensor]
    notes: list[str] = field(default_factory=list)

    @property
    def num_frames(self) -> int | None:
        """Frames a clip, 1 for StyleGAN2's image networks; `None` where labels hold no timestamps."""
        return self.kwargs.get("num_frames", 3) if self.class_name in _TIMED else None

    @property
    def num_classes(self) -> int:
        return self.kwargs["c_dim"] - (self.num_frames or 0)

    def check(self) -> None:
        """Compare class, arguments and tensors with each other, without memory for a network.

        Raises `CheckpointError` unless the arguments are plain values that describe a network of these tensors.
        """
        self._on_paper()

    def build(self) -> torch.nn.Module:
        """The network, on the CPU in eval mode; its tensors are those of `state`, not copies.

        Raises `CheckpointError` if the parts do not fit.
        """
        return self._on_paper().float().eval().requires_grad_(False)

    def check_arguments(self) -> None:
        """Raise `CheckpointError` unless the arguments are those of the class, and of the right kinds."""
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
        # No tensor shows these, and pictures grow with them.
        for name, most in (("img_resolution", _MAX_RESOLUTION), ("margin_size", _MAX_MARGIN)):
            value = self.kwargs.get(name, 0)
            if not isinstance(value, (int, float)) or not 0 <= value <= most:
                raise CheckpointError(f"{_GREED}: {name} is {brief(value)}, {most} is the most")

    def _on_paper(self) -> torch.nn.Module:
        """The network with the tensors of `state` themselves.

        It is laid out without memory (on PyTorch's "meta" device) until every tensor has its place.
        """
        self.check_arguments()
        try:
            with torch.device("meta"), np.errstate(all="ignore"):
                network = network_class(self.class_name)(**self.kwargs)
            self._refuse_greed(network)
            network.load_state_dict(self.state, assign=True)
        except CheckpointError:
            raise
        except Exception as error:  # arguments and tensors are whatever the file says
            if "overflow" in str(error):  # of a size
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
        """Names of the tensors that hold NaN or infinite numbers, or numbers that become infinite in float32."""
        return [
            name
            for name, tensor in self.state.items()
            if tensor.is_floating_point() and not bool(tensor.to(torch.float32).isfinite().all())
        ]

    @property
    def num_parameters(self) -> int:
        """Numbers that training moves."""
        return sum(tensor.numel() for name, tensor in self.state.items() if name.split(".")[-1] not in _BUFFERS)

    @property
    def is_image_model(self) -> bool:
        """Whether this is StyleGAN2's image generator."""
        return self.class_name == "VideoGenerator" and self.num_frames == 1

    @classmethod
    def of(cls, network: Any) -> "NetworkData":
        """A live network of one of our classes. The tensors are its own, not copies."""
        name = type(network).__name__
        return cls(name, keyword_arguments(name, network.init_args, network.init_kwargs), dict(network.state_dict()))


def network_class(name: str) -> Any:
    """The class of this name in `CLASSES`. Raises `CheckpointError` for all others."""
    if name not in CLASSES:
        raise CheckpointError(f"a {name}; known classes are {', '.join(CLASSES)}")
    return dnnlib.util.get_obj_by_name(CLASSES[name])


def keyword_arguments(class_name: str, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of one of our classes, all by name and defaults too.

    Raises `ValueError` unless they are plain values.
    """
    parameters = inspect.signature(network_class(class_name)).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    given = {**defaults, **dict(zip(parameters, args, strict=False)), **kwargs}
    _check_plain(given)
    return json.loads(json.dumps(given))


def _check_plain(arguments: dict[str, Any]) -> None:
    """Raise `CheckpointError` unless these are few short texts and finite numbers, in dictionaries and lists."""
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
            if not -_MAX_ARGUMENT <= value <= _MAX_ARGUMENT:  # neither is NaN
                raise CheckpointError(f"{name} is {brief(value)}, which is no finite number up to {_MAX_ARGUMENT}")
        elif not isinstance(value, (str, type(None))) or len(value or "") > _MAX_TEXT:
            raise CheckpointError(f"{name} is {brief(value)}; arguments are plain values, texts of {_MAX_TEXT} letters")
    raise CheckpointError(f"more than {_MAX_ARGUMENTS} arguments")


def _named_items(name: str, value: Any) -> list[tuple[str, Any]]:
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
    """`channel_base` and `channel_max` that give these channels by resolution: min(base // res, max)."""
    largest = max(channels.values())
    below = [count * resolution for resolution, count in channels.items() if count < largest]
    base = max(below) if below else largest * max(channels)
    if any(min(base // resolution, largest) != count for resolution, count in channels.items()):
        listed = ", ".join(f"{resolution}: {count}" for resolution, count in sorted(channels.items()))
        raise CheckpointError(f"channels {listed} do not follow min(base / resolution, max)")
    return {"channel_base": base, "channel_max": largest}


def count_layers(state: dict[str, torch.Tensor], prefix: str) -> int:
    """How many of `{prefix}0.weight`, `{prefix}1.weight`, ... there are."""
    number = 0
    while f"{prefix}{number}.weight" in state:
        number += 1
    return number


def resolutions(state: dict[str, torch.Tensor], prefix: str, layer: str) -> list[int]:
    """Resolutions of the blocks `{prefix}b{res}.{layer}.weight`, ascending."""
    found = []
    resolution = 4
    while resolution <= 1 << 16:
        if f"{prefix}b{resolution}.{layer}.weight" in state:
            found.append(resolution)
        resolution *= 2
    return found


@functools.cache
def known_sources() -> dict[str, str]:
    """File of this package by the SHA-256 of its text, for the modules of our networks."""
    modules = [inspect.getmodule(dnnlib.util.get_obj_by_name(name)) for name in CLASSES.values()]
    return {
        hashlib.sha256(inspect.getsource(module).encode()).hexdigest(): module.__name__.replace(".", "/") + ".py"
        for module in modules
        if module is not None
    }
