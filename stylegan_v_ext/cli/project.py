"""`stylegan-v project`: the latents of a real clip."""

from functools import partial

import click

from stylegan_v_ext.cli import network_options as shared
from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.cli.grouping import Option
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.terminal import Terminal, request_of
from stylegan_v_ext.cli.types import FOLDER, PATH
from stylegan_v_ext.editing.requests import ProjectRequest

_EPILOG = """
\b
Examples:
  stylegan-v project --network=runs/00000-stylegan-v-faces --video=clip.mp4
  stylegan-v project --network=faces.pkl --images=frames/ --frames=64 --tune=300 --output=me
\b
Then the clip is a video of the network:
  python gen_video.py --network=faces.pkl --projection=projection/projection.npz --frames=300   it goes on
  python gen_video.py --network=faces.pkl --projection=projection/projection.npz --speed=0.25   slow motion
  python gen_video.py --network=faces.pkl --seeds=0-7 --motion-from=projection/projection.npz   others move so
  stylegan-v edit --network=faces.pkl --projection=projection/projection.npz --prompt="a smiling face"
With --tune, --network=projection/tuned.pkl is the network to go on with.
"""
_clip = partial(click.option, cls=Option, group="Clip")
_descent = partial(click.option, cls=Option, group="Descent")


@click.command(cls=Command, epilog=_EPILOG, context_settings=shared.SETTINGS)
@shared.network_option("Video generator: file of any known format, run folder or URL", group="Network")
@shared.class_option(group="Network")
@_clip(
    "--video",
    help="The clip: a video file, an animation, an .npy file, or a zip with one of these",
    type=PATH,
    metavar="FILE",
)
@_clip("--images", help="The clip, a folder (or zip) of frames", type=PATH, metavar="DIR")
@_clip("--frames", help="Number of frames to take  [default: all]", type=click.IntRange(min=2))
@_clip(
    "--skip",
    help="Leave out that many frames at the beginning",
    type=click.IntRange(min=0),
    default=ProjectRequest.skip,
)
@_clip(
    "--fps", help="Resample the clip to that frame rate; the rate of the training data is best", type=shared.POSITIVE
)
@_clip(
    "--start",
    help="Time of the first frame, in frames of the training data",
    type=shared.NOT_NEGATIVE,
    default=ProjectRequest.start,
)
@_descent(
    "--space",
    help="w: the same w for all layers (closer to what the network knows, easier to edit); w+: a w for each layer "
    "(closer to the clip)",
    type=click.Choice(["w", "w+"]),
    default=ProjectRequest.space,
)
@_descent(
    "--steps",
    help="Steps of descent, after a race between the closest random videos",
    type=shared.AT_LEAST_1,
    default=ProjectRequest.steps,
)
@_descent(
    "--candidates", help="Random videos to look at first", type=shared.AT_LEAST_1, default=ProjectRequest.candidates
)
@_descent(
    "--loss",
    help="vgg16 needs the file vgg16.pt in the folder that STYLEGAN_V_DETECTORS names, or the "
    "internet; auto falls back on pixels",
    type=click.Choice(["auto", "vgg16", "pixels"]),
    default=ProjectRequest.loss,
)
@_descent(
    "--chunk",
    help="Frames that a step looks at; fewer take less memory",
    type=shared.AT_LEAST_1,
    default=ProjectRequest.chunk,
)
@_descent(
    "--motion-reg",
    help="Weight of the squared motion noise: larger stays closer to learned motions",
    type=shared.NOT_NEGATIVE,
    default=ProjectRequest.motion_reg,
)
@_descent(
    "--w-reg",
    help="Weight of the squared distance of w from its mean: larger stays closer to learned contents",
    type=shared.NOT_NEGATIVE,
    default=ProjectRequest.w_reg,
)
@_descent(
    "--tune",
    help="Steps of pivotal tuning, which then fits the network itself to the clip; writes it as tuned.pkl",
    type=click.IntRange(min=0),
    default=ProjectRequest.tune,
)
@shared.seed_option()
@click.option(
    "--output",
    help="Folder for projection.npz, comparison.mp4 and loss.png",
    default="projection",
    type=FOLDER,
    metavar="DIR",
)
@shared.device_option()
@trust_option
@nan_option
@report_user_errors
def project(
    network: str,
    *,
    video: str | None,
    images: str | None,
    output: str,
    device: str,
    trust_pickle: bool,
    allow_nan: bool,
    **options: object,
) -> None:
    """Find the content and the motion of a real clip, so that the network makes a video that looks and moves like it.

    w and the noise of the motion are found together, from many frames of the clip. Ctrl-C keeps what
    was done; the same command goes on from there.
    """
    from stylegan_v_ext.editing.project_clip import project as project_clip

    if (video is None) == (images is None):
        raise click.UsageError("give the clip with --video=FILE or with --images=DIR")
    project_clip(
        network,
        video or images or "",
        output=output,
        request=request_of(ProjectRequest, options),
        device=str(device_to_use(device)),
        trust_pickle=trust_pickle,
        allow_nan=allow_nan,
        listener=Terminal(ask=False),
    )
