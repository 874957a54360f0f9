"""Training runs from beginning to end: check the data, decide on everything, make the run folder, train, go on.

from stylegan_v_ext import TrainOptions, resume, train

snapshot = train(TrainOptions(data="clips.zip", kimg=100))
snapshot = resume(snapshot.parent, kimg=200)
"""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = ["Plan", "describe", "latest_run", "make_run_dir", "prepare", "resume", "start", "train"]

if TYPE_CHECKING:
    from stylegan_v_ext.runs.description import describe
    from stylegan_v_ext.runs.folder import latest_run, make_run_dir
    from stylegan_v_ext.runs.launch import start, train
    from stylegan_v_ext.runs.plan import Plan, prepare
    from stylegan_v_ext.runs.resuming import resume
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Plan": "stylegan_v_ext.runs.plan",
            "describe": "stylegan_v_ext.runs.description",
            "latest_run": "stylegan_v_ext.runs.folder",
            "make_run_dir": "stylegan_v_ext.runs.folder",
            "prepare": "stylegan_v_ext.runs.plan",
            "resume": "stylegan_v_ext.runs.resuming",
            "start": "stylegan_v_ext.runs.launch",
            "train": "stylegan_v_ext.runs.launch",
        },
    )
