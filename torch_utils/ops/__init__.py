"""The image operations of the StyleGAN family, for any device and any order of differentiation.

Every op has a reference in plain PyTorch. Some ops also have a CUDA kernel, in the `.cu` file of the op's name.
"""

import importlib
from types import ModuleType

__all__ = [
    "bias_act",
    "conv2d_gradfix",
    "conv2d_resample",
    "filtered_lrelu",
    "fma",
    "grid_sample_gradfix",
    "upfirdn2d",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
