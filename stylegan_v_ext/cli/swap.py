"""`stylegan-v swap`: layers of fine-tuned image models in a video generator."""

import re
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.common import (
    PATH,
    OutputFile,
    SeedList,
    device_to_use,
    progress_bar,
    report_user_errors,
)
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.reading import nan_option, refuse_existing, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.text import say

_PREVIEW_FRAMES = 64
_EPILOG = """
\b
Examples:
  stylegan-v swap --video=sky.pkl --image=painting.pkl --split=32 --preview
  stylegan-v swap --video=faces.pkl --image=cartoon.pkl --split=16 --blend-width=1 --output=toon.pkl
  stylegan-v swap --video=V.pkl --image=A.pkl --split=8-16 --image=B.pkl --split=32     (two at once)
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option("--video", help="Video generator: file, run folder or URL", type=PATH, metavar="PKL", required=True)
@click.option(
    "--image",
    "images",
    help="StyleGAN2 image generator of any known format; may be given again, then "
    "--split, --take and --blend-width go with it by order",
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
    type=click.FloatRange(min=0),
    multiple=True,
)
@click.option(
    "--mapping",
    help="Whose mapping network makes w; with image, that of the first --image",
    type=click.Choice(["video", "image"]),
    default="video",
)
@click.option(
    "--noise",
    help="Noise inputs that image models have and the video model has not",
    type=click.Choice(["drop", "keep"]),
    default="drop",
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
@click.option("--class", "class_index", help="Class for the preview of conditional models", type=click.IntRange(min=0))
@click.option(
    "--device", help="For the preview: auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME"
)
@trust_option
@nan_option
@report_user_errors
def swap(
    video: str,
    images: tuple[str, ...],
    splits: tuple[str, ...],
    takes: tuple[str, ...],
    widths: tuple[float, ...],
    mapping: str,
    noise: str,
    output: str,
    preview: bool,
    seeds: list[int],
    class_index: int | None,
    device: str,
    trust_pickle: bool,
    allow_nan: bool,
) -> None:
    """Put layers of fine-tuned StyleGAN2 image models into a video generator.

    Content seeds and motion stay the video model's; fine layers bring the image model's colours and
    texture, coarse ones its layout. It works where both come from one ancestor: fine-tune an image
    model, and start the video model from the same base with train.py --resume.
    """
    from stylegan_v_ext.checkpoints import exports, load
    from stylegan_v_ext.editing.layer_swap import ImageSource, LayerMismatch, swap_layers

    path = Path(output)
    movie = path.with_suffix(".mp4")
    refuse_existing(path, *([movie] if preview else []))
    count = len(images)
    splits = _one_each("--split", splits, count)
    takes = _one_each("--take", takes or ("fine",), count)
    widths = _one_each("--blend-width", widths or (0.0,), count)

    source = load(video, trust_pickle=trust_pickle, allow_nan=allow_nan)
    base = source.network(source.generator_key)
    source.build_generator()  # says in one line what does not fit together
    resolution = base.kwargs["img_resolution"]
    sources: list[ImageSource] = []
    for name, split, take, width in zip(images, splits, takes, widths, strict=True):
        found = load(name, trust_pickle=trust_pickle, allow_nan=allow_nan)
        found.build_generator()
        layers = _layer_range(split, take, width, resolution)
        label = f"image {len(sources) + 1}" if count > 1 else "the image model"
        sources.append(ImageSource(label, found.network(found.generator_key), layers))
        say(f"{label}: {found.path} ({found.format}), layers {layers.low} to {layers.high} px")
    try:
        result = swap_layers(base, sources, mapping, noise)
    except LayerMismatch as mismatch:
        for line in mismatch.misfits:
            say(f"  {line}", err=True)
        raise
    say(*result.table([item.name for item in sources]).split("\n"))
    for warning in result.warnings:
        say(f"Note: {warning}", err=True)
    if preview:  # before writing anything: it shows whether the result works
        _write_preview(movie, [base, *(item.network for item in sources), result.network], seeds, class_index, device)
    networks = {"G_ema": result.network}
    discriminator, _ = source.discriminator()
    if discriminator is not None:
        networks["D"] = discriminator
    exports.export_snapshot(path, networks, source.training_set_kwargs)
    say(str(path))


def _one_each(option: str, values: tuple, count: int) -> tuple:
    """As many values as images: one for all, or one each."""
    if len(values) not in (1, count):
        raise click.UsageError(
            f"{len(values)} times {option} for {count} times --image; give it once, or {count} times"
        )
    return values * count if len(values) == 1 else values


def _layer_range(split: str, take: str, width: float, resolution: int) -> Any:
    from stylegan_v_ext.editing.layer_swap import LayerRange, coarse_layers, fine_layers

    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", split)
    if match is None:
        raise click.UsageError(f"--split={split} is neither a resolution such as 32 nor a range such as 8-16")
    if match[2]:
        return LayerRange(int(match[1]), int(match[2]), width)
    return fine_layers(int(match[1]), resolution, width) if take == "fine" else coarse_layers(int(match[1]), width)


def _write_preview(target: Path, networks: list[Any], seeds: list[int], class_index: int | None, device: str) -> None:
    """A grid: one column a model, one row a seed."""
    from stylegan_v_ext.cli.gen_video import check_class
    from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
    from stylegan_v_ext.generate.writers import write_video

    for data in [data for data in networks if data.num_classes] or networks[:1]:
        check_class("an image model" if data.is_image_model else "the video model", data.num_classes, class_index)
    times = list(frame_times(_PREVIEW_FRAMES))
    samplers = [VideoSampler(data.build(), device_to_use(device)) for data in networks]
    cells = [
        (sampler, VideoName(seed, None, class_index if data.num_classes else None), data.is_image_model)
        for seed in seeds
        for sampler, data in zip(samplers, networks, strict=True)
    ]
    grid = _grid(cells, len(networks), times)
    with progress_bar(_PREVIEW_FRAMES, target.name) as bar:

        def counted() -> Any:
            for frame in grid:
                yield frame
                bar.update(1)

        write_video(target, counted(), fps=25)
    say(str(target))


def _grid(cells: list[tuple[Any, Any, bool]], columns: int, times: list[float]) -> Any:
    """Frames of a grid of (sampler, video name, whether it is an image) cells, the smaller ones enlarged."""
    import itertools

    from stylegan_v_ext.generate.layout import resized, tile

    size = max(sampler.generator.img_resolution for sampler, _, _ in cells)
    streams = [
        itertools.repeat(sampler.image(name)) if still else sampler.frames(name, times)
        for sampler, name, still in cells
    ]
    for _ in times:
        yield tile([resized(next(stream), size) for stream in streams], columns)
