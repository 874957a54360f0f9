"""The video generator and discriminator and their parts, one concept a file."""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = [
    "AcyclicPositionalEncoding",
    "AliasFreeGenerator",
    "ImageGenerator",
    "MotionNetwork",
    "TimeConditionedDiscriminator",
    "VideoGenerator",
]

if TYPE_CHECKING:
    from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
    from stylegan_v_ext.networks.generator import VideoGenerator
    from stylegan_v_ext.networks.motion import MotionNetwork
    from stylegan_v_ext.networks.positional_encoding import AcyclicPositionalEncoding
    from stylegan_v_ext.networks.stylegan2 import ImageGenerator
    from stylegan_v_ext.networks.stylegan3 import AliasFreeGenerator
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "AcyclicPositionalEncoding": "stylegan_v_ext.networks.positional_encoding",
            "AliasFreeGenerator": "stylegan_v_ext.networks.stylegan3",
            "ImageGenerator": "stylegan_v_ext.networks.stylegan2",
            "MotionNetwork": "stylegan_v_ext.networks.motion",
            "TimeConditionedDiscriminator": "stylegan_v_ext.networks.discriminator",
            "VideoGenerator": "stylegan_v_ext.networks.generator",
        },
    )
