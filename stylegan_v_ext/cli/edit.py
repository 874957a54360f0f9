"""`stylegan-v edit`: steer a video with text."""

from functools import partial

import click

from stylegan_v_ext.cli import network_options as shared
from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.cli.grouping import Option
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.terminal import Terminal, request_of, usage_errors
from stylegan_v_ext.cli.types import FOLDER, PATH, OutputFile, SeedList
from stylegan_v_ext.editing.requests import EditRequest

_EPILOG = """
\b
Examples:
  stylegan-v edit --network=faces.pkl --seeds=0-3 --prompt="a smiling face" --neutral="a face"
  stylegan-v edit --network=faces.pkl --projection=projection/projection.npz --prompt="an old man"
  stylegan-v edit --network=sky.pkl --seeds=7 --prompt="a sunset" --neutral="the sky" --method=global
  stylegan-v edit --network=sky.pkl --seeds=0-3 --prompts=edits.yaml --method=global
\b
A file of prompts is a list; all but the prompt may be left out:
  - prompt: a sunset
    neutral: the sky
    name: sunset
    strength: 6
  - prompt: a storm
"""
_video = partial(click.option, cls=Option, group="Videos")
_text = partial(click.option, cls=Option, group="Text")
_latent = partial(click.option, cls=Option, group="Method latent")
_global = partial(click.option, cls=Option, group="Method global")


@click.command(cls=Command, epilog=_EPILOG, context_settings=shared.SETTINGS)
@shared.network_option(group="Videos")
@_video("--seeds", help="Content seeds of the videos to edit", type=SeedList(), metavar="0-7,12")
@_video("--motion-seed", help="Motion seed of all videos  [default: a motion for each content]", type=shared.SEED)
@_video(
    "--projection",
    "projections",
    help="A video that `stylegan-v project` or this command wrote; may be given again",
    type=PATH,
    metavar="NPZ",
    multiple=True,
)
@shared.class_option(group="Videos")
@_text("--prompt", help="What the video is to look like", metavar="TEXT")
@_text("--neutral", help="What it looks like now; edits go from there to the prompt", metavar="TEXT")
@_text("--prompts", help="YAML file with several prompts", type=PATH, metavar="FILE")
@_text(
    "--method",
    help="latent: move w by descent, for each video anew; global: a direction in style space, "
    "the same for all videos, in milliseconds once the network's channels are measured",
    type=click.Choice(["latent", "global"]),
    default=EditRequest.method,
)
@_text(
    "--clip",
    "model",
    help="A CLIP model: a folder, or an id of the Hugging Face hub",
    default=EditRequest.model,
    type=PATH,
    metavar="DIR|ID",
)
@_latent("--steps", help="latent: steps of descent", type=shared.AT_LEAST_1, default=EditRequest.steps)
@_latent("--lr", help="latent: learning rate; larger goes further", type=shared.POSITIVE, default=EditRequest.lr)
@_latent(
    "--identity",
    help="latent: weight of coarse changes; larger keeps what is seen recognisable",
    type=shared.NOT_NEGATIVE,
    default=EditRequest.identity,
)
@_latent(
    "--locality",
    help="latent: weight of changed pixels; larger changes fewer of them",
    type=shared.NOT_NEGATIVE,
    default=EditRequest.locality,
)
@_global(
    "--strength",
    help="global: how far, in standard deviations of the most relevant channel; below 0 for the opposite",
    type=float,
    default=EditRequest.strength,
)
@_global(
    "--disentangle",
    help="global: leave out channels below this share of the largest relevance; "
    "with a larger share fewer other things change",
    type=click.FloatRange(0, 1),
    default=EditRequest.disentangle,
)
@_global(
    "--relevance",
    help="global: file with the effects of the channels; measured if there is no such file  [default: in the cache]",
    type=OutputFile("safetensors"),
    metavar="FILE",
)
@_global(
    "--relevance-images",
    help="global: random videos on which the channels are measured",
    default=EditRequest.relevance_images,
    type=click.IntRange(1, 1024),
)
@_global("--save-network", help="global: also write a network for each edit", cls=Switch)
@click.option("--frames", help="Length of the MP4s", type=shared.AT_LEAST_1, default=EditRequest.frames)
@shared.seed_option()
@click.option("--output", help="Folder", default="edits", type=FOLDER, metavar="DIR")
@shared.device_option()
@trust_option
@nan_option
@report_user_errors
def edit(
    network: str,
    *,
    prompt: str | None,
    prompts: str | None,
    seeds: list[int] | None,
    projections: tuple[str, ...],
    output: str,
    device: str,
    trust_pickle: bool,
    allow_nan: bool,
    **options: object,
) -> None:
    """Change what a video shows by a text; its motion stays the same.

    Writes an MP4 of before and after for each video and prompt, and with --method=latent the edited
    video as .npz, for gen_video.py --projection.
    """
    from stylegan_v_ext.editing.text_edit import edit as edit_videos

    with usage_errors():
        edit_videos(
            network,
            prompt,
            prompts=prompts,
            seeds=seeds or (),
            projections=projections,
            output=output,
            request=request_of(EditRequest, options),
            device=str(device_to_use(device)),
            trust_pickle=trust_pickle,
            allow_nan=allow_nan,
            listener=Terminal(),
        )
