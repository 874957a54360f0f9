"""`stylegan-v swap`: layers of fine-tuned image models in a video generator."""

from collections.abc import Sequence

import click

from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.cli.network_options import NOT_NEGATIVE, SETTINGS, class_option, device_option
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.terminal import Terminal, request_of, usage_errors
from stylegan_v_ext.cli.types import PATH, OutputFile, SeedList
from stylegan_v_ext.editing.requests import SwapRequest

_EPILOG = """
\b
Examples:
  stylegan-v swap --video=sky.pkl --image=painting.pkl --split=32 --preview
  stylegan-v swap --video=faces.pkl --image=cartoon.pkl --split=16 --blend-width=1 --output=toon.pkl
  stylegan-v swap --video=V.pkl --image=A.pkl --split=8-16 --image=B.pkl --split=32     (two at once)
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings=SETTINGS)
@click.option("--video", help="Video generator: file, run folder or URL", type=PATH, metavar="PKL", required=True)
@click.option(
    "--image",
    "images",
    help="StyleGAN2 image generator of any known format; may be given again: the first --split, --take and "
    "--blend-width belong to the first --image, and so on",
    type=PATH,
    metavar="PKL",
    required=True,
    multiple=True,
)
@click.option(
    "--split",
    "splits",
    help="Resolution where the layers change hands, or a range LOW-HIGH to take",
    metavar="N|LOW-HIGH",
    multiple=True,
    required=True,
)
@click.option(
    "--take",
    "takes",
    help="What to take of the image model: fine layers (from the split on: colours, "
    "texture) or coarse ones (below it: layout)  [default: fine]",
    type=click.Choice(["fine", "coarse"]),
    multiple=True,
)
@click.option(
    "--blend-width",
    "widths",
    help="Width of a gradual change, in layer positions  [default: 0, a step]",
    type=NOT_NEGATIVE,
    multiple=True,
)
@click.option(
    "--mapping",
    help="Model whose mapping network makes w; image takes the first --image",
    type=click.Choice(["video", "image"]),
    default=SwapRequest.mapping,
)
@click.option(
    "--noise",
    help="Noise inputs of image models that the video model lacks",
    type=click.Choice(["drop", "keep"]),
    default=SwapRequest.noise,
)
@click.option(
    "--output", help="New snapshot; must not exist yet", type=OutputFile("pkl"), metavar="PKL", default="swapped.pkl"
)
@click.option(
    "--preview",
    help="Also write OUTPUT.mp4: columns are the video model, the image models and the result, rows are seeds",
    cls=Switch,
)
@click.option("--seeds", help="Seeds of the preview", type=SeedList(), default="0-3", metavar="0-7,12")
@class_option("Class for the preview of conditional models")
@device_option("For the preview: auto, cuda, cpu or mps (mps is untested)")
@trust_option
@nan_option
@report_user_errors
def swap(
    video: str,
    *,
    images: Sequence[str],
    output: str,
    device: str,
    trust_pickle: bool,
    allow_nan: bool,
    **options: object,
) -> None:
    """Put layers of fine-tuned StyleGAN2 image models into a video generator.

    Content seeds and motion stay the video model's; fine layers bring the image model's colours and
    texture, coarse ones its layout. It works if both come from one ancestor: fine-tune an image
    model, and start the video model from the same base with train.py --resume.
    """
    from stylegan_v_ext.editing.swap_files import swap_layers

    request = request_of(SwapRequest, options)
    with usage_errors():
        swap_layers(
            video,
            images,
            output=output,
            request=request,
            device=str(device_to_use(device)) if request.preview else device,
            trust_pickle=trust_pickle,
            allow_nan=allow_nan,
            listener=Terminal(),
        )
