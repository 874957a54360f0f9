"""StyleGAN-V, a continuous-time video GAN: a plugin for StyleGAN2-ADA / StyleGAN3 codebases that also works alone.

    import stylegan_v_ext

    sampler = stylegan_v_ext.load("network-snapshot-000048.pkl")
    sampler.video(seed=3, frames=100).write("video.mp4")

Each name imports its module at first use, so that `import stylegan_v_ext` does not import PyTorch.
"""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__version__ = "0.2.0"

__all__ = [
    "SparseVideoDataset",
    "StoppedBySignal",
    "TrainOptions",
    "Video",
    "VideoGenerator",
    "VideoSampler",
    "edit",
    "load",
    "measure",
    "project",
    "resume",
    "swap_layers",
    "train",
]

if TYPE_CHECKING:
    from stylegan_v_ext.config import TrainOptions
    from stylegan_v_ext.data.dataset import SparseVideoDataset
    from stylegan_v_ext.editing import edit, project, swap_layers
    from stylegan_v_ext.generate import Video, VideoSampler, load
    from stylegan_v_ext.interrupts import StoppedBySignal
    from stylegan_v_ext.metrics import measure
    from stylegan_v_ext.networks.generator import VideoGenerator
    from stylegan_v_ext.runs import resume, train
else:
    _modules = {
        "config": ["TrainOptions"],
        "data.dataset": ["SparseVideoDataset"],
        "editing": ["edit", "project", "swap_layers"],
        "generate": ["Video", "VideoSampler", "load"],
        "interrupts": ["StoppedBySignal"],
        "metrics": ["measure"],
        "networks.generator": ["VideoGenerator"],
        "runs": ["resume", "train"],
    }
    __getattr__, __dir__ = lazy_names(
        __name__, {name: f"{__name__}.{module}" for module, names in _modules.items() for name in names}
    )
