"""The reports of converting and of checking a data set in words."""

from collections.abc import Iterator

from stylegan_v_ext.data.check import Report, summary_of_classes
from stylegan_v_ext.data.convert import ConvertReport
from stylegan_v_ext.data.findings import count

_MOST_CLASSES = 30  # classes that are shown


def conversion_lines(dest: str, width: int, report: ConvertReport) -> Iterator[str]:
    """Say what a conversion has written.

    Args:
        dest: The new data set.
        width: Width and height of its frames, in pixels.
        report: The report of the conversion.

    Yields:
        A line about videos and frames, and one about classes if there are any.
    """
    written = f"{count(report.num_videos, 'video')}, {count(report.num_frames, 'frame')}"
    yield f"{dest}: {written} of {width}x{width}"
    if report.classes:
        shown = [f"{name} ({count(number, 'video')})" for name, number in report.classes[:_MOST_CLASSES]]
        more = len(report.classes) - len(shown)
        yield "classes: " + ", ".join(shown) + (f", and {more} more" if more else "")


def check_lines(path: str, report: Report) -> Iterator[str]:
    """Say what a data set holds.

    Args:
        path: The data set.
        report: The report of its check.

    Yields:
        A line about videos and frames, and one about classes if there are usable labels.
    """
    size = f"{report.resolution}x{report.resolution}" if report.resolution else "unknown size"
    fps = f", {report.fps:g} frames a second" if report.fps else ""
    labels = "" if report.num_classes else ", no usable labels" if report.unlabelled else ", no labels"
    yield (
        f"{path}: {count(report.num_videos, 'video')} of {report.shortest} to {report.longest} frames, "
        f"{count(report.num_frames, 'frame')} of {size}{fps}{labels}"
    )
    if report.num_classes:
        yield f"Classes: {summary_of_classes(report.class_sizes)}"


def verdict(path: str, report: Report) -> str:
    """Say how many problems a data set has, and what to do.

    Args:
        path: The data set.
        report: The report of its check.

    Returns:
        One sentence, "" for a sound data set.
    """
    problems = len(report.problems) + len(report.label_problems)
    if not problems:
        return ""
    return "; ".join([f"{path} has {count(problems, 'problem')}", *report.remedies, _cure(report)])


def _cure(report: Report) -> str:
    """Say how the data can be used in spite of their problems."""
    if report.problems and not report.is_curable(use_labels=False):
        return "mend them"
    sound = report.num_videos - len(report.left_out(use_labels=True))
    ways = [f"train on the {count(sound, 'sound video')} with --skip-bad"] if report.is_curable(use_labels=True) else []
    ways += ["train without --cond"] if report.label_problems and not report.problems else []
    ways += ["train with --skip-bad and without --cond"] if report.problems and not ways else []
    return ", or ".join(["mend them", *ways])
