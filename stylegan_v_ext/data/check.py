"""Checking a data set for everything that would stop training."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from stylegan_v_ext.data.archive import Archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.findings import Notes, count, grouped, shortened
from stylegan_v_ext.data.metadata import Metadata, class_sizes, read_metadata
from stylegan_v_ext.data.opening import convert_command, files_left_out, open_dataset
from stylegan_v_ext.data.pictures import decode_frame, image_faults, open_image
from stylegan_v_ext.data.thumbnails import note_odd_frames, odd_pictures
from stylegan_v_ext.data.videos import Video
from stylegan_v_ext.text import printable

LONGEST_USED = 1024  # frames of a video that training uses; the default of the sampler's `max_num_frames`
_MOST_CLASSES = 10  # classes that a summary shows
_SAMPLED = 100  # videos whose first frame is read for its size


@dataclass
class Report:
    """What a data set holds, and what is wrong with it.

    Attributes:
        lengths: Number of frames by folder, for every video.
        resolution: Side of the frames in pixels; None if they are not square, or not readable.
        class_sizes: (name or number of a class, number of its videos); empty without usable labels.
        fps: Frames a second; None if they are not recorded.
        problems: Sentences about everything that stops training; each names the file.
        fatal: The problems that remain if bad videos are left out.
        bad_videos: Folders of videos with a faulty frame or too few frames; training can leave them out.
        label_problems: Sentences about mistakes in labels; they stop training with classes only.
        label_notes: Sentences about labels that are no classes; they stop training with classes only.
        unlabelled: Folders of videos without a class; empty if the data have no labels.
        notes: Sentences about things that do not stop training.
        remedies: Clauses that say how to solve the problems.
    """

    lengths: dict[str, int] = field(default_factory=dict)
    resolution: int | None = None
    class_sizes: list[tuple[str, int]] = field(default_factory=list)
    fps: float | None = None
    problems: list[str] = field(default_factory=list)
    fatal: list[str] = field(default_factory=list)
    bad_videos: list[str] = field(default_factory=list)
    label_problems: list[str] = field(default_factory=list)
    label_notes: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)

    @property
    def num_videos(self) -> int:
        """Number of videos."""
        return len(self.lengths)

    @property
    def num_frames(self) -> int:
        """Number of frames of all videos."""
        return sum(self.lengths.values())

    @property
    def shortest(self) -> int:
        """Number of frames of the shortest video."""
        return min(self.lengths.values())

    @property
    def longest(self) -> int:
        """Number of frames of the longest video."""
        return max(self.lengths.values())

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_sizes)

    def stopping(self, *, use_labels: bool) -> list[str]:
        """Return sentences about everything that stops a training, with classes if `use_labels`."""
        return self.problems + (self.label_problems + self.label_notes if use_labels else [])

    def left_out(self, *, use_labels: bool) -> list[str]:
        """Return the folders of the videos that a training, with classes if `use_labels`, must leave out."""
        return sorted({*self.bad_videos, *(self.unlabelled if use_labels else [])})

    def is_curable(self, *, use_labels: bool) -> bool:
        """Check whether training, with classes if `use_labels`, is possible if it leaves bad videos out."""
        return not self.fatal and len(self.left_out(use_labels=use_labels)) < self.num_videos


def check_dataset(
    path: str,
    num_frames: int = 3,
    *,
    headers_only: bool = False,
    workers: int = 4,
    progress: Callable[[int], None] | None = None,
    opened: tuple[Archive, list[Video]] | None = None,
) -> Report:
    """Check all frames, labels and lengths of a data set.

    Args:
        path: A zip, a folder, shards or an address.
        num_frames: Number of frames that a training clip needs.
        headers_only: Whether to read sizes and modes without decoding frames.
        workers: Number of decoding threads.
        progress: Called after each video with its number of frames.
        opened: Result of `open_dataset(path)` if the caller has it already; None opens the data set.

    Returns:
        What the data set holds, and what is wrong with it.

    Raises:
        DataError: If the data set cannot be opened.
    """
    archive, videos = open_dataset(path) if opened is None else opened
    metadata = read_metadata(archive, videos)
    report = Report({video.folder: len(video) for video in videos}, fps=metadata.fps, problems=list(metadata.problems))
    report.fatal += metadata.problems
    report.notes += metadata.notes + files_left_out(archive, path, videos)
    _report_labels(report, metadata, videos)
    size = _usual_size(archive, videos)
    report.resolution = size[0] if size is not None and size[0] == size[1] else None
    if report.resolution is not None and (report.resolution < 8 or report.resolution & (report.resolution - 1)):
        report.fatal.append(f"resolution {report.resolution} is not a power of two from 8 on")
        report.problems.append(report.fatal[-1])
    _report_lengths(report, videos, num_frames, path)
    _report_odd_names(report, archive, videos)
    faulty: list[tuple[str, str]] = []
    with ThreadPoolExecutor(workers) as pool:
        found = pool.map(lambda video: _faults(archive, video, report.resolution, headers_only=headers_only), videos)
        for video, faults in zip(videos, found, strict=True):
            faulty += faults
            if faults:
                report.bad_videos.append(video.folder)
            if progress is not None:
                progress(len(video))
    report.problems += grouped(faulty, "frame", report.num_frames)
    report.bad_videos = sorted(set(report.bad_videos))
    if report.resolution is None:
        report.fatal.append("the frames are not square" if size else "no frame is readable")
    if size and (report.fatal != metadata.problems or any("expected" in predicate for _, predicate in faulty)):
        command = convert_command(path, _nearest_side(min(size)), " --transform=center-crop")
        report.remedies.append(f"{command} makes frames of one size and kind (--transform=fit keeps whole pictures)")
    return report


def _report_labels(report: Report, metadata: Metadata, videos: Sequence[Video]) -> None:
    """Report on the labels, if there are any."""
    if not (metadata.labels or metadata.unusable or metadata.label_problems):
        return
    report.class_sizes = class_sizes(metadata, videos)
    without = [video for video in videos if video.folder not in metadata.labels]
    report.unlabelled = [video.folder for video in without]
    for mistake, sentences in ((True, report.label_problems), (False, report.label_notes)):
        reasons = [(str(video), metadata.reason(video)) for video in without]
        findings = [(name, reason.text) for name, reason in reasons if reason.mistake == mistake]
        sentences += grouped(findings, "video", len(videos))
    report.label_problems[:0] = metadata.label_problems


def _report_lengths(report: Report, videos: Sequence[Video], num_frames: int, path: str) -> None:
    """Report on videos that are too short for a clip, or too long to be used whole."""
    short = [video for video in videos if len(video) < num_frames]
    report.problems += grouped(
        [(str(video), f"has {count(len(video), 'frame')}, a clip needs {num_frames}") for video in short],
        "video",
        len(videos),
    )
    report.bad_videos += [video.folder for video in short]
    if report.longest == 1 < num_frames:
        report.remedies.append(
            "no folder holds more than a picture, so these are no videos; --cfg=stylegan2 trains on pictures"
        )
    elif report.longest < num_frames:
        report.remedies.append(f"no video is long enough; use --num-frames={report.longest} or less")
    single = [str(video) for video in videos if len(video) == 1]
    if num_frames == 1 and 0 < len(single) < len(videos) / 2:
        report.notes.append(
            f"{shortened(single)}: folders of a single picture are trained on as well, thumbnails or not"
        )
    if report.longest > LONGEST_USED:
        if len(videos) == 1:
            report.notes.append(
                f"all {report.longest:,} frames lie in one folder and so are one video; a data set has a folder for "
                "each video"
            )
        many = [str(video) for video in videos if len(video) > LONGEST_USED]
        clip = f" --clip-frames={max(min(report.shortest, LONGEST_USED), num_frames)}"  # such clips lose no video
        report.notes.append(
            f"training sees {LONGEST_USED:,} frames of a video, and no more of {shortened(many)}; "
            f"{convert_command(path, report.resolution, clip)} cuts all into clips"
        )


def _report_odd_names(report: Report, archive: Archive, videos: Sequence[Video]) -> None:
    """Report on pictures that may be thumbnails among frames, or frames of two series in one folder."""
    notes = Notes()
    for video in videos:
        names = video.names(archive)
        odd = [names[place] for places in odd_pictures(names) for place in places]
        if odd:
            note_odd_frames(notes, str(video), odd)
    report.notes += notes.sentences()


def _faults(archive: Archive, video: Video, resolution: int | None, *, headers_only: bool) -> list[tuple[str, str]]:
    """Return (name, fault as a predicate) for every faulty frame of a video."""
    faults = []
    for index in video.frames:
        name = archive.names[index]
        try:
            decode_frame(archive.read(index), name, resolution, header_only=headers_only)
        except DataError as error:
            shown = printable(name)
            predicate = str(error).rpartition(shown)[2].strip() or "cannot be read"
            if resolution is None:
                predicate = predicate.partition("; ")[0]  # the remedy is stated once for all frames
            faults.append((shown, predicate))
    return faults


def _usual_size(archive: Archive, videos: Sequence[Video]) -> tuple[int, int] | None:
    """Return (width, height) of most frames; None if no frame is readable.

    The first readable frame of up to 100 videos counts. The most frequent square is taken if a quarter of the frames or
    more have its size, because training can use these alone.
    """
    frames: Counter[tuple[int, int]] = Counter()
    step = math.ceil(len(videos) / _SAMPLED)
    for video in videos[::step]:
        size = next(filter(None, (_size(archive, int(index)) for index in video.frames)), None)
        if size is not None:
            frames[size] += len(video)
    squares = [size for size in frames if size[0] == size[1] and 4 * frames[size] >= frames.total()]
    return max(squares or frames, key=lambda size: frames[size], default=None)


def _size(archive: Archive, index: int) -> tuple[int, int] | None:
    """Return (width, height) of a frame; None if it is not readable."""
    try:
        with image_faults("not readable"), open_image(archive.read(index)) as image:
            return image.size
    except DataError:
        return None


def _nearest_side(side: int) -> int:
    """Return the power of two from 8 to 1024 that is nearest to a side in pixels."""
    return 2 ** min(max(round(math.log2(side)), 3), 10)


def summary_of_classes(class_sizes: Sequence[tuple[str, int]]) -> str:
    """Describe the classes of a data set, such as `3 (Apply 2, Bowling 2, Cut 2)`.

    Args:
        class_sizes: (name or number of a class, number of its videos).

    Returns:
        Number of classes and, for each class, number of its videos; "" without classes.
    """
    if not class_sizes:
        return ""
    shown = [
        f"{printable(name, 40)}{':' if name.isdecimal() else ''} {number}"
        for name, number in class_sizes[:_MOST_CLASSES]
    ]
    rest = class_sizes[_MOST_CLASSES:]
    if rest:
        sizes = [number for _, number in rest]
        span = f"{min(sizes)} to {max(sizes)} videos" if min(sizes) < max(sizes) else f"{count(sizes[0], 'video')} each"
        shown.append(f"and {len(rest)} more of {span}")
    return f"{len(class_sizes)} ({', '.join(shown)})"
