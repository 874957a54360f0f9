"""The built-in engine: loss, augmentation, training step, training loop, files of a run."""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = ["GanStep", "StyleGAN2Loss", "Trainer", "load_options", "load_state", "resume", "train"]

if TYPE_CHECKING:
    from stylegan_v_ext.engine.loss import StyleGAN2Loss
    from stylegan_v_ext.engine.saved_state import load_options, load_state
    from stylegan_v_ext.engine.step import GanStep
    from stylegan_v_ext.engine.trainer import Trainer
    from stylegan_v_ext.engine.training import resume, train
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "GanStep": "stylegan_v_ext.engine.step",
            "StyleGAN2Loss": "stylegan_v_ext.engine.loss",
            "Trainer": "stylegan_v_ext.engine.trainer",
            "load_options": "stylegan_v_ext.engine.saved_state",
            "load_state": "stylegan_v_ext.engine.saved_state",
            "resume": "stylegan_v_ext.engine.training",
            "train": "stylegan_v_ext.engine.training",
        },
    )
