"""Archives: the files of a zip, a folder or a set of zip shards, read by number and without locks.

An archive is listed once. After that a zip member is read by one `pread` at its offset. No file position is shared, so
forked workers, spawned workers and threads may all read at the same time.
"""

from stylegan_v_ext.data.archive.base import Archive
from stylegan_v_ext.data.archive.folder import FolderArchive
from stylegan_v_ext.data.archive.opening import open_archive
from stylegan_v_ext.data.archive.shards import ShardedArchive
from stylegan_v_ext.data.archive.zipped import ZipArchive

__all__ = ["Archive", "FolderArchive", "ShardedArchive", "ZipArchive", "open_archive"]
