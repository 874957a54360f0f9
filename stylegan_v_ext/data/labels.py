"""Classes of videos from labels in the forms that public data sets use.

A label may belong to a folder or to a file, and be a number or a name. A label that is no class (a vector, such as the
camera of a picture, or a number such as an age) is no error: these data can train without classes. Every video without
a class has a reason, which is shown if training with classes is asked for.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.findings import spelled
from stylegan_v_ext.data.kinds import ANIMATION_SUFFIXES, ARRAY_SUFFIXES, VIDEO_SUFFIXES, is_picture
from stylegan_v_ext.data.names import natural_sorted, normal_form
from stylegan_v_ext.data.videos import Video
from stylegan_v_ext.text import printable

HIGHEST_CLASS = 2**16  # limited, since labels become one-hot rows
_VIDEO_FILES = (*VIDEO_SUFFIXES, *ANIMATION_SUFFIXES, *ARRAY_SUFFIXES)
_LONGEST_NAME = 100  # characters of a name that a message shows


class Label(NamedTuple):
    """A label in a `dataset.json`.

    Attributes:
        base: Folder of the `dataset.json` in the archive, in the form of `tidy`; "" for the top folder.
        name: Folder or file that the label belongs to, as the `dataset.json` writes it.
        value: The label, any value of JSON.
    """

    base: str
    name: str
    value: object


class Reason(NamedTuple):
    """The reason why a video has no class.

    Attributes:
        text: The reason as a predicate, such as "has no label".
        mistake: Whether the labels contradict each other or lack something. False if they mean something else than
            classes.
    """

    text: str
    mistake: bool = True


NO_LABEL = Reason("has no label")


@dataclass
class VideoClasses:
    """The classes of the videos of an archive.

    Attributes:
        labels: Class number by folder, for every video that has a class.
        unusable: Reason by folder, for every video that is labelled but has no class.
        missing: Names of labels whose video does not exist.
        elsewhere: (name of the label, folder of the video) for labels that name another path than the data have.
        names: Names of the classes by number; None if they are unknown.
        num_classes: Highest class number of any label plus one.
    """

    labels: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, Reason] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    elsewhere: list[tuple[str, str]] = field(default_factory=list)
    names: list[str] | None = None
    num_classes: int = 0


def classify(
    archive: Archive, videos: Sequence[Video], labels: Sequence[Label], names: list[str] | None = None
) -> VideoClasses:
    """Find the class of every video, or the reason why it has no class.

    Args:
        archive: The archive.
        videos: All its videos.
        labels: All labels of the archive; labels that are null count as absent.
        names: Names of the classes by number, as a file gives them; None if no file gives names.
    """
    labels = [label for label in labels if label.value is not None]
    numbers = _Numbers([label.value for label in labels], names)
    found = VideoClasses(names=numbers.names)
    folders = _Folders(videos)
    for folder, (group, is_of_files) in _placed(labels, folders, found).items():
        decided = _decide(group, numbers, is_of_files=is_of_files)
        if is_of_files and not isinstance(decided, Reason):
            decided = _all_labelled(archive, folders.videos[folder], group) or decided
        if isinstance(decided, Reason):
            found.unusable[folder] = decided
        else:
            found.labels[folder] = decided
    found.num_classes = max(numbers.highest, *found.labels.values()) + 1 if found.labels else 0
    return found


_Group = tuple[list[Label], bool]  # labels of one folder; whether they belong to its files


def _placed(labels: Iterable[Label], folders: "_Folders", found: VideoClasses) -> dict[str, _Group]:
    """Group labels by the folder of their video.

    A label of a folder has precedence over labels of its files. Labels of unknown folders are added to `found`.
    """
    placed: dict[str, _Group] = {}
    left: list[tuple[str, _Group]] = []
    whole, of_files = _by_name(labels, folders)
    for is_of_files, groups in ((True, of_files), (False, whole)):
        for name, group in groups.items():
            folder = folders.exact(name, group[0].base)
            if folder is None:
                left.append((name, (group, is_of_files)))
                continue
            before, was_of_files = placed.get(folder, ([], is_of_files))
            placed[folder] = (before + group if was_of_files == is_of_files else group, is_of_files)
    guesses = folders.alike([(name, group[0].base) for name, (group, _) in left], set(placed)) if left else []
    for (name, group_of), folder in zip(left, guesses, strict=True):
        if folder is None:
            found.missing.append(name or group_of[0][0].name)
        else:
            if not _is_file_of(name, folder):
                found.elsewhere.append((name, folder))
            placed[folder] = group_of
    return placed


def _by_name(labels: Iterable[Label], folders: "_Folders") -> tuple[dict[str, list[Label]], dict[str, list[Label]]]:
    """Sort labels into (labels of folders, labels of files), each by the path of the folder in the archive."""
    whole: dict[str, list[Label]] = {}
    of_files: dict[str, list[Label]] = {}
    for label in labels:
        name = tidy(label.name)
        if is_picture(name) and folders.exact(_joined(label.base, name), label.base) is None:
            of_files.setdefault(_joined(label.base, name.rpartition("/")[0]), []).append(label)
        else:
            whole.setdefault(_joined(label.base, name), []).append(label)
    return whole, of_files


def _decide(group: list[Label], numbers: "_Numbers", *, is_of_files: bool) -> int | Reason:
    """Return the class on which all labels of a video, or of its files, agree; otherwise the reason."""
    values = {_key(label.value): label.value for label in group}
    decided = [numbers.of(value) for value in values.values()]
    for reason in decided:
        if isinstance(reason, Reason):
            return reason
    classes = sorted({number for number in decided if not isinstance(number, Reason)})
    if len(classes) == 1:
        return classes[0]
    shown = spelled([str(number) for number in classes[:5]] + (["more"] if len(classes) > 5 else []))
    if not is_of_files:
        return Reason(f"has the classes {shown} in dataset.json; a video has one class")
    return Reason(
        f"has files of the classes {shown}; a class belongs to a whole video, so move files of each class to a folder "
        "of their own and label the folders",
        mistake=False,
    )


def _key(value: object) -> tuple[object, ...]:
    """Return something hashable that is equal for values of the same meaning."""
    if isinstance(value, (list, dict)):
        return type(value), len(value), _vector_length(value)
    return type(value), value


def _vector_length(value: object) -> int:
    """Return the length of a list of numbers; 0 for other values."""
    if not isinstance(value, list) or not all(isinstance(item, (int, float)) for item in value):
        return 0
    return len(value)


def _all_labelled(archive: Archive, video: Video, group: list[Label]) -> Reason | None:
    """Check labels of files: some frames may have no label.

    A label and a frame belong together if their names differ only in the ending.

    Returns:
        The reason why the labels cannot be used; None if all frames have a label.
    """

    def stem(name: str) -> str:
        return tidy(name).rpartition("/")[2].rpartition(".")[0]

    named = {stem(label.name) for label in group}
    without = sum(stem(archive.names[int(index)]) not in named for index in video.frames)
    return Reason(f"has {without} of {len(video)} files without a label") if without else None


class _Numbers:
    """Finds the class number for the value of a label.

    Args:
        values: Values of all labels. They decide how texts are read: as numbers if all are digits, otherwise as names.
        names: Names of the classes by number; None numbers the names in natural order.
    """

    def __init__(self, values: Sequence[object], names: list[str] | None) -> None:
        self.names = names
        self._listed = names is not None
        self._number = {name: number for number, name in enumerate(names or [])}
        texts = {value for value in values if isinstance(value, str)}
        unknown = texts - self._number.keys()
        self._digits = bool(unknown) and all(text.isascii() and text.isdecimal() for text in unknown)
        self._mixed = any(isinstance(value, (int, float)) for value in values)
        if texts and names is None and not self._digits and not self._mixed:
            self.names = natural_sorted(texts)
            self._number = {name: number for number, name in enumerate(self.names)}
        found = [self.of(value) for value in {_key(value): value for value in values}.values()]
        self.highest = max((number for number in found if not isinstance(number, Reason)), default=-1)

    def of(self, value: object) -> int | Reason:
        """Return the class number, or the reason why the value is not a class."""
        if isinstance(value, str):
            if value in self._number:
                value = self._number[value]
            elif self._digits:
                value = int(value) if len(value) < 10 else 10**9
            else:
                other = "classes in dataset.json do not name" if self._listed else "other labels are numbers"
                return Reason(f"is labelled {shown_value(value)}, {'which' if self._listed else 'while'} {other}")
        if isinstance(value, bool):
            return Reason(f"is labelled {str(value).lower()}, which is no class number")
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        if isinstance(value, int):
            return self._in_range(value)
        if length := _vector_length(value):
            return Reason(f"is labelled with a vector of {length} numbers, which is no class", mistake=False)
        return Reason(f"is labelled {shown_value(value)}, which is no class", mistake=False)

    @staticmethod
    def _in_range(value: int) -> int | Reason:
        if value < 0:
            return Reason(f"is labelled {shown_value(value)}, but classes are numbered from 0")
        if value > HIGHEST_CLASS:
            return Reason(f"is labelled {shown_value(value)}, above the highest class {HIGHEST_CLASS}")
        return value


class _Folders:
    """Finds folders of videos by names that may have another normal form, other slashes, or other folders above."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self.videos = {video.folder: video for video in videos}
        self._by_tidy = {tidy(folder): folder for folder in self.videos}

    def exact(self, name: str, base: str) -> str | None:
        """Find a folder by its path.

        Args:
            name: Path from the top of the archive, in the form of `tidy`, made of `base` and the name of a label.
            base: Folder of the `dataset.json`, in the form of `tidy`. The label may already begin at the top.

        Returns:
            The folder; None if it does not exist.
        """
        found = self._by_tidy.get(name)
        if found is None and base and len(name) > len(base):
            found = self._by_tidy.get(name[len(base) + 1 :])
        return found

    def alike(self, names: list[tuple[str, str]], taken: set[str]) -> list[str | None]:
        """Find folders for names that are no folders: folders whose path ends like the name.

        The name may have the ending of a video file, as in labels of the files from which the frames were taken.

        Args:
            names: (path, folder of the `dataset.json`), as for `exact`.
            taken: Folders that already have labels.

        Returns:
            For each name the folder; None unless exactly one folder fits, and fits no other name.
        """
        longer: dict[str, list[str]] = {}
        free: dict[str, list[str]] = {}
        for form, folder in self._by_tidy.items():
            for shape in {form, _without_ending(form)} if folder not in taken else ():
                free.setdefault(shape, []).append(folder)
                for ending in _endings(shape):
                    longer.setdefault(ending, []).append(folder)

        def guess(name: str, base: str) -> str | None:
            below = name[len(base) + 1 :] if base else name
            shapes = list(dict.fromkeys([below, _without_ending(below)]))
            endings = [ending for shape in shapes for ending in _endings(shape)]
            places = [place for ending in endings for place in (_joined(base, ending), ending)]
            ways = [longer[shape] for shape in shapes if shape in longer]
            ways += [free[place] for place in places if place in free]
            return ways[0][0] if ways and len(ways[0]) == 1 else None

        guesses = [guess(name, base) for name, base in names]
        claims = Counter(guesses)
        return [folder if claims[folder] == 1 else None for folder in guesses]


def tidy(name: str) -> str:
    """Return a name in one normal form: with slashes, without empty parts and `.`, with composed letters."""
    name = normal_form(name).replace("\\", "/")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _joined(folder: str, name: str) -> str:
    """Join a folder and a name, both in the form of `tidy`."""
    return f"{folder}/{name}" if folder and name else folder or name


def _without_ending(name: str) -> str:
    """Return a path without its ending, if this is the ending of a video file."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in _VIDEO_FILES else name


def _is_file_of(name: str, path: str) -> bool:
    """Check whether a label names a video file by another ending, or without an ending."""
    path = tidy(path)
    return _without_ending(path) != path and _without_ending(path) == _without_ending(name)


def _endings(name: str) -> list[str]:
    """Return a path, and what is left of it without its first folders: `a/b/c`, `b/c` and `c`."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def shown_value(value: object) -> str:
    """Return a value from a file as printable text."""
    if isinstance(value, str):
        return f"'{printable(value, _LONGEST_NAME)}'"
    try:
        return printable(ascii(value), _LONGEST_NAME)
    except RecursionError:
        return "a deeply nested value"
