"""A network as data: which of our classes, made with which arguments, holding which tensors."""

import functools
import hashlib
import inspect
import json
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

import dnnlib
from stylegan_v_ext.checkpoints.machine import CheckpointError

CLASSES = {
    "VideoGenerator": "stylegan_v_ext.networks.generator.VideoGenerator",
    "ImageGenerator": "stylegan_v_ext.networks.image.ImageGenerator",
    "AliasFreeGenerator": "stylegan_v_ext.networks.alias_free.AliasFreeGenerator",
    "TimeConditionedDiscriminator": "stylegan_v_ext.networks.discriminator.TimeConditionedDiscriminator",
}


@dataclass
class NetworkData:
    """A network that can be built, written and compared without the code it came with.

    class_name: of `CLASSES`. kwargs: its arguments, plain values. state: tensors by their names in
    it. notes: what had to be decided on the way, for people.
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
        """Raise `CheckpointError` unless the arguments are those of the class, and of the right kinds."""
        if self.class_name not in CLASSES:
            raise CheckpointError(f"a {self.class_name}; known classes are {', '.join(CLASSES)}")
        try:
            inspect.signature(dnnlib.util.get_obj_by_name(CLASSES[self.class_name])).bind(**self.kwargs)
        except TypeError as error:
            raise CheckpointError(f"a {self.class_name} with odd arguments ({error})") from None
        for name, value in self.kwargs.items():
            kind: type = dict if name.endswith("_kwargs") else int
            absent = value is None and kind is dict
            if name in _CHECKED and not absent and not isinstance(value, kind):
                raise CheckpointError(f"a {self.class_name} with {name} {value!r}, which is no {kind.__name__}")
        period = (self.kwargs.get("motion_kwargs") or {}).get("min_period", 16)
        if not isinstance(period, (int, float)):
            raise CheckpointError(f"a {self.class_name} with min_period {period!r}, which is no number")

    def build(self) -> torch.nn.Module:
        """The network, on the CPU in eval mode; its tensors are those of `state`, not copies.

        Raises `CheckpointError` where the parts do not fit.
        """
        self.check()
        try:
            with _Sparingly(self.state):
                network = dnnlib.util.construct_class_by_name(class_name=CLASSES[self.class_name], **self.kwargs)
            network.load_state_dict(self.state, assign=True)
        except Exception as error:  # arguments and tensors are whatever the file says
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            reason = lines[1] if len(lines) > 1 and lines[0].startswith("Error(s) in loading") else lines[0]
            raise CheckpointError(f"does not fit its class here ({reason})") from None
        return network.float().eval().requires_grad_(False)

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


def keyword_arguments(class_name: str, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of one of our classes, all by name and defaults too.

    Raises `ValueError` unless they are plain values.
    """
    parameters = inspect.signature(dnnlib.util.get_obj_by_name(CLASSES[class_name])).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
    try:
        return json.loads(json.dumps({**defaults, **dict(zip(parameters, args, strict=False)), **kwargs}))
    except TypeError as error:
        raise ValueError(f"{class_name} with arguments that are no plain values ({error})") from None


class _Sparingly(TorchFunctionMode):
    """Building a network for tensors that are there already.

    Weights that are about to be overwritten are not drawn, which saves most of the time of building.
    Arguments that ask for much larger or many more tensors than the file holds are refused before
    they take memory.
    """

    _MAKERS = (torch.randn, torch.rand, torch.zeros, torch.ones, torch.empty, torch.full, torch.eye, torch.arange,
               torch.linspace)  # fmt: skip

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        self._largest = 4 * max((tensor.numel() for tensor in state.values()), default=0) + 65_536
        self._calls = 20 * len(state) + 1_000

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func in self._MAKERS:
            self._calls -= 1
            if self._calls < 0 or _requested(func, args) > self._largest:
                raise CheckpointError("the arguments ask for far more than the tensors of the file")
        return (torch.empty if func is torch.randn else func)(*args, **(kwargs or {}))


def _requested(func: Any, args: tuple) -> int:
    """How many numbers a call of a function that makes tensors asks for."""
    if func is torch.linspace:
        return int(args[2])
    if func is torch.arange:
        return math.ceil(abs(args[-1])) if len(args) < 3 else abs(math.ceil((args[1] - args[0]) / args[2]))
    if func is torch.eye:
        return math.prod(args[:2]) if len(args) > 1 else args[0] ** 2
    sizes = args[0] if isinstance(args[0], (list, tuple)) else args[: 1 if func is torch.full else None]
    return math.prod(int(size) for size in sizes)


_BUFFERS = {
    "resample_filter", "noise_const", "w_avg", "freqs", "phase_scales", "up_filter", "down_filter", "magnitude_ema",
    "transform", "phases",
}  # fmt: skip
_CHECKED = {
    "c_dim", "img_resolution", "img_channels", "z_dim", "w_dim", "num_frames", "channel_base", "channel_max",
    "mapping_kwargs", "motion_kwargs",
}  # fmt: skip
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
