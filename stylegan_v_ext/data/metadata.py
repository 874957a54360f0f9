"""What the `dataset.json` files of an archive say: labels, frames a second, and hints for training."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.findings import MOST_EACH, count, grouped, shortened, spelled
from stylegan_v_ext.data.kinds import METADATA_NAME
from stylegan_v_ext.data.labels import (
    HIGHEST_CLASS,
    NO_LABEL,
    Label,
    Reason,
    VideoClasses,
    classify,
    shown_value,
    tidy,
)
from stylegan_v_ext.data.names import is_hidden
from stylegan_v_ext.data.videos import Video, list_videos
from stylegan_v_ext.documents import parse_json
from stylegan_v_ext.text import printable

_KEYS = ("labels", "fps", "motion_distance", "classes")


@dataclass
class Metadata:
    """What the `dataset.json` files of an archive say.

    Attributes:
        labels: Class number by folder, for every video that has a class.
        unusable: Reason by folder, for every video that is labelled but has no class.
        as_listed: Class number by folder, as labels in the form of version 0.1.0 give it; for fingerprints.
        num_classes: Highest class number of any label plus one; 0 if no video has a class.
        class_names: Names of the classes by number; None if they are unknown.
        fps: Frames a second; None if no file states them.
        motion_distance: Recommended number of frames between motion anchors; None if no file states it.
        problems: Sentences about everything that stops every training.
        label_problems: Sentences about mistakes in labels; they stop training with classes only.
        notes: Sentences about entries that are not used, or that are read differently from how they are written.
    """

    labels: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, Reason] = field(default_factory=dict)
    as_listed: dict[str, int] = field(default_factory=dict)
    num_classes: int = 0
    class_names: list[str] | None = None
    fps: float | None = None
    motion_distance: int | None = None
    problems: list[str] = field(default_factory=list)
    label_problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def reason(self, video: Video) -> Reason:
        """Return the reason why a video has no class."""
        return self.unusable.get(video.folder, NO_LABEL)


@dataclass(frozen=True)
class _Document:
    """A `dataset.json`.

    Attributes:
        name: Name of the file in the archive.
        content: Its JSON object; empty if the file cannot be used.
    """

    name: str
    content: dict[str, object]

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


@dataclass
class _Labelling:
    """Labels of several files, and the names of classes by the name of the file that gives them."""

    labels: list[Label] = field(default_factory=list)
    class_names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, metadata: Metadata, document: _Document) -> None:
        """Add what a file says, and its mistakes to `metadata`."""
        self.labels += _labels(metadata, document)
        self.class_names |= _class_names(metadata, document)


def read_metadata(archive: Archive, videos: Sequence[Video] | None = None) -> Metadata:
    """Read all `dataset.json` files of an archive together.

    Args:
        archive: The archive. Each file labels folders below the folder in which it lies.
        videos: All videos of the archive; None lists them.

    Returns:
        What the files say. If two files state different rates or motion distances, the last file counts.
    """
    metadata, labelling = Metadata(), _Labelling()
    differences: list[str] = []
    for document in _documents(archive, metadata):
        labelling.add(metadata, document)
        differences += _read_hints(metadata, document)
    _give_classes(metadata, archive, videos, labelling)
    metadata.notes += differences
    return metadata


@dataclass(frozen=True)
class NearestMetadata:
    """What the `dataset.json` files of an archive say about each video; the archive may hold several data sets.

    Attributes:
        by_folder: What counts for the videos below a folder, by the folder of each `dataset.json`. Labels and classes
            come from all files together; the rate and the motion distance come from the file in this folder.
        problems: Sentences about faults of the files.
        notes: Sentences about labels.
    """

    by_folder: dict[str, Metadata]
    problems: list[str]
    notes: list[str]

    def above(self, path: str) -> Metadata:
        """Return what counts for a video: the nearest `dataset.json` above its path; empty without such a file."""
        while path not in self.by_folder and path:
            path = path.rpartition("/")[0]
        return self.by_folder.get(path) or Metadata()


def nearest_metadata(archive: Archive, videos: Sequence[Video]) -> NearestMetadata:
    """Read the `dataset.json` files of an archive; each file states the rate of the videos below its folder.

    Args:
        archive: The archive.
        videos: Its videos; the folder of a video file is its path.
    """
    metadata, labelling = Metadata(), _Labelling()
    alone: dict[str, Metadata] = {}
    for document in _documents(archive, metadata):
        labelling.add(metadata, document)
        alone[document.folder] = Metadata()
        _read_hints(alone[document.folder], document)
    _give_classes(metadata, archive, videos, labelling)
    by_folder = {
        folder: dataclasses.replace(metadata, fps=hints.fps, motion_distance=hints.motion_distance)
        for folder, hints in alone.items()
    }
    problems = metadata.problems + [problem for hints in alone.values() for problem in hints.problems]
    return NearestMetadata(by_folder, problems, metadata.label_problems + metadata.notes)


def _documents(archive: Archive, metadata: Metadata) -> Iterator[_Document]:
    """Read all `dataset.json` files; the reasons why some cannot be used are added to `metadata`."""
    for index, name in enumerate(archive.names):
        if not name.endswith(METADATA_NAME):
            continue
        if name.rpartition("/")[2] != METADATA_NAME or is_hidden(name):
            continue
        try:
            content = parse_json(archive.read(index))
        except ValueError as error:
            metadata.problems.append(f"{name} is not valid JSON ({error}); mend it or take it out")
            content = {}
        else:
            if not isinstance(content, dict) or not any(key in content for key in _KEYS):
                kind = "no labels and no fps" if isinstance(content, dict) else f"a {type(content).__name__}"
                metadata.notes.append(f"{name} holds {kind}, and is not used; write a JSON object with labels or fps")
                content = {}
        yield _Document(name, content)


def _labels(metadata: Metadata, document: _Document) -> list[Label]:
    """Return the labels of a file; its mistakes are added to `metadata`."""
    labels = document.content.get("labels") or []
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    found, faulty = [], []
    folder = document.folder
    base = tidy(folder)
    for pair in pairs if isinstance(pairs, list) else [pairs]:
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str):
            found.append(Label(base, *pair))
            if type(pair[1]) is int and 0 <= pair[1] <= HIGHEST_CLASS:
                written = pair[0].strip("/")
                metadata.as_listed[f"{folder}/{written}" if folder else written] = pair[1]
        else:
            faulty.append(
                (f"{document.name}: label {shown_value(pair)}", 'is not ["video folder", class number from 0]')
            )
    metadata.label_problems += grouped(faulty, "label")
    return found


def _class_names(metadata: Metadata, document: _Document) -> dict[str, list[str]]:
    """Return the names of classes by the name of the file; empty if the file gives no names."""
    classes = document.content.get("classes")
    if classes is None:
        return {}
    if isinstance(classes, list):
        texts = [text for text in classes if isinstance(text, str)]
        if texts and len(set(texts)) == len(classes):
            return {document.name: texts}
    metadata.notes.append(f"{document.name}: classes {shown_value(classes)} is not a list of names, and is not used")
    return {}


def _read_hints(metadata: Metadata, document: _Document) -> list[str]:
    """Put the rate and the motion distance of a file into `metadata`.

    Returns:
        Sentences about values that differ from the values of earlier files.
    """
    notes = []
    for key, kind in (("fps", (int, float)), ("motion_distance", int)):
        value = document.content.get(key)
        if value is None:
            continue
        if isinstance(value, kind) and not isinstance(value, bool) and 0 < value < 1e6:
            if getattr(metadata, key) not in (None, value):
                notes.append(
                    f"{document.name} gives {key} {value:g}, another {METADATA_NAME} differs; training uses the last"
                )
            setattr(metadata, key, value)
        else:
            fault = f"{document.name}: {key} {shown_value(value)} is not a number above 0 and below a million"
            metadata.problems.append(f"{fault}; mend it or take it out")
    return notes


def _give_classes(metadata: Metadata, archive: Archive, videos: Sequence[Video] | None, labelling: _Labelling) -> None:
    """Put the classes of all videos, and sentences about labels, into `metadata`."""
    if not labelling.labels:
        return
    videos = list_videos(archive) if videos is None else videos
    names = max(labelling.class_names.values(), key=len, default=None)
    found = classify(archive, videos, labelling.labels, names)
    given = labelling.class_names.items()
    other = next((name for name, texts in given if texts != (names or [])[: len(texts)]), None)
    if other is not None:  # one number stands for different classes in two files
        reason = Reason("has a class number that dataset.json files name differently")
        found.unusable |= dict.fromkeys(found.labels, reason)
        found.labels, found.num_classes, found.names = {}, 0, None
        metadata.label_problems.append(f"{other} names its classes differently from another {METADATA_NAME}")
    metadata.labels, metadata.unusable = found.labels, found.unusable
    metadata.class_names, metadata.num_classes = found.names, found.num_classes
    metadata.label_problems += _missing(found.missing, videos)
    _note_what_is_odd(metadata, found, names)


def _note_what_is_odd(metadata: Metadata, found: VideoClasses, names: list[str] | None) -> None:
    """Note labels that are not used as they are written, and classes without videos or names."""
    if found.elsewhere:
        name, folder = found.elsewhere[0]
        others = len(found.elsewhere) - 1
        more = f", and {count(others, 'more label')} likewise" if others else ""
        shown = printable(name, 100), printable(folder, 100)
        metadata.notes.append(f"the label for {shown[0]} is used for {shown[1]}, the only video that fits{more}")
    if names and len(names) < found.num_classes:  # the numbers may begin at 1, so that every name would be wrong
        metadata.class_names = None
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
    """Return sentences about labels whose video does not exist, or is a folder of videos."""
    paths = [tidy(video.folder).split("/") for video in videos] if names else []
    above = {"/".join(path[:depth]) for path in paths for depth in range(1, len(path))}
    if len(names) <= MOST_EACH:
        reasons = ("not in the data", "a folder of videos, not a video; label each of them")
        return [f"label for {printable(name, 100)}, which is {reasons[name in above]}" for name in names]
    return [f"{len(names):,} labels are for videos that are not in the data ({shortened(names)})"]


def _ranges(numbers: list[int]) -> list[str]:
    """Return ascending numbers as texts such as `0` and `2 to 5`; at most 8 texts."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [f"{first} to {last}" if first < last else str(first) for first, last in runs]
    return texts if len(texts) <= 8 else [*texts[:7], "others"]


def class_sizes(metadata: Metadata, videos: Sequence[Video]) -> list[tuple[str, int]]:
    """Count the videos of each class.

    Args:
        metadata: What `dataset.json` says of the videos.
        videos: The videos to count.

    Returns:
        (name of the class, or its number if the name is unknown; number of videos) for every class.
    """
    counts = [0] * metadata.num_classes
    for video in videos:
        if video.folder in metadata.labels:
            counts[metadata.labels[video.folder]] += 1
    names = metadata.class_names or []
    return [(names[number] if number < len(names) else str(number), count) for number, count in enumerate(counts)]
