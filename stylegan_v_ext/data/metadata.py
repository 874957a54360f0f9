"""What `dataset.json` says of a data set: labels, frames a second, hints for training."""

from dataclasses import dataclass, field

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.names import is_hidden
from stylegan_v_ext.data.videos import Video
from stylegan_v_ext.documents import parse_json

METADATA_NAME = "dataset.json"
_HIGHEST_CLASS = 2**16  # labels are one-hot rows


@dataclass
class Metadata:
    """What `dataset.json` says: class by video folder, frames a second, and a motion hint for training."""

    labels: dict[str, int] = field(default_factory=dict)
    fps: float | None = None
    motion_distance: int | None = None
    classes: list[str] | None = None
    problems: list[str] = field(default_factory=list)


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
    names = content.get("classes")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        metadata.classes = names
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
