"""Small helpers shared by every StyleGAN codebase: configuration dicts, logging, downloads.

The public names follow NVLabs' `dnnlib`, so stock training, metric and script code imports this
package unchanged.
"""

from .util import EasyDict, make_cache_dir_path

__all__ = ["EasyDict", "make_cache_dir_path"]
