"""Looking through a data set for everything that would stop training, by name."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from stylegan_v_ext.data.archive import Archive, open_archive
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.metadata import check_labels, read_metadata
from stylegan_v_ext.data.pictures import decode_frame
from stylegan_v_ext.data.videos import Video, list_videos


@dataclass
class Report:
    """What a data set holds and what is wrong with it.

    problems: sentences that name the file. bad_videos: folders that hold a faulty frame, too few
    frames or no label; training without them is sound. fatal: problems that leaving videos out does
    not cure.
    """

    num_videos: int = 0
    num_frames: int = 0
    shortest: int = 0
    longest: int = 0
    resolution: int | None = None
    num_classes: int = 0
    fps: float | None = None
    problems: list[str] = field(default_factory=list)
    fatal: list[str] = field(default_factory=list)
    bad_videos: list[str] = field(default_factory=list)


def check_dataset(
    path: str,
    num_frames: int = 3,
    headers_only: bool = False,
    workers: int = 4,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Check every frame, label and length of a data set. Raises `DataError` if it cannot be opened.

    num_frames: frames a training clip needs. headers_only: read sizes and modes without decoding.
    progress: called with a number of frames done.
    """
    archive = open_archive(path)
    videos = list_videos(archive)
    if not videos:
        raise DataError(f"{path} holds no frames; expected folders of .jpg or .png files, one folder a video")
    metadata = read_metadata(archive)
    lengths = [len(video) for video in videos]
    report = Report(
        num_videos=len(videos), num_frames=sum(lengths), shortest=min(lengths), longest=max(lengths),
        resolution=_common_resolution(archive, videos), fps=metadata.fps,
        num_classes=max(metadata.labels.values(), default=-1) + 1,
    )  # fmt: skip
    report.problems += metadata.problems
    report.fatal += metadata.problems
    if report.resolution is None:
        report.problems.append("no frame can be read")
        report.fatal.append("no frame can be read")
        return report
    if report.resolution < 8 or report.resolution & (report.resolution - 1):
        sentence = (
            f"resolution {report.resolution} is not a power of two from 8 on; "
            "convert the data with `stylegan-v data convert --resolution=...`"
        )
        report.problems.append(sentence)
        report.fatal.append(sentence)

    report.problems += check_labels(metadata, videos)
    bad = {video.folder for video in videos if metadata.labels and video.folder not in metadata.labels}
    for video in videos:
        if len(video) < num_frames:
            report.problems.append(f"{video} has {count(len(video), 'frame')}, a clip needs {num_frames}")
            bad.add(video.folder)

    def faults(video: Video) -> list[str]:
        return [fault for index in video.frames if (fault := _fault(archive, index, report.resolution, headers_only))]

    with ThreadPoolExecutor(workers) as pool:
        for video, found in zip(videos, pool.map(faults, videos), strict=True):
            report.problems += found
            if found:
                bad.add(video.folder)
            if progress is not None:
                progress(len(video))
    report.bad_videos = sorted(bad)
    if len(bad) == len(videos):
        report.fatal.append("no video is sound")
    return report


def _fault(archive: Archive, index: int, resolution: int | None, headers_only: bool) -> str | None:
    try:
        decode_frame(archive.read(index), archive.names[index], resolution, headers_only)
    except DataError as error:
        return str(error)
    return None


def _common_resolution(archive: Archive, videos: list[Video]) -> int | None:
    """Size of the first frame that is square and readable; the others are held against it."""
    for video in videos:
        for index in video.frames:
            try:
                return decode_frame(archive.read(index), archive.names[index], header_only=True).shape[0]
            except DataError:
                continue
    return None


def count(number: int, what: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
