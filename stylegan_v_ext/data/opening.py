"""Opening a data set; if a path holds no frames, the error says what it holds, and how to make a data set of it."""

import difflib
import itertools
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stylegan_v_ext.data.archive import Archive, open_archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import shortened
from stylegan_v_ext.data.kinds import ARRAY_SUFFIXES, VIDEO_SUFFIXES, is_picture, kind_of_archive, starts_like_video
from stylegan_v_ext.data.names import is_hidden
from stylegan_v_ext.data.recorded import is_here
from stylegan_v_ext.data.remote import is_remote
from stylegan_v_ext.data.thumbnails import PictureFolders, is_still_gif, sort_folders
from stylegan_v_ext.data.videos import Video, links_left_out, list_videos, other_files


def open_dataset(path: str) -> tuple[Archive, list[Video]]:
    """Open a data set.

    Args:
        path: A zip, a folder, shards or an address, as the user writes it.

    Returns:
        (the archive, its videos); there is at least one video.

    Raises:
        DataError: If the path holds no data set; the message says what it holds, and what to do.
    """
    if not is_remote(path):
        if not is_here(path):
            raise DataError(
                f"{path} does not exist{nearest(Path(path))}; give a .zip, a folder of frame folders, or "
                "name-00000.zip shards"
            )
        if Path(path).is_file():
            _check_file(path)
    archive = open_archive(path)
    videos = list_videos(archive)
    if not videos or not any(_sorted(archive, videos)[0][::2]):
        raise DataError(_without_frames(path, archive))
    return archive, videos


def convert_command(path: str, side: int | None = None, more: str = "") -> str:
    """Return the command that makes a data set of the videos at a path, quoted for a shell.

    Args:
        path: The path, as the user writes it.
        side: Side of the frames in pixels; None leaves the default.
        more: More options, which begin with a space.
    """
    place = Path(path.rpartition("/")[2] if is_remote(path) else path)
    if place.name in ("", ".."):
        place = place.resolve()
    stem = place.stem if place.suffix.lower() in (".zip", *VIDEO_SUFFIXES, *ARRAY_SUFFIXES) else place.name
    stem = f"{stem}-{side}" if side else stem
    endings = (f"-{number}.zip" if number > 1 else ".zip" for number in itertools.count(1))
    target = next(target for ending in endings if not (target := place.parent / f"{stem}{ending}").exists())
    size = f" --resolution={side}" if side else ""
    return f"`stylegan-v data convert {shlex.quote(path)} {shlex.quote(str(target))}{size}{more}`"


def nearest(path: Path) -> str:
    """Ask whether another name was meant.

    Args:
        path: A path that does not exist.

    Returns:
        A question with the most similar existing name, such as " (is it data/videos.zip?)"; "" if no name is similar.
    """
    while path.parent != path and not path.parent.is_dir():
        path = path.parent
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    stems = {Path(name).stem.lower(): name for name in names}
    lower = {name.lower(): name for name in names}
    alike = difflib.get_close_matches(path.name.lower(), lower, n=1)
    like = lower[alike[0]] if alike else None
    found = lower.get(path.name.lower()) or stems.get(path.stem.lower()) or like
    return f" (is it {path.parent / found}?)" if found and found != path.name else ""


def _check_file(path: str) -> None:
    """Raise `DataError` if a file is no zip and its kind is known."""
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from None
    if start[:2] == b"PK":
        return
    if Path(path).suffix.lower() in VIDEO_SUFFIXES or starts_like_video(start):
        raise DataError(f"{path} is a video, not a data set of frames; {convert_command(path)} makes a data set of it")
    if start.startswith(b"\x93NUMPY"):
        raise DataError(f"{path} is an array of NumPy, not a data set of frames; {convert_command(path)} converts it")
    if start.startswith(b"\x89HDF"):
        raise DataError(f"{path} is an HDF5 file, which is not read; write its videos as .npy files")
    if is_picture(path):
        raise DataError(f"{path} is a picture; name a folder that holds one folder of frames for each video")
    if Path(path).suffix.lower() != ".zip" and not kind_of_archive(Path(path)):
        raise DataError(f"{path} is neither a .zip nor a folder, so no data set")


def _sorted(archive: Archive, videos: Sequence[Video]) -> tuple[PictureFolders, list[str]]:
    """Return (folders of pictures, sorted by what they are; names of the video files)."""
    is_frame = np.zeros(len(archive.names), dtype=bool)
    is_frame[np.concatenate([video.frames for video in videos])] = True
    others = [(int(index), archive.names[int(index)]) for index in np.flatnonzero(~is_frame)]
    files = [(index, name) for index, name in others if name.lower().endswith(VIDEO_SUFFIXES) and not is_hidden(name)]
    folders = {video.folder for video in videos}
    shown = [
        name
        for index, name in files
        if not (name.lower().endswith(".gif") and name.rpartition("/")[0] in folders and is_still_gif(archive, index))
    ]
    return (sort_folders(archive, videos, shown) if shown else PictureFolders(list(videos), [], [])), shown


def _without_frames(path: str, archive: Archive) -> str:
    """Say what an archive without frames holds."""
    others = other_files(archive)
    videos = [name for name in others if name.lower().endswith((*VIDEO_SUFFIXES, *ARRAY_SUFFIXES))]
    if Path(path).suffix.lower() == ".npz":
        return f"{path} is a file of NumPy, not a data set of frames; {convert_command(path)} converts it"
    zips = [name for name in others if name.lower().endswith(".zip")]
    if videos:
        return (
            f"{path} holds videos ({shortened(videos)}) and no folder of frames; {convert_command(path)} makes a data "
            "set of them"
        )
    if zips:
        one = Path(path) / re.sub(r"-[0-9]{5}\.zip$", ".zip", zips[0])  # the common name of shards
        return f"{path} holds no frames, but zips ({shortened(zips)}); name one of them, such as {one}"
    found = f", but other files ({shortened(others)})" if others else ""
    return f"{path} holds no frames{found}; expected folders of .jpg or .png files, one folder a video"


def files_left_out(archive: Archive, path: str, videos: Sequence[Video]) -> list[str]:
    """Return sentences about files of a data set that are not read as frames."""
    folders, files = _sorted(archive, videos)
    known = set(files)
    rest = [name for name in other_files(archive) if name not in known]
    notes = links_left_out(archive)
    if files:
        notes.append(f"videos beside the frames are not read ({shortened(files)}); {_converted(path, folders)}")
    if rest:
        notes.append(f"files that are no frames are not read ({shortened(rest)})")
    return notes


def _converted(path: str, folders: PictureFolders) -> str:
    """Say how conversion treats video files and folders of pictures that lie in one place."""
    if folders.doubtful:
        names = shortened([str(folder) for folder, _ in folders.doubtful])
        return f"{convert_command(path)} reads them after you move away the pictures beside them ({names})"
    if folders.beside:
        names = shortened([str(folder) for folder in folders.beside])
        return f"{convert_command(path)} reads them, and takes the pictures in {names} for thumbnails or posters"
    return f"{convert_command(path)} reads both"
