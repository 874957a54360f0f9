"""Sources: everything at a path of the user that is a video, whatever its form."""

from stylegan_v_ext.data.sources.finding import Found, Source, find_sources

__all__ = ["Found", "Source", "find_sources"]
