"""From videos, or folders of frames, to a data set: decode, crop, resize, cut into clips, encode."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from stylegan_v_ext.data.carried import classes_of, motion_distance_of
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import Notes, count, shortened
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.source_reader import SourceReader, add_notes, check_rates
from stylegan_v_ext.data.sources import Source, find_sources
from stylegan_v_ext.data.writer import DatasetWriter
from stylegan_v_ext.text import printable

_MOST_RATES = 8  # that a note lists


@dataclass(frozen=True)
class ConvertOptions:
    """How sources become clips.

    geometry: form of the frames.
    fps: rate to resample to, in frames a second; None takes every frame once.
    max_frames: stop a source after that many; None takes all.
    clip_frames: cut sources into clips of that many frames, every `clip_stride` frames (None: clip_frames); None
        makes one clip of each source.
    format: "jpg" or "png".
    quality: of JPEG, 1 to 100.
    labels: classes are folders, see `class_folders`; otherwise those of the sources' `dataset.json` are kept.
    workers: encoding threads.
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

    fps: frames a second that are recorded; None if no source tells them.
    notes: sentences that name every source or file that is left out or cut short, and what is peculiar to sources.
    classes: (number and name, how many videos) of every class; empty without labels.
    """

    num_videos: int = 0
    num_frames: int = 0
    fps: float | None = None
    notes: list[str] = field(default_factory=list)
    classes: list[tuple[str, int]] = field(default_factory=list)


def convert(
    source: str, dest: str, options: ConvertOptions, progress: Callable[[str, float], None] | None = None
) -> ConvertReport:
    """Write the data set `dest` from all sources at `source`.

    A source that cannot be read is named in the report and left out. Raises `DataError` if nothing
    was left, in which case nothing is written. progress: called with the source's name and the share
    of all sources done, 0 to 1.
    """
    found = find_sources(source)
    check_rates(found, options.fps)
    classes = classes_of(found.sources, options.labels)
    distance, motion_notes = motion_distance_of(found.sources, options.fps)
    report, notes, rates = ConvertReport(), Notes(), _Rates()
    labels: list[tuple[str, int]] = []
    origins: list[dict] = []
    with DatasetWriter(dest) as writer, ThreadPoolExecutor(options.workers) as pool:
        for number, item in enumerate(found.sources):
            reader = SourceReader(item, options.geometry, options.fps, options.max_frames)

            def advance(number: int = number, item: Source = item, reader: SourceReader = reader) -> None:
                if progress is not None:
                    progress(item.name, (number + reader.share_done()) / len(found.sources))

            label = classes.numbers[number]
            for folder, start, num_frames in _write_clips(reader, writer, pool, options, report, notes, advance):
                origins.append({"folder": folder, "source": item.name, "first_frame": start, "frames": num_frames})
                if label is not None:
                    labels.append((folder, label))
            if reader.num_read:
                rates.add(item.name, reader.fps)
        report.notes = [*found.notes, *classes.notes, *motion_notes, *notes.sentences(), *rates.notes()]
        if not report.num_videos:
            raise DataError(f"nothing in {source} could be converted: {'; '.join(report.notes[:3])}")
        report.fps = rates.common()
        about = {
            "fps": report.fps, "motion_distance": distance, "labels": labels or None, "classes": classes.names,
            "sources": origins,
        }  # fmt: skip
        writer.write_metadata({key: value for key, value in about.items() if value is not None or key == "labels"})
        report.classes = classes.counts(labels)
    if progress is not None:
        progress("", 1.0)
    return report


class _Rates:
    """Frames a second of the sources that were read."""

    def __init__(self) -> None:
        self._known: dict[str, list[float]] = {}  # by what is shown of them
        self._unknown: list[str] = []

    def add(self, name: str, fps: float | None) -> None:
        """Count a source. fps: None if it is unknown."""
        if fps:
            self._known.setdefault(f"{fps:.4g}", []).append(fps)
        else:
            self._unknown.append(name)

    def common(self) -> float | None:
        """The rate of most sources; None if no source has one."""
        return max(self._known.values(), key=len)[0] if self._known else None

    def notes(self) -> list[str]:
        """Sentences about rates that differ or are unknown."""
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
    reader: SourceReader,
    writer: DatasetWriter,
    pool: ThreadPoolExecutor,
    options: ConvertOptions,
    report: ConvertReport,
    notes: Notes,
    advance: Callable[[], None],
) -> Iterator[tuple[str, int, int]]:
    """Write the clips of one source; yields (folder, first frame, frames) of each.

    Frames are encoded by the pool and written in order; at most a few, and with `clip_frames` the
    encoded frames of the clips still open, are held.
    """
    clip_frames = options.clip_frames
    stride = options.clip_stride or clip_frames or 0
    open_clips: deque[tuple[int, list[bytes]]] = deque()
    whole_folder = f"{report.num_videos:06d}"
    number, done = 0, 0  # frames that were read, and those up to the end of the last clip
    try:
        for data in _encoded(reader, pool, options):
            if clip_frames is None:
                writer.write(f"{whole_folder}/{number:06d}.{options.format}", data)
            else:
                if number % stride == 0:
                    open_clips.append((number, []))
                for _, frames in open_clips:
                    frames.append(data)
                if open_clips and len(open_clips[0][1]) == clip_frames:
                    yield _write_clip(*open_clips.popleft(), writer, options, report)
                    done = number + 1
            number += 1
            if number % 16 == 0:
                advance()
    except DataError as error:
        kept = f"the {number} frames before it are used" if number else "left out"
        clause = str(error).replace(printable(reader.source.name), "it")
        notes.add(reader.source.name, f"{clause}; {kept}", f"{error}; {kept}")
    add_notes(notes, reader)
    if clip_frames is None and number:
        report.num_videos += 1
        report.num_frames += number
        yield whole_folder, 0, number
    elif clip_frames is not None and 0 < number < clip_frames:
        bound = f"fewer than --clip-frames={clip_frames}, and is left out"
        name = reader.source.name
        notes.add(name, f"it has frames {bound}", f"{name} has {number} frames, {bound}")
    elif open_clips and number > done:
        bound = f"which fill no clip of --clip-frames={clip_frames}, are left out"
        left = f"{reader.source.name}: its last {count(number - done, 'frame')}, {bound}"
        notes.add(reader.source.name, f"its last frames, {bound}", left)
    advance()


def _write_clip(
    start: int, frames: list[bytes], writer: DatasetWriter, options: ConvertOptions, report: ConvertReport
) -> tuple[str, int, int]:
    folder = f"{report.num_videos:06d}"
    for index, data in enumerate(frames):
        writer.write(f"{folder}/{index:06d}.{options.format}", data)
    report.num_videos += 1
    report.num_frames += len(frames)
    return folder, start, len(frames)


def _encoded(reader: SourceReader, pool: ThreadPoolExecutor, options: ConvertOptions) -> Iterator[bytes]:
    """Frames as image files, in order, a bounded number in flight."""
    pending: deque[Future[bytes]] = deque()
    failure: DataError | None = None
    try:
        for frame in reader:
            pending.append(pool.submit(encode_frame, frame, options.format, options.quality))
            if len(pending) > 4 * options.workers:
                yield pending.popleft().result()
    except DataError as error:
        failure = error  # what came before it is still to be written
    while pending:
        yield pending.popleft().result()
    if failure is not None:
        raise failure


def encode_frame(frame: np.ndarray, format: str = "jpg", quality: int = 95) -> bytes:
    """Frame uint8 `[H, W, 3]` as a JPEG or PNG file."""
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(frame)
    if format == "png":
        image.save(buffer, format="PNG", compress_level=1)
    else:
        image.save(buffer, format="JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    return buffer.getvalue()


def default_workers() -> int:
    """Threads for encoding: the cores there are, at most 8."""
    return min(os.cpu_count() or 1, 8)
