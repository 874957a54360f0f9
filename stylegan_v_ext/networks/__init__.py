"""The video generator and discriminator and their parts, one concept a file."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
    from stylegan_v_ext.networks.generator import VideoGenerator
    from stylegan_v_ext.networks.motion import MotionNetwork
    from stylegan_v_ext.networks.positional_encoding import AcyclicPositionalEncoding
    from stylegan_v_ext.networks.stylegan2 import ImageGenerator
    from stylegan_v_ext.networks.stylegan3 import AliasFreeGenerator

__all__ = [
    "AcyclicPositionalEncoding",
    "AliasFreeGenerator",
    "ImageGenerator",
    "MotionNetwork",
    "TimeConditionedDiscriminator",
    "VideoGenerator",
]

_MODULES = {
    "AcyclicPositionalEncoding": "positional_encoding",
    "AliasFreeGenerator": "stylegan3",
    "ImageGenerator": "stylegan2",
    "MotionNetwork": "motion",
    "TimeConditionedDiscriminator": "discriminator",
    "VideoGenerator": "generator",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
