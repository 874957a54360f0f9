"""`stylegan-v view`: an interactive page in the browser."""

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.common import FOLDER, PATH, UserError, device_to_use, report_user_errors
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.text import say

_EPILOG = """
\b
Examples:
  stylegan-v view --network=runs/00000-stylegan-v-demo
  stylegan-v view --network=faces.pkl --image=cartoon.pkl --clip=openai/clip-vit-base-patch32
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option("--network", help="Video generator: file, run folder or URL", type=PATH, metavar="PKL|DIR", required=True)
@click.option(
    "--image",
    help="StyleGAN2 image model for the layer slider  [default: styles of another seed]",
    type=PATH,
    metavar="PKL",
)
@click.option(
    "--clip",
    "clip_name",
    help="A CLIP model for edits by text: a folder, or an id of the Hugging Face "
    "hub; the first time it measures the network",
    type=PATH,
    metavar="DIR|ID",
)
@click.option(
    "--relevance-images", help="Random videos that it is measured on", default=16, type=click.IntRange(1, 1024)
)
@click.option(
    "--address",
    help="Who can reach the page: 127.0.0.1 is this machine alone, 0.0.0.0 everybody",
    default="127.0.0.1",
    metavar="IP",
)
@click.option("--port", help="[default: the first that is free from 7860 on]", type=click.IntRange(1, 65535))
@click.option(
    "--fps", help="Frames a second of exports and of playing", default=25.0, type=click.FloatRange(min=0, min_open=True)
)
@click.option("--output", help="Folder for exported videos", default="out", type=FOLDER, metavar="DIR")
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@nan_option
@click.pass_context
@report_user_errors
def view(context: click.Context, **o: Any) -> None:
    """Open a page to play with a network: seeds, time, speed, truncation, layers, text, export.

    It runs until Ctrl-C. Nothing leaves this machine.
    """
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise UserError("the page needs the gradio package; pip install 'stylegan_v_ext[view]'") from None
    from stylegan_v_ext.cli.gen_video import load_video_generator
    from stylegan_v_ext.view.page import build_page, launch

    checkpoint, _ = load_video_generator(o["network"], o["trust_pickle"], o["allow_nan"])
    studio = _studio(context, o, checkpoint, device_to_use(o["device"]))
    with tempfile.TemporaryDirectory(prefix="stylegan-v-view-") as files:
        os.environ["GRADIO_TEMP_DIR"] = files  # nothing of other pages, and nothing is left
        page = build_page(studio, Path(o["output"]), checkpoint.path.name, o["fps"])
        try:
            url = launch(page, o["address"], o["port"], Path(o["output"]), Path(files))
        except OSError:
            where = f"--port={o['port']}" if o["port"] else "ports 7860 to 7959"
            raise UserError(f"{where} on {o['address']} cannot be had; choose another --port or --address") from None
        say(f"{url}   Ctrl-C ends it")
        page.block_thread()


def _studio(context: click.Context, o: dict[str, Any], checkpoint: Any, device: Any) -> Any:
    from stylegan_v_ext.checkpoints import load
    from stylegan_v_ext.cli.edit import measured_relevance
    from stylegan_v_ext.editing.text_image import load_encoder
    from stylegan_v_ext.view.studio import Studio

    image = None
    if o["image"]:
        found = load(o["image"], trust_pickle=o["trust_pickle"], allow_nan=o["allow_nan"])
        image = found.network(found.generator_key)
        if not image.is_image_model:
            raise UserError(f"{found.path} is no StyleGAN2 image generator; give one, or leave --image out")
    studio = Studio(checkpoint.network(checkpoint.generator_key), device, image)
    if image is not None:
        studio.frame(_with_swap(studio), 0)  # says now what does not fit
    if o["clip_name"]:
        studio.encoder = load_encoder(o["clip_name"], device)
        index = 0 if studio.plain.generator.num_classes else None
        studio.relevance = measured_relevance(context, studio.plain, studio.encoder, o["relevance_images"], index)
    return studio


def _with_swap(studio: Any) -> Any:
    from stylegan_v_ext.view.studio import Controls

    index = 0 if studio.plain.generator.num_classes else None
    return Controls(split=studio.splits[1], class_index=index)
