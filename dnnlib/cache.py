"""The folder of the cache: downloads, compiled kernels and other files that can be made again."""

import os
from pathlib import Path

__all__ = ["make_cache_dir_path", "set_cache_dir"]

_cache_dir: str | None = None


def set_cache_dir(path: str) -> None:
    """Set the folder of the cache.

    Args:
        path: The folder.
    """
    global _cache_dir
    _cache_dir = path


def make_cache_dir_path(*paths: str) -> str:
    """Return a path below the folder of the cache: of `set_cache_dir`, `$DNNLIB_CACHE_DIR` or `~/.cache/dnnlib`.

    Args:
        paths: Parts of the path.

    Returns:
        The path.

    Raises:
        ValueError: If the user has no home folder.
    """
    base = _cache_dir or os.environ.get("DNNLIB_CACHE_DIR")
    if not base:
        try:
            base = os.path.join(Path.home(), ".cache", "dnnlib")
        except RuntimeError:
            raise ValueError("this user has no home folder for the cache; set DNNLIB_CACHE_DIR to a folder") from None
    return os.path.join(base, *paths)
