"""Finding the videos at a path that the user names, and noting all files that are left out."""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from stylegan_v_ext.data.archive import Archive, FolderArchive, ShardedArchive, open_archive
from stylegan_v_ext.data.archive.folder import read_file, read_head
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import Notes, count, kinds_of, shortened
from stylegan_v_ext.data.kinds import (
    ANIMATION_SUFFIXES,
    ARRAY_SUFFIXES,
    HEAD,
    METADATA_NAME,
    VIDEO_SUFFIXES,
    is_animation,
    is_picture,
    is_zip,
    kind_of_archive,
)
from stylegan_v_ext.data.metadata import Metadata, nearest_metadata
from stylegan_v_ext.data.names import is_hidden, natural_order, natural_sorted
from stylegan_v_ext.data.opening import nearest
from stylegan_v_ext.data.remote import is_remote
from stylegan_v_ext.data.sources.arrays import ClipArray, clip_arrays
from stylegan_v_ext.data.sources.counterparts import counterparts
from stylegan_v_ext.data.thumbnails import is_still_gif, note_odd_frames, odd_pictures, sort_folders
from stylegan_v_ext.data.videos import Video, links_left_out, list_videos
from stylegan_v_ext.text import printable

_PACKED = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")  # endings of archives


@dataclass(frozen=True, eq=False)
class Source:
    """One video.

    Attributes:
        name: Name relative to the path that the user named, with `/` between folders.
        archive: The archive of the video.
        member: Number of its file in the archive; None for a folder of pictures.
        video: Its pictures; None for a file.
        array: The array that holds the video; None for other files.
        number: Number of the video in its array.
        recorded: What the nearest `dataset.json` above the video says.
    """

    name: str
    archive: Archive
    member: int | None = None
    video: Video | None = None
    array: ClipArray | None = None
    number: int = 0
    recorded: Metadata = field(default_factory=Metadata)

    @property
    def place(self) -> str:
        """Path by which labels name the video; "" for pictures in the top folder."""
        return self.name if self.video is None else self.video.folder

    @property
    def folders(self) -> list[str]:
        """Folders in which the video lies, the outermost first; a shard does not count as a folder."""
        place = self.video.folder if self.video is not None else self.archive.names[self.member or 0]
        return place.split("/")[1 if isinstance(self.archive, ShardedArchive) else 0 : -1]

    @property
    def local_path(self) -> Path | None:
        """File of the video; None for a folder of pictures, and for a file in a zip."""
        if self.member is not None and isinstance(self.archive, FolderArchive):
            return self.archive.path / self.archive.names[self.member]
        return self.archive.path if isinstance(self.archive, _OneFile) else None

    @property
    def is_alone(self) -> bool:
        """Whether the user named this one file."""
        return isinstance(self.archive, _OneFile)

    @property
    def is_folder(self) -> bool:
        """Whether the video is a folder of pictures, not a file."""
        return self.video is not None


@dataclass(frozen=True, eq=False)
class Found:
    """The videos at a path.

    Attributes:
        sources: The videos, in natural order of their names.
        notes: Sentences about everything that is left out or doubtful.
        problems: The notes that are about faults of `dataset.json`.
    """

    sources: list[Source]
    notes: list[str]
    problems: list[str]


def find_sources(path: str) -> Found:
    """Find the videos at a path.

    Args:
        path: A video, an animation, a file of NumPy, or a folder, zip or shards of these or of folders of pictures.

    Raises:
        DataError: If there are no videos, or if a folder holds a video file beside what may be the frames of a video.
    """
    archive = _archive_at(path)
    search = _Search(path, archive)
    if not search.sources:
        raise DataError(search.what_is_there())
    order = natural_order([item.name for item in search.sources])
    return Found([search.sources[number] for number in order], search.sentences(), search.problems)


def _archive_at(path: str) -> Archive:
    """Open the archive at a path; a file that is no zip is an archive of one file."""
    place = Path(path)
    if not str(path).strip():
        raise DataError("the path is empty; name a video, or a folder of videos or of folders of pictures")
    if not is_remote(path) and place.is_file():
        with open(place, "rb") as file:
            packed = is_zip(file.read(4)) and place.suffix.lower() not in ARRAY_SUFFIXES
        is_archive = packed or place.suffix.lower() == ".zip" or bool(kind_of_archive(place))
        return open_archive(path) if is_archive else _OneFile(place)
    if not is_remote(path) and not place.is_dir() and place.suffix != ".zip":
        kind = "is neither a file nor a folder" if place.exists() else "does not exist"
        raise DataError(f"{path} {kind}{nearest(place)}; name a video, or a folder of videos or of folders of pictures")
    return open_archive(path)


