"""Sources: the videos at a path that the user names, in any form, and what is known about them.

`finding.py` finds them. `arrays.py` reads clips of NumPy. `counterparts.py` notes videos that may be there twice.
`class_folders.py` takes classes from folders, and `carried.py` collects what a converted data set keeps of its sources.
"""

from stylegan_v_ext.data.sources.finding import Found, Source, find_sources

__all__ = ["Found", "Source", "find_sources"]
