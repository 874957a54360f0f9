"""Classes of videos, from labels as data sets of the world write them: of folders or of files, numbers or names.

A label that is no class (a vector, such as the camera of a picture, or a number such as an age) is not an error:
such data train without classes. Every video without a class keeps the reason, for training with classes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.findings import spelled
from stylegan_v_ext.data.kinds import ANIMATION_SUFFIXES, ARRAY_SUFFIXES, VIDEO_SUFFIXES, is_picture
from stylegan_v_ext.data.names import natural_sorted, normal_form
from stylegan_v_ext.data.videos import Video
from stylegan_v_ext.text import printable

HIGHEST_CLASS = 2**16  # labels are one-hot rows
_VIDEO_FILES = (*VIDEO_SUFFIXES, *ANIMATION_SUFFIXES, *ARRAY_SUFFIXES)
_LONGEST_NAME = 100  # characters that a message shows


class Label(NamedTuple):
    """A label in a `dataset.json`.

    Attributes:
        base: Folder of this file in the archive, in the form of `tidy`; "" for the top.
        name: What the label is of, as the file writes it.
        value: Any JSON value.
    """

    base: str
    name: str
    value: Any


class Reason(NamedTuple):
    """Why a video has no class, as a predicate ("has no label").

    Attributes:
        mistake: The labels contradict themselves or lack something; False if they mean something else than classes.
    """

    text: str
    mistake: bool = True


NO_LABEL = Reason("has no label")


@dataclass
class VideoClasses:
    """What labels say of the videos of an archive.

    Attributes:
        labels: Class by folder, of every video that has one.
        unusable: Reason by folder, of every video that is labelled and has no class all the same.
        missing: Names of labels whose video is not there.
        elsewhere: (name of label, folder of video) of labels that name another path than the data have.
        names: Names of classes by number; None if they are not known.
        num_classes: Highest class of any label plus one.
    """

    labels: dict[str, int] = field(default_factory=dict)
    unusable: dict[str, Reason] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    elsewhere: list[tuple[str, str]] = field(default_factory=list)
    names: list[str] | None = None
    num_classes: int = 0


def classify(
    archive: Archive, videos: Sequence[Video], entries: Sequence[Label], names: list[str] | None = None
) -> VideoClasses:
    """The class of every video, or the reason why it has none.

    Args:
        entries: All labels of an archive; those that are null count as absent.
        names: Names of classes by number, as a file gives them; None if no file does.
    """
    entries = [entry for entry in entries if entry.value is not None]
    numbers = _Numbers([entry.value for entry in entries], names)
    found = VideoClasses(names=numbers.names)
    folders = _Folders(videos)
    for folder, (group, is_of_files) in _placed(entries, folders, found).items():
        decided = _decide(group, numbers, is_of_files)
        if is_of_files and not isinstance(decided, Reason):
            decided = _all_labelled(archive, folders.videos[folder], group) or decided
        if isinstance(decided, Reason):
            found.unusable[folder] = decided
        else:
            found.labels[folder] = decided
    found.num_classes = max(numbers.highest, *found.labels.values()) + 1 if found.labels else 0
    return found


_Group = tuple[list[Label], bool]  # labels of one folder; whether they are of its files


def _placed(entries: Iterable[Label], folders: "_Folders", found: VideoClasses) -> dict[str, _Group]:
    """Group the labels by the folder of their video; labels of unknown folders are added to `found`.

    A label of a whole folder counts before labels of its files.
    """
    placed: dict[str, _Group] = {}
    left: list[tuple[str, _Group]] = []
    whole, of_files = _by_name(entries, folders)
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


def _by_name(entries: Iterable[Label], folders: "_Folders") -> tuple[dict[str, list[Label]], dict[str, list[Label]]]:
    """Labels of folders, and labels of files, by the path of their folder in the archive."""
    whole: dict[str, list[Label]] = {}
    of_files: dict[str, list[Label]] = {}
    for entry in entries:
        name = tidy(entry.name)
        if is_picture(name) and folders.exact(_joined(entry.base, name), entry.base) is None:
            of_files.setdefault(_joined(entry.base, name.rpartition("/")[0]), []).append(entry)
        else:
            whole.setdefault(_joined(entry.base, name), []).append(entry)
    return whole, of_files


def _decide(group: list[Label], numbers: "_Numbers", is_of_files: bool) -> int | Reason:
    """The class that all labels of a video, or of its files, agree on."""
    values = {_key(entry.value): entry.value for entry in group}
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
        f"has files of the classes {shown}; a class is of a whole video, so move files of each class to a folder of "
        "their own and label the folders",
        mistake=False,
    )


def _key(value: Any) -> Any:
    """Something hashable that values of the same meaning share."""
    if isinstance(value, (list, dict)):
        return type(value), len(value), _is_vector(value)
    return type(value), value


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, (int, float)) for item in value)


def _all_labelled(archive: Archive, video: Video, group: list[Label]) -> Reason | None:
    """Reason why labels of files cannot be used: some frames have no label. None if all frames have a label.

    Endings of names may differ.
    """

    def stem(name: str) -> str:
        return tidy(name).rpartition("/")[2].rpartition(".")[0]

    named = {stem(entry.name) for entry in group}
    without = sum(stem(archive.names[int(index)]) not in named for index in video.frames)
    return Reason(f"has {without} of {len(video)} files without a label") if without else None


class _Numbers:
    """From the value of a label to a class number.

    Args:
        values: Those of all labels, which decide how texts are read: as numbers if all are digits, else as names.
        names: Names of classes by number; None numbers names in natural order.
    """

    def __init__(self, values: Sequence[Any], names: list[str] | None) -> None:
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

    def of(self, value: Any) -> int | Reason:
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
        if _is_vector(value):
            return Reason(f"is labelled with a vector of {len(value)} numbers, which is no class", mistake=False)
        return Reason(f"is labelled {shown_value(value)}, which is no class", mistake=False)

    @staticmethod
    def _in_range(value: int) -> int | Reason:
        if value < 0:
            return Reason(f"is labelled {shown_value(value)}, but classes are numbered from 0")
        if value > HIGHEST_CLASS:
            return Reason(f"is labelled {shown_value(value)}, above the highest class {HIGHEST_CLASS}")
        return value


class _Folders:
    """Folders of videos, found by names in other normal forms, with other slashes, or below other folders."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self.videos = {video.folder: video for video in videos}
        self._by_tidy = {tidy(folder): folder for folder in self.videos}

    def exact(self, name: str, base: str) -> str | None:
        """The folder of a name; None if there is no such folder.

        Args:
            name: Path from the top of the archive, in the form of `tidy`.
            base: Tidy folder in which the `dataset.json` lies; its labels may be written from the top all the same.
        """
        found = self._by_tidy.get(name)
        if found is None and base and len(name) > len(base):
            found = self._by_tidy.get(name[len(base) + 1 :])
        return found

    def alike(self, names: list[tuple[str, str]], taken: set[str]) -> list[str | None]:
        """For names that are no folders: the one folder whose path ends as the name does, or None.

        The ending of a video file may be there or missing, as in labels of the files that the frames are from.

        Args:
            names: (path, tidy folder of the `dataset.json`), as for `exact`.
            taken: Folders that have labels already.
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
    """A name in one normal form: slashes, without empty parts and `.`, composed letters."""
    name = normal_form(name).replace("\\", "/")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _joined(folder: str, name: str) -> str:
    """A tidy name behind a tidy folder."""
    return f"{folder}/{name}" if folder and name else folder or name


def _without_ending(name: str) -> str:
    """A path without the ending of a file that may be a video."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in _VIDEO_FILES else name


def _is_file_of(name: str, path: str) -> bool:
    """Whether a path is that of a video file which a label names in the same place, with another ending or none."""
    path = tidy(path)
    return _without_ending(path) != path and _without_ending(path) == _without_ending(name)


def _endings(name: str) -> list[str]:
    """What is left of a path without its first folders: `a/b/c` has `b/c` and `c`; every path has itself, too."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def shown_value(value: object) -> str:
    """A value from somebody else's file as something that can be printed."""
    if isinstance(value, str):
        return f"'{printable(value, _LONGEST_NAME)}'"
    try:
        return printable(ascii(value), _LONGEST_NAME)
    except RecursionError:
        return "a deeply nested value"
