"""From videos, or folders of frames, to a data set: decode, crop, resize, cut into clips, encode."""

import io
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image

from stylegan_v_ext.data.archive import Archive, open_archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.ffmpeg import VIDEO_SUFFIXES, FfmpegError, VideoReader
from stylegan_v_ext.data.videos import Video, image_faults, is_hidden, list_videos, natural_key, open_image
from stylegan_v_ext.data.writer import DatasetWriter
from stylegan_v_ext.text import printable

DEFAULT_FPS = 25.0


@dataclass(frozen=True)
class ConvertOptions:
    """How sources become clips.

    size: (width, height); width is the side of the frames, a smaller height is the height of the
    picture that "center-crop-wide" sets between black bars. fps: resample videos to this rate.
    max_frames: stop a source after that many. clip_frames: cut sources into clips of that many
    frames, every `clip_stride` frames (default: clip_frames). quality: of JPEG, 1 to 100.
    """

    size: tuple[int, int] = (256, 256)
    transform: str = "center-crop"
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


@dataclass(frozen=True)
class Source:
    """A video file, or a folder of frames inside an archive; name is relative to what the user named."""

    name: str
    path: str | None = None
    archive: Archive | None = None
    video: Video | None = None


def find_sources(source: str) -> list[Source]:
    """Video files and frame folders at a path, in natural order. Raises `DataError` if there are none."""
    path = Path(source)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return [Source(path.name, path=str(path))]
    archive = open_archive(path)
    found = [
        Source(name, path=str(path / name))
        for name in archive.names
        if path.is_dir() and name.lower().endswith(VIDEO_SUFFIXES) and not is_hidden(name)
    ]
    found += [Source(video.folder or path.stem, archive=archive, video=video) for video in list_videos(archive)]
    if not found:
        raise DataError(f"{source} holds neither videos ({', '.join(VIDEO_SUFFIXES)}) nor folders of frames")
    return sorted(found, key=lambda item: natural_key(item.name))


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
        side = self.options.size[0]
        reader = VideoReader(self.item.path or "", side, side, _ffmpeg_filters(self.options), self.options.fps)
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
                frame = np.asarray(_transform_image(image.convert("RGB"), self.options))
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


def _ffmpeg_filters(options: ConvertOptions) -> str:
    width, height = options.size
    shape = {
        "center-crop": f"crop=w='min(iw,ih)':h='min(iw,ih)',scale={width}:{width}:flags=lanczos",
        "center-crop-wide": (
            f"crop=w='min(iw,ih*{width}/{height})':h='min(ih,iw*{height}/{width})',"
            f"scale={width}:{height}:flags=lanczos,pad={width}:{width}:0:(oh-ih)/2"
        ),
        "fit": (
            f"scale={width}:{width}:force_original_aspect_ratio=decrease:flags=lanczos,"
            f"pad={width}:{width}:(ow-iw)/2:(oh-ih)/2"
        ),
    }[options.transform]
    return f"{shape},setsar=1"


def _transform_image(image: PIL.Image.Image, options: ConvertOptions) -> PIL.Image.Image:
    """The same geometry for a single frame."""
    width, height = options.size
    if options.transform == "fit":
        scale = width / max(image.size)
        picture = image.resize([max(round(side * scale), 1) for side in image.size], PIL.Image.Resampling.LANCZOS)
    else:
        aspect = 1 if options.transform == "center-crop" else width / height
        crop_w = min(image.width, round(image.height * aspect))
        crop_h = min(image.height, round(image.width / aspect))
        left, top = (image.width - crop_w) // 2, (image.height - crop_h) // 2
        target = (width, width if options.transform == "center-crop" else height)
        picture = image.resize(
            target, PIL.Image.Resampling.LANCZOS, box=(left, top, left + crop_w, top + crop_h), reducing_gap=3.0
        )
    canvas = PIL.Image.new("RGB", (width, width))
    canvas.paste(picture, ((width - picture.width) // 2, (width - picture.height) // 2))
    return canvas


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
