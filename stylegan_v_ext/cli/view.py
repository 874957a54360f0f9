"""`stylegan-v view`: an interactive page in the browser."""

import click

from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.cli.network_options import POSITIVE, SETTINGS, device_option, network_option
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.cli.terminal import Terminal
from stylegan_v_ext.cli.types import FOLDER, PATH
from stylegan_v_ext.text import say

_EPILOG = """
\b
Examples:
  stylegan-v view --network=runs/00000-stylegan-v-demo
  stylegan-v view --network=faces.pkl --image=cartoon.pkl --clip=openai/clip-vit-base-patch32
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings=SETTINGS)
@network_option()
@click.option(
    "--image",
    help="StyleGAN2 image model for the layer slider  [default: styles of another seed]",
    type=PATH,
    metavar="PKL",
)
@click.option(
    "--clip",
    "model",
    help="A CLIP model for edits by text: a folder, or an id of the Hugging Face hub; its first use measures the "
    "network",
    type=PATH,
    metavar="DIR|ID",
)
@click.option(
    "--relevance-images",
    help="Random videos on which the network is measured for edits by text",
    default=16,
    type=click.IntRange(1, 1024),
)
@click.option(
    "--address",
    help="Address of the page: only this machine reaches 127.0.0.1, every machine reaches 0.0.0.0",
    default="127.0.0.1",
    metavar="IP",
)
@click.option(
    "--port", help="Port of the page  [default: the first free port from 7860 on]", type=click.IntRange(1, 65535)
)
@click.option("--fps", help="Frames a second of exports and of playing", default=25.0, type=POSITIVE)
@click.option("--output", help="Folder for exported videos", default="out", type=FOLDER, metavar="DIR")
@device_option()
@trust_option
@nan_option
@report_user_errors
def view(
    network: str,
    *,
    image: str | None,
    model: str | None,
    relevance_images: int,
    address: str,
    port: int | None,
    fps: float,
    output: str,
    device: str,
    trust_pickle: bool,
    allow_nan: bool,
) -> None:
    """Open a page to play with a network: seeds, time, speed, truncation, layers, text, export.

    It runs until Ctrl-C. Nothing leaves this machine.
    """
    from stylegan_v_ext.view.serving import check_gradio, open_studio, serve

    check_gradio()
    studio = open_studio(
        network,
        image=image,
        model=model,
        relevance_images=relevance_images,
        device=str(device_to_use(device)),
        trust_pickle=trust_pickle,
        allow_nan=allow_nan,
        listener=Terminal(),
    )
    serve(studio, address=address, port=port, output=output, fps=fps, ready=_say_url)


def _say_url(url: str) -> None:
    say(f"{url}   Ctrl-C ends it")
