"""The check of a data set before a run trains on it: errors, videos that are left out, notes."""

import shlex

from stylegan_v_ext.data.check import LONGEST_USED, Report, check_dataset
from stylegan_v_ext.data.opening import open_dataset
from stylegan_v_ext.listener import SILENT, Listener
from stylegan_v_ext.text import say

_DECODE_ALL_BELOW = 20_000  # frames; only the headers of the files are read in larger data sets
_MOST_LINES = 10  # of notes, and of videos left out, on the screen


def check_data(
    path: str,
    num_frames: int,
    *,
    use_labels: bool = False,
    skip_bad: bool = False,
    max_dist: int | None = None,
    listener: Listener = SILENT,
) -> list[str]:
    """Check a data set; print on stderr which videos are left out, and notes.

    Args:
        path: The data set as the user calls it: a zip, a folder, shards or an address.
        num_frames: Frames of a clip.
        use_labels: Whether every video has to have a class.
        skip_bad: Whether videos that are damaged, too short or without a class are left out.
        max_dist: Largest distance in frames that the user asks for; None accepts videos of all lengths.
        listener: Hears how many frames are checked.

    Returns:
        Folders of the videos to leave out.

    Raises:
        ValueError: If a run cannot train on the data; the message names the file and the remedy.
    """
    opened = open_dataset(path)
    total = sum(len(video) for video in opened[1])
    with listener.progress("Checking the data", total) as advance:
        report = check_dataset(
            path, num_frames, headers_only=total > _DECODE_ALL_BELOW, progress=advance, opened=opened
        )
    left_out, stopping = report.left_out(use_labels=use_labels), report.stopping(use_labels=use_labels)
    if stopping and not (skip_bad and report.is_curable(use_labels=use_labels)):
        raise ValueError(_fault(path, report, stopping, use_labels=use_labels))
    if use_labels and not report.num_classes:
        why = next((f" ({note})" for note in report.notes if "dataset.json" in note), "")
        raise ValueError(f"--cond=1: {path} has no labels{why}; add them to its dataset.json or leave --cond out")
    for folder in left_out[:_MOST_LINES]:
        say(f"Left out: {folder}", err=True)
    if len(left_out) > _MOST_LINES:
        say(f"Left out: {len(left_out) - _MOST_LINES:,} more videos", err=True)
    for sentence in _notes(report, use_labels=use_labels)[:_MOST_LINES]:
        say(f"Note: {sentence}", err=True)
    if max_dist is not None:
        out = set(left_out)
        _check_distance(max_dist, [length for folder, length in report.lengths.items() if folder not in out])
    return left_out


def _fault(path: str, report: Report, stopping: list[str], *, use_labels: bool) -> str:
    """Return the first sentence about what stops a training, and what to do."""
    more = f" (and {len(stopping) - 1} more)" if len(stopping) > 1 else ""
    ways = [f"; {remedy}" for remedy in report.remedies] + [f"; see `stylegan-v data check {shlex.quote(path)}`"]
    if report.is_curable(use_labels=use_labels):
        ways.append(", or train with --skip-bad")
    if use_labels and not report.problems:
        ways.append(", or train without --cond")
    return f"{path}: {stopping[0]}{more}{''.join(ways)}"


def _notes(report: Report, *, use_labels: bool) -> list[str]:
    """Return the notes on the data, with a single sentence about all labels if training ignores labels."""
    labels = [] if use_labels else report.label_problems + report.label_notes
    if not labels:
        return report.notes
    more = f" (and {len(labels) - 1} more)" if len(labels) > 1 else ""
    return [*report.notes, f"--cond would stop at labels, which are not used now: {labels[0]}{more}"]


def _check_distance(max_dist: int, lengths: list[int]) -> None:
    """Raise `ValueError` for a distance that no video has; print a note if only some videos have it."""
    distances = [min(length, LONGEST_USED) - 1 for length in lengths]
    if max_dist > max(distances):
        seen = f", of which training sees {LONGEST_USED:,}" if max(lengths) > LONGEST_USED else ""
        raise ValueError(
            f"--max-dist={max_dist} is above {max(distances)}, the largest distance in these data, whose longest video "
            f"has {max(lengths):,} frames{seen}; use --max-dist={max(distances)} or less"
        )
    met = sum(distance >= max_dist for distance in distances)
    if met < len(distances):
        say(
            f"Note: --max-dist={max_dist} is met in {met} of {len(distances)} videos; the others are too short, and "
            "give smaller distances",
            err=True,
        )
