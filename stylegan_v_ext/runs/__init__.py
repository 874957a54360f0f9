"""Training runs from beginning to end: check the data, decide on everything, make the run folder, train, go on.

from stylegan_v_ext import TrainOptions, train, resume

snapshot = train(TrainOptions(data="clips.zip", kimg=100))
snapshot = resume(snapshot.parent, kimg=200)
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylegan_v_ext.runs.continuation import resume
    from stylegan_v_ext.runs.description import describe
    from stylegan_v_ext.runs.folder import latest_run, make_run_dir
    from stylegan_v_ext.runs.launch import start, train
    from stylegan_v_ext.runs.plan import Plan, prepare

_MODULES = {
    "Plan": "plan",
    "describe": "description",
    "latest_run": "folder",
    "make_run_dir": "folder",
    "prepare": "plan",
    "resume": "continuation",
    "start": "launch",
    "train": "launch",
}
__all__ = ["Plan", "describe", "latest_run", "make_run_dir", "prepare", "resume", "start", "train"]


def __getattr__(name: str) -> object:
    """Import the module of a public name when the name is used for the first time."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
