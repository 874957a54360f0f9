"""PyTorch infrastructure that the StyleGAN codebases share: persistence, statistics, ops.

The public names follow NVIDIA's `torch_utils`, so that stock code and old pickles import this package unchanged.
"""

import importlib
from types import ModuleType

__all__ = ["custom_ops", "misc", "ops", "persistence", "training_stats"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
