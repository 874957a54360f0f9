"""Which files of an archive are the frames of which video, in which order, with which labels."""

import contextlib
import io
import os
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import lt

import numpy as np
import PIL.Image

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.jpeg import MOST_PIXELS, decode_jpeg
from stylegan_v_ext.documents import parse_json

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_HIGHEST_CLASS = 2**16  # labels are one-hot rows
METADATA_NAME = "dataset.json"


@dataclass(frozen=True)
class Video:
    """A folder of frames: their numbers in the archive, in natural order."""

    folder: str
    frames: np.ndarray

    def __str__(self) -> str:
        return self.folder or "the top folder"

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
    """Sort key under which `2.jpg` comes before `10.jpg`; a number may have any length, its digits are 0 to 9."""
    parts = re.split(r"([0-9]+)", name)
    return [_number_key(part) if index % 2 else part.lower() for index, part in enumerate(parts)]


def _number_key(digits: str) -> tuple[int, str]:
    """Sort key of a number that Python may refuse to convert, since it refuses more than 4300 digits."""
    digits = digits.lstrip("0")
    return len(digits), digits


def list_videos(archive: Archive) -> list[Video]:
    """Every folder, at any depth, that directly holds image files; in natural order."""
    names = archive.names
    members: dict[str, array] = {}
    for index, name in enumerate(names):
        if not name.endswith(IMAGE_SUFFIXES) and not name.lower().endswith(IMAGE_SUFFIXES):
            continue
        folder = name.rpartition("/")[0]
        try:
            members[folder].append(index)
        except KeyError:
            members[folder] = array("q", [index])
    videos = []
    for folder in sorted(members, key=natural_key):
        if not is_hidden(folder):
            numbers = members[folder]
            first, last = numbers[0], numbers[-1]
            texts = names[first : last + 1] if last - first + 1 == len(numbers) else [names[n] for n in numbers]
            videos.append(Video(folder, _in_natural_order(numbers, [text.rpartition("/")[2] for text in texts])))
    return [video for video in videos if len(video)]


def _in_natural_order(numbers: Sequence[int], bases: list[str]) -> np.ndarray:
    """Numbers in the natural order of their names, without those of hidden files."""
    shown = [not base.startswith(".") for base in bases]
    if not all(shown):
        numbers, bases = list(compress(numbers, shown)), list(compress(bases, shown))
    if not _counts_up(bases):
        order = sorted(range(len(bases)), key=lambda i: natural_key(bases[i]))
        numbers = [numbers[i] for i in order]
    return np.array(numbers, dtype=np.int64)


def _counts_up(names: list[str]) -> bool:
    """Whether names are in natural order already, as one text around a number of fixed width is when sorted."""
    if len(names) < 2:
        return True
    if len(set(map(len, names))) > 1 or not all(map(lt, names, names[1:])):
        return False
    prefix = len(os.path.commonprefix([names[0], names[-1]]))  # and so of all between them
    suffix = len(os.path.splitext(names[0])[1])
    end = len(names[0]) - suffix
    numbers = "".join([name[prefix:end] for name in names])
    return numbers.isascii() and numbers.isdecimal() and len({name[end:] for name in names}) == 1


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder it lies in, is one that file managers hide or leave behind."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def read_metadata(archive: Archive) -> Metadata:
    """All `dataset.json` files of an archive, with their labels under the folders they lie in."""
    metadata = Metadata()
    for index, name in enumerate(archive.names):
        if not name.endswith(METADATA_NAME):
            continue
        folder, _, base = name.rpartition("/")
        if base != METADATA_NAME or is_hidden(name):
            continue
        try:
            content = parse_json(archive.read(index))
        except ValueError as error:
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
                and type(pair[1]) is int and 0 <= pair[1] <= _HIGHEST_CLASS):  # fmt: skip
            metadata.problems.append(f'{name}: label {_brief(pair)} is not ["video folder", class number from 0]')
            continue
        video = pair[0].strip("/")
        metadata.labels[f"{folder}/{video}" if folder else video] = pair[1]
    for key, kind in (("fps", (int, float)), ("motion_distance", int)):
        value = content.get(key)
        if value is None:
            continue
        if isinstance(value, kind) and not isinstance(value, bool) and 0 < value < 1e6:
            setattr(metadata, key, value)
        else:
            metadata.problems.append(f"{name}: {key} {_brief(value)} is not a number above 0 and below a million")


def _brief(value: object) -> str:
    """A value from somebody else's file as something that can be printed."""
    text = ascii(value)
    return text if len(text) <= 100 else text[:100] + "..."


def check_labels(metadata: Metadata, videos: list[Video]) -> list[str]:
    """Sentences about videos without a label and labels without a video."""
    if not metadata.labels:
        return []
    folders = {video.folder for video in videos}
    problems = [f"label for {name}, which is not in the data" for name in metadata.labels if name not in folders]
    problems += [f"{video} has no label" for video in videos if video.folder not in metadata.labels]
    return problems


def open_image(data: bytes) -> PIL.Image.Image:
    """An image file of one of the expected formats; PIL's other readers, some of which run programs, stay out.

    Raises whatever PIL raises for a damaged file, which `image_faults` turns into a `DataError`.
    """
    image = PIL.Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "BMP"))
    if image.width * image.height > MOST_PIXELS:
        raise PIL.Image.DecompressionBombError(f"{image.width}x{image.height} pixels")
    return image


@contextlib.contextmanager
def image_faults(sentence: str) -> Iterator[None]:
    """Turn every error of an image reader in the block into `DataError(sentence)`, except a lack of memory."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - readers of damaged files raise errors of many kinds
        raise DataError(sentence) from None


def decode_frame(data: bytes, name: str, resolution: int | None = None, header_only: bool = False) -> np.ndarray:
    """RGB frame, uint8 `[H, W, 3]`. Raises `DataError` naming the frame that is not sound.

    resolution: required width and height, `None` for any square. header_only: look at size and mode
    without decoding; the array is then empty.
    """
    pixels = None if header_only else decode_jpeg(data)
    if pixels is not None and pixels.shape[:2] == (resolution or pixels.shape[1],) * 2:
        return pixels
    with image_faults(f"{name} is not a readable image"):
        image = open_image(data)
    width, height = image.size
    wanted = resolution if resolution is not None else width
    if (width, height) != (wanted, wanted):
        expected = f"{wanted}x{wanted}" if resolution is not None else "a square"
        raise DataError(f"{name} is {width}x{height}, expected {expected}")
    if image.mode != "RGB":
        raise DataError(f"{name} has colour mode {image.mode}, expected RGB")
    if header_only:
        return np.empty([height, width, 0], dtype=np.uint8)
    with image_faults(f"{name} is truncated or damaged"):
        return np.asarray(image)
