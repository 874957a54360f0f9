"""Converting videos or folders of pictures to a data set: decode, crop, resize, cut into clips, encode."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from stylegan_v_ext.data.clips import ClipWriter
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import Notes, count, shortened
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.source_reader import OpenArrays, SourceReader, add_notes, check_rates
from stylegan_v_ext.data.sources import Source, find_sources
from stylegan_v_ext.data.sources.carried import classes_of, motion_distance_of
from stylegan_v_ext.data.writer import DatasetWriter
from stylegan_v_ext.text import printable

_MOST_RATES = 8  # rates that a note lists


@dataclass(frozen=True)
class ConvertOptions:
    """How sources become clips.

    Attributes:
        geometry: Form of the frames.
        fps: Rate to resample to, in frames a second; None takes every frame once.
        max_frames: Number of frames after which a source ends; None takes all frames.
        clip_frames: Length of the clips into which sources are cut, in frames; None makes one clip of each source.
        clip_stride: Distance between the beginnings of clips, in frames; None means `clip_frames`.
        format: Format of the frames, "jpg" or "png".
        quality: Quality of JPEG, 1 to 100.
        labels: Whether folders are the classes, see `class_folders`; otherwise the classes of `dataset.json` are kept.
        workers: Number of encoding threads.
    """

    geometry: Geometry = Geometry()
    fps: float | None = None
    max_frames: int | None = None
    clip_frames: int | None = None
    clip_stride: int | None = None
    format: str = "jpg"
    quality: int = 95
    labels: bool = False
    workers: int = 2


@dataclass
class ConvertReport:
    """What was written.

    Attributes:
        num_videos: Number of videos, which are clips of the sources.
        num_frames: Number of frames of all videos.
        fps: Recorded rate in frames a second; None if it is unknown for all sources.
        notes: Sentences about sources and files that are left out, cut short or unusual.
        classes: (number and name of a class, number of its videos); empty without labels.
    """

    num_videos: int = 0
    num_frames: int = 0
    fps: float | None = None
    notes: list[str] = field(default_factory=list)
    classes: list[tuple[str, int]] = field(default_factory=list)


def convert_dataset(
    source: str, dest: str, options: ConvertOptions, progress: Callable[[str, float], None] | None = None
) -> ConvertReport:
    """Write a data set from all sources at a path.

    A source that cannot be read is left out, and named in the report.

    Args:
        source: The path; anything that `find_sources` takes.
        dest: Name of a `.zip` or of a folder, which must not exist.
        options: How the sources become clips.
        progress: Called with the name of a source and the share of all work that is done, 0 to 1.

    Returns:
        What was written.

    Raises:
        DataError: If there is no source that can be read, or if `dest` cannot be written. Then nothing is written.
    """
    found = find_sources(source)
    check_rates(found, options.fps)
    classes = classes_of(found.sources, from_folders=options.labels)
    distance, motion_notes = motion_distance_of(found.sources, options.fps)
    report, notes, written = ConvertReport(), Notes(), _Written()
    with DatasetWriter(dest) as writer, ThreadPoolExecutor(options.workers) as pool, OpenArrays() as arrays:
        for number, item in enumerate(found.sources):
            reader = SourceReader(item, options.geometry, options.fps, options.max_frames, arrays)

            def advance(number: int = number, item: Source = item, reader: SourceReader = reader) -> None:
                if progress is not None:
                    progress(item.name, (number + reader.share_done()) / len(found.sources))

            clips = ClipWriter(writer, options.format, options.clip_frames, options.clip_stride, report.num_videos)
            _write_clips(reader, clips, _encoded(reader, pool, options), notes, advance)
            written.add(item.name, clips, reader.fps, classes.numbers[number])
            report.num_videos += len(clips.clips)
            report.num_frames += sum(num_frames for _, _, num_frames in clips.clips)
        more = [*notes.sentences(), *_tails(written.tails, options.clip_frames), *written.rates.notes()]
        report.notes = [*found.notes, *classes.notes, *motion_notes, *more]
        if not report.num_videos:
            raise DataError(f"nothing in {source} could be converted: {'; '.join(report.notes[:3])}")
        report.fps = written.rates.common()
        writer.write_metadata(written.metadata(report.fps, distance, classes.names))
        report.classes = classes.counts(written.labels)
    if progress is not None:
        progress("", 1.0)
    return report


class _Written:
    """What is recorded of the sources that were written.

    Attributes:
        labels: (folder, class number) of every clip that has a class.
        origins: Folder, source, first frame and number of frames of every clip, as `dataset.json` holds them.
        tails: (name, number of frames) of sources with frames at the end that are too few for a clip.
        rates: The rates of the sources.
    """

    def __init__(self) -> None:
        self.labels: list[tuple[str, int]] = []
        self.origins: list[dict[str, object]] = []
        self.tails: list[tuple[str, int]] = []
        self.rates = _Rates()

    def add(self, name: str, clips: ClipWriter, fps: float | None, label: int | None) -> None:
        """Add a source.

        Args:
            name: Name of the source.
            clips: The writer of its clips.
            fps: Its rate in frames a second; None if unknown.
            label: Its class number; None without a class.
        """
        for folder, start, num_frames in clips.clips:
            self.origins.append({"folder": folder, "source": name, "first_frame": start, "frames": num_frames})
            if label is not None:
                self.labels.append((folder, label))
        if clips.used and clips.tail:
            self.tails.append((name, clips.tail))
        if clips.used:
            self.rates.add(name, fps)

    def metadata(
        self, fps: float | None, motion_distance: int | None, class_names: list[str] | None
    ) -> dict[str, object]:
        """Return the content of `dataset.json`; apart from labels, it leaves out what is unknown."""
        content = {
            "fps": fps,
            "motion_distance": motion_distance,
            "labels": self.labels or None,
            "classes": class_names,
            "sources": self.origins,
        }
        return {key: value for key, value in content.items() if value is not None or key == "labels"}


class _Rates:
    """The rates of the sources that were read."""

    def __init__(self) -> None:
        self._known: dict[str, list[float]] = {}  # by the text that a note shows
        self._unknown: list[str] = []

    def add(self, name: str, fps: float | None) -> None:
        """Count a source.

        Args:
            name: Name of the source.
            fps: Its rate in frames a second; None if unknown.
        """
        if fps:
            self._known.setdefault(f"{fps:.4g}", []).append(fps)
        else:
            self._unknown.append(name)

    def common(self) -> float | None:
        """Return the rate that most sources have; None if all rates are unknown."""
        return max(self._known.values(), key=len)[0] if self._known else None

    def notes(self) -> list[str]:
        """Return sentences about rates that differ or are unknown."""
        notes = []
        if len(self._known) > 1:
            shown = sorted(self._known, key=float)
            several = ", ".join(shown) if len(shown) <= _MOST_RATES else f"from {shown[0]} to {shown[-1]}"
            notes.append(f"the sources have {several} frames a second; --fps would make them equal")
        if self._known and self._unknown:
            notes.append(
                f"{count(len(self._unknown), 'source')} without a frame rate: {shortened(self._unknown)}; "
                f"{self.common():g} frames a second, as others have, are recorded for all"
            )
        return notes


def _write_clips(
    reader: SourceReader, clips: ClipWriter, encoded: Iterable[bytes], notes: Notes, advance: Callable[[], None]
) -> None:
    """Write all clips of a source from its encoded frames, and note why frames are not used."""
    name, failure = reader.source.name, None
    try:
        for data in encoded:
            clips.add(data)
            if clips.count % 16 == 0:
                advance()
    except DataError as error:
        failure = str(error)
    clips.close()
    if failure is not None:
        verb = "is" if clips.used == 1 else "are"
        kept = f"the {count(clips.used, 'frame')} before it {verb} used" if clips.used else "left out"
        notes.add(name, f"{failure.replace(printable(name), 'it')}; {kept}", f"{failure}; {kept}")
    add_notes(notes, reader, clips.used)
    if failure is None and clips.count and not clips.used:
        bound = f"fewer than --clip-frames={clips.length}, and is left out"
        few = f"it has fewer frames than --clip-frames={clips.length} and is left out"
        notes.add(name, few, f"{name} has {count(clips.count, 'frame')}, {bound}")
    advance()


def _tails(left: list[tuple[str, int]], clip_frames: int | None) -> list[str]:
    """Return a sentence about sources with frames at the end that are too few for a clip: (name, number of frames)."""
    if not left:
        return []
    frames = sum(number for _, number in left)
    place = f"the end{'s' if len(left) > 1 else ''} of {count(len(left), 'video')}"
    return [
        f"{count(frames, 'frame')} at {place} {'makes' if frames == 1 else 'make'} no whole clip of {clip_frames}, and "
        f"{'is' if frames == 1 else 'are'} left out: {shortened([name for name, _ in left])}"
    ]


def _encoded(reader: SourceReader, pool: ThreadPoolExecutor, options: ConvertOptions) -> Iterator[bytes]:
    """Yield frames as image files, in order; only a limited number of frames is in memory."""
    pending: deque[Future[bytes]] = deque()
    failure: DataError | None = None
    try:
        for frame in reader:
            pending.append(pool.submit(encode_frame, frame, options.format, options.quality))
            if len(pending) > 4 * options.workers:
                yield pending.popleft().result()
    except DataError as error:
        failure = error  # the frames before it are written first
    while pending:
        yield pending.popleft().result()
    if failure is not None:
        raise failure


def encode_frame(frame: np.ndarray, format: str = "jpg", quality: int = 95) -> bytes:
    """Encode a frame.

    Args:
        frame: RGB pixels, uint8 `[H, W, 3]`.
        format: "jpg" or "png".
        quality: Quality of JPEG, 1 to 100; colours have full resolution from 90 on.

    Returns:
        Content of the image file.
    """
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(frame)
    if format == "png":
        image.save(buffer, format="PNG", compress_level=1)
    else:
        image.save(buffer, format="JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    return buffer.getvalue()


def default_workers() -> int:
    """Return the number of threads for encoding: the number of cores, at most 8."""
    return min(os.cpu_count() or 1, 8)
