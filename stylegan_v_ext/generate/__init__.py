"""From a trained generator to frames, and from frames to files.

    sampler = load("network-snapshot-000048.pkl")
    sampler.video(seed=3, frames=100).write("video.mp4")

`plan_videos` makes what `gen_video.py` makes: many videos, grids, interpolations, loops, mixed styles.
"""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = [
    "Video",
    "VideoLatents",
    "VideoName",
    "VideoRequest",
    "VideoSampler",
    "load",
    "load_latents",
    "plan_videos",
]

if TYPE_CHECKING:
    from stylegan_v_ext.generate.latents import VideoLatents, load_latents
    from stylegan_v_ext.generate.opening import load
    from stylegan_v_ext.generate.plan import plan_videos
    from stylegan_v_ext.generate.request import VideoRequest
    from stylegan_v_ext.generate.sampler import VideoName, VideoSampler
    from stylegan_v_ext.generate.video import Video
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Video": "stylegan_v_ext.generate.video",
            "VideoLatents": "stylegan_v_ext.generate.latents",
            "VideoName": "stylegan_v_ext.generate.sampler",
            "VideoRequest": "stylegan_v_ext.generate.request",
            "VideoSampler": "stylegan_v_ext.generate.sampler",
            "load": "stylegan_v_ext.generate.opening",
            "load_latents": "stylegan_v_ext.generate.latents",
            "plan_videos": "stylegan_v_ext.generate.plan",
        },
    )
