"""The options of `gen_video.py` that become a `VideoRequest`: contents, motions, time, looks, grids, files."""

from collections.abc import Callable
from functools import partial, reduce

import click

from stylegan_v_ext.cli.grouping import Option
from stylegan_v_ext.cli.network_options import AT_LEAST_1, NOT_NEGATIVE, POSITIVE, SEED, class_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.types import PATH, GridSize, LayerSpan, OutputPath, ScheduleType, SeedList
from stylegan_v_ext.generate.request import VideoRequest
from stylegan_v_ext.outputs import VIDEO_FORMATS

_Decorator = Callable[[Callable[..., object]], Callable[..., object]]

_content = partial(click.option, cls=Option, group="Content and motion")
_time = partial(click.option, cls=Option, group="Time")
_looks = partial(click.option, cls=Option, group="Looks")
_files = partial(click.option, cls=Option, group="Grids and files")

_OPTIONS: list[_Decorator] = [
    _content("--seeds", help="Content seeds, one video each", type=SeedList(), metavar="0-7,12"),
    _content(
        "--projection",
        "projections",
        help="Content, and motion, of a file that `stylegan-v project` or `edit` wrote; may be given again",
        type=PATH,
        metavar="NPZ",
        multiple=True,
    ),
    _content(
        "--motion-seeds",
        help="Motion seeds: one seed for all contents, a seed for each content, or several for a single "
        "content  [default: a motion of its own for each content]",
        type=SeedList(),
        metavar="0-7,12",
    ),
    _content("--motion-from", help="The motion of a projection, for all contents", type=PATH, metavar="NPZ"),
    _time("--frames", help="Length in frames  [default: 128]", type=AT_LEAST_1),
    _time("--duration", help="Length in seconds, in place of --frames", type=POSITIVE),
    _time("--fps", help="Frames a second of the video files", type=POSITIVE, default=VideoRequest.fps),
    _time(
        "--start",
        help="Time of the first frame, in frames of the training data",
        type=float,
        default=VideoRequest.start,
    ),
    _time(
        "--speed",
        help="Time between frames: 0.25 is slow motion with new frames in between, 2 is double speed",
        type=POSITIVE,
        default=VideoRequest.speed,
    ),
    class_option(group="Looks"),
    _looks(
        "--trunc",
        "truncation",
        help="Truncation psi: 1 gives all the variety, 0.7 safer pictures; or by frame, like 0:0.5,99:1",
        type=ScheduleType(),
        default="1",
        metavar="PSI",
    ),
    _content(
        "--decompose", help="A grid of every content with every motion: columns share content, rows motion", cls=Switch
    ),
    _content("--interpolate", help="One video that goes from content to content while its motion goes on", cls=Switch),
    _time(
        "--loop",
        help="Make the end meet the beginning, for endless playing; time is stretched a little if "
        "the length is no multiple of the motion distance",
        cls=Switch,
    ),
    _looks(
        "--motion-amplitude",
        help="Smaller or larger movements; 0 is a still",
        type=NOT_NEGATIVE,
        default=VideoRequest.motion_amplitude,
    ),
    _looks("--mix-seed", help="Styles of this content seed for the layers of --mix-layers", type=SEED),
    _looks(
        "--mix-layers",
        help="Resolutions of these layers  [default: the upper half]",
        type=LayerSpan(),
        metavar="LOW-HIGH",
    ),
    _looks(
        "--mix-weight",
        help="How much of these styles, or how much by frame like 0:0,99:1",
        type=ScheduleType(),
        default="1",
        metavar="SHARE",
    ),
    _looks(
        "--direction",
        help="A direction of `stylegan-v directions`: the file and its number",
        type=PATH,
        metavar="NPZ:N",
    ),
    _looks(
        "--strength",
        help="Distance along --direction, in standard deviations; or by frame, for directions of content",
        type=ScheduleType(),
        default="2",
        metavar="SIGMA",
    ),
    _files(
        "--grid",
        help="One video with that many columns and rows, in place of single videos",
        type=GridSize(),
        metavar="WxH",
    ),
    _files(
        "--padding",
        help="Pixels between and around the cells of a grid",
        type=click.IntRange(0, 256),
        default=VideoRequest.padding,
    ),
    _files("--labels", help="Write a title above each cell of a grid", cls=Switch),
    _files(
        "--format",
        help="Format of the files in a folder; png, jpg: a folder of frames each  [default: mp4]",
        type=click.Choice(VIDEO_FORMATS),
    ),
    _files(
        "--codec",
        help="In mp4 and mkv: h264 plays everywhere, h265 and vp9 are smaller; in mov: h264, "
        "h265; in webm: vp9  [default: the first that fits]",
        type=click.Choice(["h264", "h265", "vp9"]),
    ),
    _files(
        "--quality",
        help="Quality of all formats that lose some; 100 is largest",
        type=click.IntRange(1, 100),
        default=VideoRequest.quality,
    ),
    _files(
        "--output",
        help="Folder, or a file that ends in one of the formats for a grid or a single video; asks "
        "in a terminal before it replaces files",
        default=VideoRequest.output,
        type=OutputPath(*VIDEO_FORMATS),
        metavar="PATH",
    ),
]


def video_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add all options of this module to a command.

    Args:
        command: Function of the command. It gets their values by the names of the fields of `VideoRequest`.
    """
    return reduce(lambda function, option: option(function), reversed(_OPTIONS), command)