class _OneFile(Archive):
    """One file as an archive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = [path.name]

    def read(self, index: int) -> bytes:
        """Return the content of the file."""
        return read_file(self.path)

    def head(self, index: int, size: int) -> bytes:
        """Return the first bytes of the file."""
        return read_head(self.path, size)

    def sizes(self) -> np.ndarray:
        """Return the length of the file in bytes, int64."""
        return np.array([self.path.stat().st_size], dtype=np.int64)

    @contextlib.contextmanager
    def local_file(self, index: int) -> Iterator[Path]:
        """Give the path of the file."""
        yield self.path


class _Search:
    """Sorts the files of an archive. Every file that is not hidden becomes part of a source, or is noted.

    Args:
        path: The path that the user named.
        archive: The archive at this path.

    Attributes:
        sources: The videos.
        problems: Sentences about faults of `dataset.json`.
    """

    def __init__(self, path: str, archive: Archive) -> None:
        self.path, self.archive = path, archive
        self.sources: list[Source] = []
        self.problems: list[str] = []
        self._notes = Notes()
        self._sentences: list[str] = []
        self._thumbnails: list[str] = []
        self._other: list[str] = []
        videos, arrays, others = self._files()
        folders = list_videos(archive)
        self._add_files(videos, {video.folder for video in folders})
        self._add_folders(folders)
        for index in arrays:
            self._add_arrays(archive.names[index], index)
        for index in others:
            self._add_other(archive.names[index], index)
        if self.sources:
            self._look_up()

    def _files(self) -> tuple[list[int], list[int], list[int]]:
        """Return the numbers of video files, of NumPy's files and of other files.

        Hidden files, pictures and `dataset.json` are left out.
        """
        videos: list[int] = []
        arrays: list[int] = []
        others: list[int] = []
        for index, name in enumerate(self.archive.names):
            if is_picture(name) or is_hidden(name) or name.rpartition("/")[2] == METADATA_NAME:
                continue
            ending = PurePosixPath(name).suffix.lower()
            kind = videos if ending in VIDEO_SUFFIXES else arrays if ending in ARRAY_SUFFIXES else others
            kind.append(index)
        return videos, arrays, others

    def _look_up(self) -> None:
        """Give every source what the `dataset.json` files say about it."""
        videos = [item.video or Video(item.name, np.array([item.member])) for item in self.sources]
        recorded = nearest_metadata(self.archive, videos)
        self.problems = recorded.problems
        self.sources = [dataclasses.replace(item, recorded=recorded.above(item.place)) for item in self.sources]
        self._sentences[:0] = recorded.problems + recorded.notes

    def _add_files(self, videos: list[int], folders: set[str]) -> None:
        """Add video files; a GIF beside pictures that is no animation counts as a thumbnail."""
        for index in videos:
            name = self.archive.names[index]
            beside = name.lower().endswith(".gif") and name.rpartition("/")[0] in folders
            if beside and is_still_gif(self.archive, index):
                self._thumbnails.append(name)
            else:
                self.sources.append(Source(name, self.archive, index))

    def _add_folders(self, folders: list[Video]) -> None:
        """Add the folders of pictures that are videos; animations, thumbnails and posters are no frames."""
        folders = [video for folder in folders if len(video := self._without_animations(folder))]
        found = sort_folders(self.archive, folders, [item.name for item in self.sources])
        for video, files in found.doubtful[:1]:
            pictures, number = video.names(self.archive), count(len(files), "video file")
            raise DataError(
                f"{video} in {self.path}: {count(len(pictures), 'picture')} ({shortened(pictures)}), with {number} "
                f"({shortened(files)}) beside them or of their names, may be thumbnails or frames of a video; move the "
                "pictures or files away"
            )
        for video in found.videos:
            if isinstance(self.archive, _OneFile):
                self._other += video.names(self.archive)
            else:
                name = video.folder or self._own_name()
                self.sources.append(Source(name, self.archive, video=self._without_thumbnails(video)))
        left = [name for video in found.beside for name in video.names(self.archive)]
        if left:
            number = count(len(left), "picture")
            self._sentences.append(f"{number} left out, beside videos and no videos themselves: {shortened(left)}")

    def _without_thumbnails(self, video: Video) -> Video:
        """Remove the pictures of a video that are thumbnails by their names, and note other odd names."""
        names = video.names(self.archive)
        thumbnails, others = odd_pictures(names)
        self._thumbnails += [names[place] for place in thumbnails]
        if others:
            note_odd_frames(self._notes, str(video), [names[place] for place in others])
        return Video(video.folder, np.delete(video.frames, thumbnails)) if thumbnails else video

    def _own_name(self) -> str:
        """Return the name of the path, for pictures in its top folder."""
        path = Path(self.path)
        return path.resolve().name if path.is_dir() else path.stem

    def _without_animations(self, video: Video) -> Video:
        """Remove the pictures of a folder that are animations, and add these as videos of their own."""
        names = video.names(self.archive)
        single = isinstance(self.archive, _OneFile)
        doubtful = [place for place, name in enumerate(names) if single or name.lower().endswith(ANIMATION_SUFFIXES)]
        if not any(self._is_animation(int(video.frames[place])) for place in doubtful[:1] + doubtful[-1:]):
            return video  # first and last are stills; an animation between them is reported when the pictures are read
        moving = {place for place in doubtful if self._is_animation(int(video.frames[place]))}
        for place in moving:
            self.sources.append(Source(names[place], self.archive, int(video.frames[place])))
        still = [place for place in range(len(names)) if place not in moving]
        return Video(video.folder, video.frames[still]) if moving else video

    def _is_animation(self, index: int) -> bool:
        try:
            return is_animation(self.archive.head(index, HEAD))
        except DataError:  # reported when the file is used
            return False

    def _add_arrays(self, name: str, index: int) -> None:
        """Add the videos of a file of NumPy."""
        try:
            with self.archive.local_file(index) as path:
                arrays, faults = clip_arrays(Path(path))
        except DataError as error:
            if isinstance(self.archive, _OneFile):
                raise DataError(f"{name} cannot be used: {error}") from None
            self._notes.add(name, f"it is left out, since {error}")
            return
        for fault in faults:
            self._notes.add(name, fault)
        for array in arrays:
            base = name if array.member is None else f"{name}/{array.member.removesuffix('.npy')}"
            for number in range(array.count or 1):
                video = base if array.count is None else f"{base}/{number:06d}"
                self.sources.append(Source(video, self.archive, index, array=array, number=number))

    def _add_other(self, name: str, index: int) -> None:
        """Add a file if it is an animation; otherwise note it."""
        if name.lower().endswith(ANIMATION_SUFFIXES) and self._is_animation(index):
            self.sources.append(Source(name, self.archive, index))
        else:
            self._other.append(name)

    def sentences(self) -> list[str]:
        """Return sentences about everything that is left out or doubtful."""
        files, folders = ([item.name for item in self.sources if item.is_folder == kind] for kind in (False, True))
        sentences = [*counterparts(folders, files), *self._sentences, *self._notes.sentences()]
        sentences += links_left_out(self.archive)
        if self._thumbnails:
            number = count(len(self._thumbnails), "picture")
            sentences.append(f"{number} left out, thumbnails among frames: {shortened(self._thumbnails)}")
        if self._other:
            number, kinds = count(len(self._other), "file"), kinds_of(self._other)
            others = shortened(natural_sorted(self._other))
            packed = [name for name in self._other if name.lower().endswith(_PACKED)]
            more = f"; archives inside are not read, so unpack or name {shortened(packed)}" if packed else ""
            sentences.append(
                f"{number} left out, neither videos nor pictures by their endings ({kinds}): {others}{more}"
            )
        return sentences

    def what_is_there(self) -> str:
        """Say why there are no sources."""
        readable = "videos (" + ", ".join(VIDEO_SUFFIXES) + ")"
        if isinstance(self.archive, _OneFile):
            if is_picture(self.archive.names[0]):
                return f"{self.path} is one picture; a video is a video file, an animation or a folder of pictures"
            return f"{self.path} is not a video; {readable}, animations and .npy or .npz files are read"
        there = "; ".join(self.sentences()) or "it holds no files"
        return f"{self.path} holds neither {readable} nor folders of pictures: {printable(there)}"
