"""Small helpers that the StyleGAN codebases share: configuration dicts, logging, downloads.

The public names follow NVIDIA's `dnnlib`, so that stock code imports this package unchanged.
"""

from .util import EasyDict, make_cache_dir_path

__all__ = ["EasyDict", "make_cache_dir_path"]
