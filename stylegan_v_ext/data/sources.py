"""The videos at a path that a user names: video files, and folders of frames in any archive."""

from dataclasses import dataclass
from pathlib import Path

from stylegan_v_ext.data.archive import Archive, open_archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import VIDEO_SUFFIXES
from stylegan_v_ext.data.names import is_hidden, natural_key
from stylegan_v_ext.data.videos import Video, list_videos


@dataclass(frozen=True)
class Source:
    """A video file, or a folder of frames inside an archive; name is relative to what the user named."""

    name: str
    path: str | None = None
    archive: Archive | None = None
    video: Video | None = None


def find_sources(source: str) -> list[Source]:
    """Video files and frame folders at a path, in natural order. Raises `DataError` if there are none."""
    path = Path(source)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return [Source(path.name, path=str(path))]
    archive = open_archive(path)
    found = [
        Source(name, path=str(path / name))
        for name in archive.names
        if path.is_dir() and name.lower().endswith(VIDEO_SUFFIXES) and not is_hidden(name)
    ]
    found += [Source(video.folder or path.stem, archive=archive, video=video) for video in list_videos(archive)]
    if not found:
        raise DataError(f"{source} holds neither videos ({', '.join(VIDEO_SUFFIXES)}) nor folders of frames")
    return sorted(found, key=lambda item: natural_key(item.name))
