"""From videos, or folders of frames, to a data set: decode, crop, resize, cut into clips, encode."""

import io
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import PIL.Image

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import FfmpegError, VideoReader
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.names import natural_key
from stylegan_v_ext.data.pictures import image_faults, open_image
from stylegan_v_ext.data.sources import Source, find_sources
from stylegan_v_ext.data.writer import DatasetWriter
from stylegan_v_ext.text import printable

DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class ConvertOptions:
    """How sources become clips.

    geometry: form of the frames.
    fps: rate to resample to, in frames a second; None keeps the frames as they are.
    max_frames: stop a source after that many; None takes all.
    clip_frames: cut sources into clips of that many frames, every `clip_stride` frames (None: clip_frames); None
        makes one clip of each source.
    format: "jpg" or "png".
    quality: of JPEG, 1 to 100.
    labels: the first folder of a source's name is its class.
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
    """What was written; notes: sentences that name every source left out or cut short, and unequal frame rates."""

    num_videos: int = 0
    num_frames: int = 0
    notes: list[str] = field(default_factory=list)


def convert(
    source: str, dest: str, options: ConvertOptions, progress: Callable[[str, float], None] | None = None
) -> ConvertReport:
    """Write the data set `dest` from all sources at `source`.

    A source that cannot be read is named in the report and left out. Raises `DataError` if nothing
    was left, in which case nothing is written. progress: called with the source's name and the share
    of all sources done, 0 to 1.
    """
    sources = find_sources(source)
    classes = sorted({_top_folder(item) for item in sources}, key=natural_key) if options.labels else []
    report = ConvertReport()
    labels: list[tuple[str, int]] = []
    origins: list[dict] = []
    rates: Counter[float] = Counter()
    with DatasetWriter(dest) as writer, ThreadPoolExecutor(options.workers) as pool:
        for number, item in enumerate(sources):
            reader = _FrameSource(item, options)

            def advance(number: int = number, item: Source = item, reader: "_FrameSource" = reader) -> None:
                if progress is not None:
                    progress(item.name, (number + reader.share_done()) / len(sources))

            for folder, start, num_frames in _write_clips(reader, writer, pool, options, report, advance):
                origins.append({"folder": folder, "source": item.name, "first_frame": start, "frames": num_frames})
                if options.labels:
                    labels.append((folder, classes.index(_top_folder(item))))
            if reader.fps:
                rates[reader.fps] += 1
        if not report.num_videos:
            raise DataError(f"nothing in {source} could be converted: {'; '.join(report.notes[:3])}")
        if len(rates) > 1 and options.fps is None:
            found = ", ".join(f"{rate:g}" for rate in sorted(rates))
            report.notes.append(f"the sources have {found} frames a second; --fps would make them equal")
        fps = options.fps or (rates.most_common(1)[0][0] if rates else DEFAULT_FPS)
        metadata: dict = {"fps": fps, "labels": labels or None, "sources": origins}
        if options.labels:
            metadata["classes"] = classes
        writer.write_metadata(metadata)
    if progress is not None:
        progress("", 1.0)
    return report


def _top_folder(item: Source) -> str:
    if "/" not in item.name:
        raise DataError(f"{item.name} lies in no sub-folder; --labels takes the class from the first folder's name")
    return item.name.split("/")[0]


class _FrameSource:
    """Frames of a source in their final size, with what is known of its rate and length."""

    def __init__(self, item: Source, options: ConvertOptions):
        self.item, self.options = item, options
        self.fps: float | None = None
        self.num_read = 0
        self.expected: float | None = len(item.video) if item.video is not None else None
        self.damage: str | None = None

    def share_done(self) -> float:
        limit = min(self.expected or float("inf"), self.options.max_frames or float("inf"))
        return min(self.num_read / limit, 1.0)

    def __iter__(self) -> Iterator[np.ndarray]:
        frames = self._from_file() if self.item.path is not None else self._from_folder()
        for frame in frames:
            self.num_read += 1
            yield frame
            if self.num_read == self.options.max_frames:
                break

    def _from_file(self) -> Iterator[np.ndarray]:
        reader = VideoReader(self.item.path or "", self.options.geometry, self.options.fps)
        for frame in reader:
            self.fps = reader.fps
            if reader.duration and reader.fps:
                self.expected = reader.duration * reader.fps
            yield frame
        if reader.damage:
            kept = f"the {self.num_read} frames before the damage are used"
            self.damage = f"{printable(self.item.name)} is damaged; {kept} ({printable(reader.damage)})"

    def _from_folder(self) -> Iterator[np.ndarray]:
        archive, video = self.item.archive, self.item.video
        if archive is None or video is None:
            return
        for index in video.frames:
            data = archive.read(index)
            with image_faults(f"{archive.names[index]} cannot be read"), open_image(data) as image:
                frame = np.asarray(self.options.geometry.apply(image.convert("RGB")))
            yield frame


def _write_clips(
    reader: _FrameSource,
    writer: DatasetWriter,
    pool: ThreadPoolExecutor,
    options: ConvertOptions,
    report: ConvertReport,
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
    count = 0
    try:
        for data in _encoded(reader, pool, options):
            if clip_frames is None:
                writer.write(f"{whole_folder}/{count:06d}.{options.format}", data)
            else:
                if count % stride == 0:
                    open_clips.append((count, []))
                for _, frames in open_clips:
                    frames.append(data)
                if open_clips and len(open_clips[0][1]) == clip_frames:
                    yield _write_clip(*open_clips.popleft(), writer, options, report)
            count += 1
            if count % 16 == 0:
                advance()
        if reader.damage is not None:
            report.notes.append(reader.damage)
    except (FfmpegError, DataError) as error:
        kept = f"the {count} frames before it are used" if count else "left out"
        report.notes.append(f"{error}; {kept}")
    if clip_frames is None and count:
        report.num_videos += 1
        report.num_frames += count
        yield whole_folder, 0, count
    elif clip_frames is not None and 0 < count < clip_frames:
        report.notes.append(f"{printable(reader.item.name)} has {count} frames, fewer than --clip-frames={clip_frames}")
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


def _encoded(reader: _FrameSource, pool: ThreadPoolExecutor, options: ConvertOptions) -> Iterator[bytes]:
    """Frames as image files, in order, a bounded number in flight."""
    pending: deque[Future[bytes]] = deque()
    failure: ValueError | None = None
    try:
        for frame in reader:
            pending.append(pool.submit(encode_frame, frame, options.format, options.quality))
            if len(pending) > 4 * options.workers:
                yield pending.popleft().result()
    except (FfmpegError, DataError) as error:
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


def read_frames(source: str, options: ConvertOptions) -> tuple[np.ndarray, float | None]:
    """All frames uint8 `[T, H, W, 3]` of one video file or folder of frames, and its frames a second if known.

    Of `options`, those of size, rate and length count. Raises `DataError` or `FfmpegError` where there
    is no video, more than one, or one that cannot be read.
    """
    sources = find_sources(source)
    if len(sources) > 1:
        names = ", ".join(item.name for item in sources[:3])
        raise DataError(f"{source} holds {len(sources)} videos ({names}, ...); name one of them")
    reader = _FrameSource(sources[0], options)
    frames = list(reader)
    if not frames:
        raise DataError(f"{source} holds no frames")
    return np.stack(frames), reader.fps
