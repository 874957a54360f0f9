"""`stylegan-v checkpoint`: show the contents of a file, and convert it to another format."""

from pathlib import Path

import click

from stylegan_v_ext.cli.entry import Group
from stylegan_v_ext.cli.errors import UserError, report_user_errors
from stylegan_v_ext.cli.reading import nan_option, refuse_existing, say_note, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.cli.types import OutputFile
from stylegan_v_ext.outputs import format_of
from stylegan_v_ext.text import say

_SETTINGS = {"show_default": True, "max_content_width": 110}
_FORMATS = """
\b
Formats: snapshots of this project; pickles of stylegan2-ada-pytorch and stylegan3 (StyleGAN2,
StyleGAN3-T and -R); the StyleGAN-V release; rosinality's .pt; TensorFlow StyleGAN2; .safetensors
with its .json. A run folder stands for its best snapshot by fvd2048_16f, or its last.
"""
_IMAGE = "Write an image generator (.pkl) that stock StyleGAN2-ADA and StyleGAN3 checkouts open without this package"
_CLASS = "With --image: class of a conditional video generator, whose motion depends on it"


@click.group(cls=Group)
def checkpoint() -> None:
    """Look into checkpoints of any known format, and convert them. Nothing in them is run."""


@checkpoint.command(epilog=_FORMATS, context_settings=_SETTINGS)
@click.argument("file")
@trust_option
@report_user_errors
def inspect(file: str, *, trust_pickle: bool) -> None:
    """Print what FILE (or a run folder, or a URL) holds: networks, sizes, labels, whether its source code is known."""
    from stylegan_v_ext.checkpoints import load
    from stylegan_v_ext.checkpoints.inspection import describe

    for line in describe(load(file, trust_pickle=trust_pickle, allow_nan=True)):
        say(line)


@checkpoint.command(epilog=_FORMATS, context_settings=_SETTINGS)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT", type=OutputFile("pkl", "safetensors"))
@click.option("--image", cls=Switch, help=_IMAGE)
@click.option("--time", help="With --image: the moment of a video, in frames", type=float, default=0.0)
@click.option("--motion-seed", help="With --image: motion seed of that video", type=click.IntRange(min=0), default=0)
@click.option("--class", "class_index", help=_CLASS, type=click.IntRange(min=0))
@trust_option
@nan_option
@report_user_errors
def convert(
    *,
    source: str,
    target: str,
    image: bool,
    time: float,
    motion_seed: int,
    class_index: int | None,
    trust_pickle: bool,
    allow_nan: bool,
) -> None:
    """Write checkpoint IN as OUT, which must not exist yet; the ending of OUT chooses the format.

    \b
    OUT.pkl            a snapshot of this project
    OUT.safetensors    tensors, with OUT.json beside it (arguments, provenance): no code at all
    OUT.pkl --image    an image generator for stock checkouts, a video frozen at --time
    """  # noqa: D301 - click reads \b as a control character
    from stylegan_v_ext.checkpoints import conversion, load

    path = Path(target)
    as_tensors = format_of(path, ("pkl", "safetensors")) == "safetensors"
    if image and as_tensors:
        raise UserError(f"{target}: --image writes a pickle; use .pkl")
    if not image and (time or motion_seed or class_index is not None):
        raise UserError("--time, --motion-seed and --class say what --image shows; add --image or leave them out")
    refuse_existing(path, path.with_suffix(".json") if as_tensors else path)
    moment = conversion.Moment(time=time, motion_seed=motion_seed, class_index=class_index) if image else None
    found = load(source, trust_pickle=trust_pickle, allow_nan=allow_nan)
    conversion.convert(found, path, image=moment, tell=say_note)
    say(f"{path}: from {found.path} ({found.format})")
