"""`stylegan-v data`: make and check data sets."""

from typing import Any, cast

import click

from stylegan_v_ext.cli.common import progress_bar
from stylegan_v_ext.cli.entry import Group
from stylegan_v_ext.cli.errors import UserError, report_user_errors
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.types import Colour, FrameSize
from stylegan_v_ext.text import say

_SETTINGS = {"show_default": True, "max_content_width": 110}
_MOST_LINES = 20  # problems, and notes, that are printed
_CONVERT_EPILOG = """
\b
Examples:
  stylegan-v data convert videos/ clips.zip --resolution=256
  stylegan-v data convert timelapse.mp4 sky.zip --resolution=128 --clip-frames=256 --fps=10
  stylegan-v data convert classes/ faces.zip --labels        (classes/happy/1.mp4, classes/sad/2.mp4, ...)
"""
_RESOLUTION = "Side of the frames in pixels, a power of two; 512x288 with center-crop-wide"
_TRANSFORM = (
    "center-crop: cut a square from the middle; center-crop-wide: cut WxH, black bars above and below; "
    "fit: whole picture with black bars"
)
_FPS = "Resample to that many frames a second, by the frames' times  [default: every frame once]"
_LABELS = (
    "Classes are the folders below SRC, or below the one folder, or train/ and test/, that hold them all  "
    "[default: the labels of SRC's dataset.json]"
)
_NO_RATE = (
    "Note: the frames a second are unknown and not recorded, so samples will play at 25; give videos a rate by --fps, "
    'and pictures by a dataset.json with {"fps": 25}, or the true rate, in SRC'
)


@click.group(cls=Group)
def data() -> None:
    """Make and check data sets."""


@data.command(epilog=_CONVERT_EPILOG, context_settings=_SETTINGS)
@click.argument("src")
@click.argument("dest")
@click.option("--resolution", help=_RESOLUTION, type=FrameSize(), default="256")
@click.option(
    "--transform", help=_TRANSFORM, default="center-crop", type=click.Choice(["center-crop", "center-crop-wide", "fit"])
)
@click.option("--fps", help=_FPS, type=click.FloatRange(min=0, min_open=True))
@click.option("--max-frames", help="Take at most that many frames of each source", type=click.IntRange(min=1))
@click.option("--clip-frames", help="Cut every source into clips of that many frames", type=click.IntRange(min=1))
@click.option(
    "--clip-stride", help="Frames between the starts of clips  [default: --clip-frames]", type=click.IntRange(min=1)
)
@click.option("--labels", help=_LABELS, cls=Switch)
@click.option(
    "--background", help="Colour behind what is transparent: #rrggbb, black or white", type=Colour(), default="black"
)
@click.option("--format", help="Image format of the frames", type=click.Choice(["jpg", "png"]), default="jpg")
@click.option("--quality", help="JPEG quality", type=click.IntRange(1, 100), default=95)
@click.option("--workers", help="Encoding threads  [default: the cores, at most 8]", type=click.IntRange(min=1))
@report_user_errors
def convert(
    src: str,
    dest: str,
    resolution: tuple[int, int],
    transform: str,
    background: tuple[int, int, int],
    workers: int | None,
    **options: object,
) -> None:
    """Turn videos into a data set.

    SRC is a folder or .zip of videos, of clips of NumPy (.npy, .npz), of folders of pictures, or a data
    set; or one video. DEST is a .zip file or a folder, which must not exist yet; it appears when it is
    complete. Whatever cannot be read, or is no video, is named and left out.
    """
    from stylegan_v_ext.data import convert as conversion
    from stylegan_v_ext.data.geometry import Geometry
    from stylegan_v_ext.data.report_text import conversion_lines

    fps = cast("float | None", options["fps"])
    if fps is not None and not fps < 1e6:
        raise click.UsageError(f"--fps={fps} is not below a million frames a second")
    if options["clip_stride"] is not None and options["clip_frames"] is None:
        raise click.UsageError("--clip-stride needs --clip-frames")
    if transform != "center-crop-wide" and resolution[0] != resolution[1]:
        raise click.UsageError(f"--resolution={resolution[0]}x{resolution[1]} needs --transform=center-crop-wide")
    request = conversion.ConvertOptions(
        geometry=Geometry(resolution, transform, background),
        workers=workers or conversion.default_workers(),
        **cast("dict[str, Any]", options),
    )
    with progress_bar(1000, "Converting") as bar:
        report = conversion.convert_dataset(
            src, dest, request, lambda name, share: bar.update(int(share * 1000) - bar.pos)
        )
    say(*(f"Note: {sentence}" for sentence in report.notes), err=True)
    if report.fps is None:
        say(_NO_RATE, err=True)
    say(*conversion_lines(dest, resolution[0], report))


@data.command(context_settings=_SETTINGS)
@click.argument("path")
@click.option("--num-frames", help="Frames that a training clip needs", type=click.IntRange(min=1), default=3)
@click.option("--workers", help="Decoding threads", type=click.IntRange(min=1), default=4)
@report_user_errors
def check(path: str, num_frames: int, workers: int) -> None:
    """Decode every frame of a data set and list all that is wrong with it.

    Exit code 0 for a sound set, 2 for one with problems. Notes tell what is not used, such as other files.
    """
    from stylegan_v_ext.data.check import check_dataset
    from stylegan_v_ext.data.opening import open_dataset
    from stylegan_v_ext.data.report_text import check_lines, verdict

    opened = open_dataset(path)
    with progress_bar(sum(len(video) for video in opened[1]), "Checking") as bar:
        report = check_dataset(path, num_frames, workers=workers, progress=bar.update, opened=opened)
    _say_some(report.problems + report.label_problems)
    _say_some([f"Note: {sentence}" for sentence in report.notes + report.label_notes])
    say(*check_lines(path, report))
    wrong = verdict(path, report)
    if wrong:
        raise UserError(wrong)


def _say_some(sentences: list[str]) -> None:
    """Print the first sentences of many."""
    say(*sentences[:_MOST_LINES])
    if len(sentences) > _MOST_LINES:
        say(f"... and {len(sentences) - _MOST_LINES:,} more")
