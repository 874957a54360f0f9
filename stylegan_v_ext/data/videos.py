"""Which files of an archive are the frames of which video, in which order, with which labels."""

import io
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
METADATA_NAME = "dataset.json"


@dataclass(frozen=True)
class Video:
    """A folder of frames: their numbers in the archive, in natural order."""

    folder: str
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)


@dataclass
class Metadata:
    """What `dataset.json` says: class by video folder, frames a second, and a motion hint for training."""

    labels: dict[str, int] = field(default_factory=dict)
    fps: float | None = None
    motion_distance: int | None = None
    problems: list[str] = field(default_factory=list)


def natural_key(name: str) -> list:
    """Sort key under which `2.jpg` comes before `10.jpg`."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"([0-9]+)", name)]


def list_videos(archive: Archive) -> list[Video]:
    """Every folder, at any depth, that directly holds image files; in natural order."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(archive.names):
        folder, _, base = name.rpartition("/")
        if base.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name):
            members[folder].append(index)
    videos = []
    for folder in sorted(members, key=natural_key):
        ordered = sorted(members[folder], key=lambda index: natural_key(archive.names[index].rpartition("/")[2]))
        videos.append(Video(folder, np.array(ordered, dtype=np.int64)))
    return videos


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder it lies in, is one that file managers hide or leave behind."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def read_metadata(archive: Archive) -> Metadata:
    """All `dataset.json` files of an archive, with their labels under the folders they lie in."""
    metadata = Metadata()
    for index, name in enumerate(archive.names):
        folder, _, base = name.rpartition("/")
        if base != METADATA_NAME or is_hidden(name):
            continue
        try:
            content = json.loads(archive.read(index))
        except (ValueError, UnicodeDecodeError) as error:
            metadata.problems.append(f"{name} is not valid JSON ({error})")
            continue
        if not isinstance(content, dict):
            metadata.problems.append(f"{name} holds a {type(content).__name__}, expected an object with labels and fps")
            continue
        _merge(metadata, content, name, folder)
    return metadata


def _merge(metadata: Metadata, content: dict, name: str, folder: str) -> None:
    labels = content.get("labels") or []
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if not (isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
                and isinstance(pair[1], int) and not isinstance(pair[1], bool) and pair[1] >= 0):  # fmt: skip
            metadata.problems.append(f'{name}: label {pair!r} is not ["video folder", class number from 0]')
            continue
        video = pair[0].strip("/")
        metadata.labels[f"{folder}/{video}" if folder else video] = pair[1]
    for key, kind in (("fps", (int, float)), ("motion_distance", int)):
        value = content.get(key)
        if value is None:
            continue
        if isinstance(value, kind) and not isinstance(value, bool) and value > 0:
            setattr(metadata, key, value)
        else:
            metadata.problems.append(f"{name}: {key} {value!r} is not a positive number")


def check_labels(metadata: Metadata, videos: list[Video]) -> list[str]:
    """Sentences about videos without a label and labels without a video."""
    if not metadata.labels:
        return []
    folders = {video.folder for video in videos}
    problems = [f"label for {name}, which is not in the data" for name in metadata.labels if name not in folders]
    problems += [f"{video.folder} has no label" for video in videos if video.folder not in metadata.labels]
    return problems


def open_image(data: bytes) -> PIL.Image.Image:
    """An image file of one of the expected formats; PIL's other readers, some of which run programs, stay out."""
    return PIL.Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "BMP"))


def decode_frame(data: bytes, name: str, resolution: int | None = None, header_only: bool = False) -> np.ndarray:
    """RGB frame, uint8 `[H, W, 3]`. Raises `DataError` naming the frame that is not sound.

    resolution: required width and height, `None` for any square. header_only: look at size and mode
    without decoding; the array is then empty.
    """
    try:
        image = open_image(data)
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        raise DataError(f"{name} is not a readable image") from None
    width, height = image.size
    wanted = resolution if resolution is not None else width
    if (width, height) != (wanted, wanted):
        expected = f"{wanted}x{wanted}" if resolution is not None else "a square"
        raise DataError(f"{name} is {width}x{height}, expected {expected}")
    if image.mode != "RGB":
        raise DataError(f"{name} has colour mode {image.mode}, expected RGB")
    if header_only:
        return np.empty([height, width, 0], dtype=np.uint8)
    try:
        return np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError):
        raise DataError(f"{name} is truncated or damaged") from None
