"""What `dataset.json` says of a data set: labels, frames a second, hints for training."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.findings import MOST_EACH, count, grouped, shortened, spelled
from stylegan_v_ext.data.kinds import METADATA_NAME
from stylegan_v_ext.data.labels import HIGHEST_CLASS, NO_LABEL, Classes, Entry, Reason, classify, shown_value, tidy
from stylegan_v_ext.data.names import is_hidden
from stylegan_v_ext.data.videos import Video, list_videos
from stylegan_v_ext.documents import parse_json
from stylegan_v_ext.text import printable

_KEYS = ("labels", "fps", "motion_distance", "classes")


@dataclass
class Metadata:
    """What all `dataset.json` files of an archive say.

    Attributes:
        labels: Class number by folder, of every video that has a class.
        num_classes: Highest class of any label plus one; 0 if no video has a class.
        classes: Names of classes by number; None if they are not known.
        fps: Frames a second; None if no file says it.
        motion_distance: Recommended frames between motion anchors; None if no file says it.
        unusable: Reason by folder, of every video that is labelled and has no class all the same.
        problems: Sentences about what stops every training.
        label_problems: Sentences about mistakes in labels, which stop training with classes alone.
        notes: Sentences about what is not used, or not used as it is written.
        hint_notes: Sentences about files that differ in fps or in the motion distance.
        as_listed: The last class that a label in the form of version 0.1.0 gives a folder, for fingerprints.
    """

    labels: dict[str, int] = field(default_factory=dict)
    num_classes: int = 0
    classes: list[str] | None = None
    fps: float | None = None
    motion_distance: int | None = None
    unusable: dict[str, Reason] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    label_problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hint_notes: list[str] = field(default_factory=list)
    as_listed: dict[str, int] = field(default_factory=dict)

    def reason(self, video: Video) -> Reason:
        """Why a video has no class."""
        return self.unusable.get(video.folder, NO_LABEL)


def read_metadata(archive: Archive, videos: Sequence[Video] | None = None) -> Metadata:
    """All `dataset.json` files of an archive; labels are of folders below the one in which their file lies.

    Args:
        videos: All videos of the archive; None lists them.
    """
    metadata = Metadata()
    entries: list[Entry] = []
    lists: dict[str, list[str]] = {}
    for index, name in enumerate(archive.names):
        if not name.endswith(METADATA_NAME):
            continue
        folder, _, base = name.rpartition("/")
        if base != METADATA_NAME or is_hidden(name):
            continue
        try:
            content = parse_json(archive.read(index))
        except ValueError as error:
            metadata.problems.append(f"{name} is not valid JSON ({error}); mend it or take it out")
            continue
        if not isinstance(content, dict) or not any(key in content for key in _KEYS):
            kind = "no labels and no fps" if isinstance(content, dict) else f"a {type(content).__name__}"
            metadata.notes.append(f"{name} holds {kind}, and is not used; an object with labels and fps is")
            continue
        entries += _entries(metadata, content, name, folder)
        lists |= _class_names(metadata, content, name)
        _read_hints(metadata, content, name)
    if entries:
        videos = list_videos(archive) if videos is None else videos
        _give_classes(metadata, archive, videos, entries, lists)
    return metadata


def _entries(metadata: Metadata, content: dict, name: str, folder: str) -> list[Entry]:
    """Labels of one file."""
    labels = content.get("labels") or []
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    entries, faulty = [], []
    base = tidy(folder)
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str):
            entries.append(Entry(base, *pair))
            if type(pair[1]) is int and 0 <= pair[1] <= HIGHEST_CLASS:
                written = pair[0].strip("/")
                metadata.as_listed[f"{folder}/{written}" if folder else written] = pair[1]
        else:
            faulty.append((f"{name}: label {shown_value(pair)}", 'is not ["video folder", class number from 0]'))
    metadata.label_problems += grouped(faulty, "label")
    return entries


def _class_names(metadata: Metadata, content: dict, name: str) -> dict[str, list[str]]:
    """Names of classes by file name; empty if the file gives none."""
    classes = content.get("classes")
    if classes is None:
        return {}
    texts = isinstance(classes, list) and [text for text in classes if isinstance(text, str)]
    if texts and len(set(texts)) == len(classes):
        return {name: texts}
    metadata.notes.append(f"{name}: classes {shown_value(classes)} is not a list of names, and is not used")
    return {}


def _read_hints(metadata: Metadata, content: dict, name: str) -> None:
    for key, kind in (("fps", (int, float)), ("motion_distance", int)):
        value = content.get(key)
        if value is None:
            continue
        if isinstance(value, kind) and not isinstance(value, bool) and 0 < value < 1e6:
            if getattr(metadata, key) not in (None, value):
                metadata.hint_notes.append(
                    f"{name} gives {key} {value:g}, another {METADATA_NAME} does not; training takes the last"
                )
            setattr(metadata, key, value)
        else:
            fault = f"{name}: {key} {shown_value(value)} is not a number above 0 and below a million"
            metadata.problems.append(f"{fault}; mend it or take it out")


def _give_classes(
    metadata: Metadata, archive: Archive, videos: Sequence[Video], entries: list[Entry], lists: dict[str, list[str]]
) -> None:
    """Give videos their classes."""
    names = max(lists.values(), key=len, default=None)
    found = classify(archive, videos, entries, names)
    other = next((name for name, given in lists.items() if given != (names or [])[: len(given)]), None)
    if other is not None:  # a number means one class here and another class there
        reason = Reason("has a class number that dataset.json files name differently")
        found.unusable |= dict.fromkeys(found.labels, reason)
        found.labels, found.num_classes, found.names = {}, 0, None
        metadata.label_problems.append(f"{other} names its classes otherwise than another {METADATA_NAME}")
    metadata.labels, metadata.unusable = found.labels, found.unusable
    metadata.classes, metadata.num_classes = found.names, found.num_classes
    metadata.label_problems += _missing(found.missing, videos)
    _note_what_is_odd(metadata, found, names)


def _note_what_is_odd(metadata: Metadata, found: Classes, names: list[str] | None) -> None:
    """Notes about labels that are used otherwise than they are written, and classes without videos or names."""
    if found.elsewhere:
        name, folder = found.elsewhere[0]
        others = len(found.elsewhere) - 1
        more = f", and {count(others, 'more label')} likewise" if others else ""
        shown = printable(name, 100), printable(folder, 100)
        metadata.notes.append(f"the label for {shown[0]} is taken for {shown[1]}, the only video that fits{more}")
    if names and len(names) < found.num_classes:  # perhaps the numbers begin at 1, and no name is right
        metadata.classes = None
        highest = f"labels go up to {found.num_classes - 1}"
        metadata.notes.append(f"{METADATA_NAME} names {len(names)} classes, and {highest}; the names are not used")
    elif names and found.labels and len(names) > found.num_classes:
        metadata.notes.append(
            f"no label has the last of the {len(names)} classes that {METADATA_NAME} names; there are "
            f"{found.num_classes} for training"
        )
    used = set(found.labels.values())
    unused = [number for number in range(found.num_classes) if number not in used]
    if unused:
        metadata.notes.append(
            f"no video has class {spelled(_ranges(unused))}; classes are numbered from 0, the highest here is "
            f"{found.num_classes - 1}"
        )


def _missing(names: list[str], videos: Sequence[Video]) -> list[str]:
    """Sentences about labels whose video is not there, or is a folder of videos."""
    paths = [tidy(video.folder).split("/") for video in videos] if names else []
    above = {"/".join(path[:depth]) for path in paths for depth in range(1, len(path))}
    if len(names) <= MOST_EACH:
        reasons = ("not in the data", "a folder of videos, not a video; label each of them")
        return [f"label for {printable(name, 100)}, which is {reasons[name in above]}" for name in names]
    return [f"{len(names):,} labels are for videos that are not in the data ({shortened(names)})"]


def _ranges(numbers: list[int]) -> list[str]:
    """Ascending numbers as texts such as `0`, `2 to 5`; at most 8."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [f"{first} to {last}" if first < last else str(first) for first, last in runs]
    return texts if len(texts) <= 8 else [*texts[:7], "others"]


def class_sizes(metadata: Metadata, videos: Sequence[Video]) -> list[tuple[str, int]]:
    """(name or number, number of videos) of every class; the name only if it is known."""
    counts = [0] * metadata.num_classes
    for video in videos:
        if video.folder in metadata.labels:
            counts[metadata.labels[video.folder]] += 1
    names = metadata.classes or []
    return [(names[number] if number < len(names) else str(number), count) for number, count in enumerate(counts)]


def check_labels(metadata: Metadata, videos: Sequence[Video]) -> list[str]:
    """Sentences about all that stops training with classes; empty if there are no labels."""
    if not (metadata.labels or metadata.unusable or metadata.label_problems):
        return []
    without = [(str(video), metadata.reason(video).text) for video in videos if video.folder not in metadata.labels]
    return metadata.label_problems + grouped(without, "video", len(videos))
