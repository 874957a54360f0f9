"""The name of `networks.stylegan2` in version 0.1.0: the code inside snapshots of that version imports it."""

from stylegan_v_ext.networks.stylegan2 import ImageGenerator

__all__ = ["ImageGenerator"]
