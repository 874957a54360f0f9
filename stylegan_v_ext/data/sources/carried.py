"""What a converted data set keeps of its sources: classes, and the recommended distance of motion anchors."""

from collections import Counter
from dataclasses import dataclass, field

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import grouped
from stylegan_v_ext.data.labels import NO_LABEL
from stylegan_v_ext.data.metadata import Metadata
from stylegan_v_ext.data.sources import Source
from stylegan_v_ext.data.sources.class_folders import class_folders, in_order
from stylegan_v_ext.text import printable


@dataclass
class SourceClasses:
    """The classes of the sources of a data set.

    Attributes:
        numbers: Class number of every source, in order; None for a source without a class.
        names: Names of the classes by number; None if they are unknown, or if there are no classes.
        notes: Sentences for the user.
    """

    numbers: list[int | None]
    names: list[str] | None = None
    notes: list[str] = field(default_factory=list)

    def counts(self, labels: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Count the videos of every class that were written.

        Args:
            labels: (folder, class number) of every video that was written.

        Returns:
            (number and name of a class, number of its videos), by number.
        """
        counted = Counter(number for _, number in labels)
        names = dict(enumerate(self.names or []))
        return [
            (f"{number} {printable(names[number], 60)}" if number in names else str(number), counted[number])
            for number in sorted(counted.keys() | names.keys())
        ]


def classes_of(sources: list[Source], *, from_folders: bool) -> SourceClasses:
    """Find the classes of sources.

    Args:
        sources: The sources.
        from_folders: Whether the folders are the classes; otherwise the classes come from `dataset.json`.

    Raises:
        DataError: If folders are the classes, and a source lies in no such folder.
    """
    recorded = _recorded_classes(sources)
    if not from_folders:
        return recorded
    has_labels = any(number is not None for number in recorded.numbers)
    try:
        names, notes = class_folders([item.name for item in sources], [item.folders for item in sources])
    except DataError as error:
        otherwise = "; without --labels, the labels of dataset.json are kept" if has_labels else ""
        raise DataError(f"{error}{otherwise}") from None
    if has_labels:
        notes.append("--labels: the folders are the classes; the labels in dataset.json are left out")
    classes = in_order(names)
    return SourceClasses([classes.index(name) for name in names], classes, notes)


def _recorded_classes(sources: list[Source]) -> SourceClasses:
    """Return the classes that the `dataset.json` files of the sources record."""
    numbers = [item.recorded.labels.get(item.place) for item in sources]
    if not any(item.recorded.labels or item.recorded.unusable for item in sources):
        return SourceClasses(numbers)
    reasons = [
        (printable(item.name), item.recorded.unusable.get(item.place, NO_LABEL).text)
        for item, number in zip(sources, numbers, strict=True)
        if number is None
    ]
    notes = [f"{sentence}, so no label is written" for sentence in grouped(reasons, "video", len(sources))]
    names = next((item.recorded.class_names for item in sources if item.recorded.class_names is not None), None)
    return SourceClasses(numbers, None if len(reasons) == len(sources) else names, notes)


def motion_distance_of(sources: list[Source], fps: float | None) -> tuple[int | None, list[str]]:
    """Find the distance of motion anchors that the sources recommend.

    Args:
        sources: The sources.
        fps: Rate to which the frames are resampled, in frames a second; None if they are not resampled.

    Returns:
        (number of frames between motion anchors, or None if there is no recommendation; sentences for the user).
    """
    records = {id(item.recorded): item.recorded for item in sources if item.recorded.motion_distance is not None}
    scaled = {_scaled(record, fps) for record in records.values()}
    if not scaled:
        return None, []
    if len(scaled) > 1 or None in scaled:
        why = "its fps is unknown" if None in scaled else "the sources differ in it"
        return None, [f"motion_distance of dataset.json is left out, since {why}"]
    distance = scaled.pop()
    before = next(iter(records.values())).motion_distance
    if distance == before:
        return distance, []
    return distance, [f"motion_distance {before} becomes {distance} frames, the same time at {fps:g} frames a second"]


def _scaled(record: Metadata, fps: float | None) -> int | None:
    """Convert the recommended distance to another rate; None if its own rate is unknown."""
    if fps is None:
        return record.motion_distance
    if record.fps is None or record.motion_distance is None:
        return None
    return max(round(record.motion_distance * fps / record.fps), 1)
