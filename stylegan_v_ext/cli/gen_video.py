"""`gen_video.py` and `stylegan-v generate`: videos from a snapshot."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.checkpoint import nan_option, say_notes, trust_option
from stylegan_v_ext.cli.common import (
    PATH,
    GridSize,
    LayerSpan,
    OutputPath,
    ScheduleType,
    SeedList,
    UserError,
    device_to_use,
    files_to_replace,
    progress_bar,
    report_user_errors,
    say_written,
)
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.outputs import VIDEO_FORMATS, format_of
from stylegan_v_ext.text import printable, say

_EPILOG = """
\b
Examples:
  python gen_video.py --network=runs/00000-stylegan-v-demo --seeds=0-7
  python gen_video.py --network=snapshot.pkl --seeds=0-7 --grid=4x2 --output=grid.mp4
  python gen_video.py --network=snapshot.pkl --seeds=3 --motion-seeds=0-4 --speed=0.25 --duration=20
  python gen_video.py --network=snapshot.pkl --seeds=3 --start=1000000 --frames=64
\b
Content and motion:
  ... --seeds=0-3 --motion-seeds=0-2 --decompose --output=grid.mp4     columns share content, rows motion
  ... --seeds=0,5,9 --interpolate --loop --frames=300                  from content to content, and back
  ... --projection=projection.npz --frames=240 --speed=0.5             a clip of `stylegan-v project` goes on
  ... --seeds=0-7 --motion-from=projection.npz                         its motion for other contents
\b
Looks:
  ... --seeds=3 --mix-seed=8 --mix-layers=32-64 --mix-weight=0:0,127:1 styles of seed 8 fade in
  ... --seeds=3 --trunc=0:0,64:1                                       from the average to seed 3
  ... --seeds=3 --direction=directions.npz:2 --strength=0:-2,127:2     along one of `stylegan-v directions`
"""


_FRAMES = (".png", ".jpg")
_LARGEST_GRID = 16_000  # pixels a side; H.264 has 16,384, WebP 16,383, and labels take some


@dataclass(frozen=True)
class Item:
    """A video to make: a name for its file, where content and motion come from, and the ready video."""

    name: str
    label: str
    video: Any


@click.command(cls=Command, epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option(
    "--network",
    help="Checkpoint of any known format, a run folder or a URL",
    type=PATH,
    metavar="PKL|DIR",
    required=True,
)
@click.option("--seeds", help="Content seeds, one video each", type=SeedList(), metavar="0-7,12")
@click.option(
    "--projection",
    "projections",
    help="Content, and motion, of a file that `stylegan-v project` or `edit` wrote; may be given again",
    type=PATH,
    metavar="NPZ",
    multiple=True,
)
@click.option(
    "--motion-seeds",
    help="Motion seeds: one for all, one for each of --seeds, or several for a single "
    "content  [default: a motion of its own for each content]",
    type=SeedList(),
    metavar="0-7,12",
)
@click.option("--motion-from", help="The motion of a projection, for all contents", type=PATH, metavar="NPZ")
@click.option("--frames", help="Length in frames  [default: 128]", type=click.IntRange(min=1))
@click.option("--duration", help="Length in seconds, in place of --frames", type=click.FloatRange(min=0, min_open=True))
@click.option(
    "--fps", help="Frames a second of the video files", type=click.FloatRange(min=0, min_open=True), default=25.0
)
@click.option("--start", help="Time of the first frame, in frames of the training data", type=float, default=0.0)
@click.option(
    "--speed",
    help="Time between frames: 0.25 is slow motion with new frames in between, 2 is double speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
)
@click.option("--class", "class_index", help="Class of a conditional network", type=click.IntRange(min=0))
@click.option(
    "--trunc",
    help="Truncation psi: 1 is all the variety, 0.7 safer pictures; or by frame, like 0:0.5,99:1",
    type=ScheduleType(),
    default="1",
    metavar="PSI",
)
@click.option(
    "--decompose", help="A grid of every content with every motion: a column a content, a row a motion", cls=Switch
)
@click.option("--interpolate", help="One video that goes from content to content while its motion goes on", cls=Switch)
@click.option(
    "--loop",
    help="Make the end meet the beginning, for endless playing; time is stretched a little where "
    "the length is no multiple of the motion distance",
    cls=Switch,
)
@click.option(
    "--motion-amplitude", help="Smaller or larger movements; 0 is a still", type=click.FloatRange(min=0), default=1.0
)
@click.option(
    "--mix-seed", help="Styles of this content seed for the layers of --mix-layers", type=click.IntRange(0, 2**32 - 1)
)
@click.option("--mix-layers", help="Their resolutions  [default: the upper half]", type=LayerSpan(), metavar="LOW-HIGH")
@click.option(
    "--mix-weight",
    help="How much of them, or how much by frame like 0:0,99:1",
    type=ScheduleType(),
    default="1",
    metavar="SHARE",
)
@click.option(
    "--direction", help="A direction of `stylegan-v directions`: the file and its number", type=PATH, metavar="NPZ:N"
)
@click.option(
    "--strength",
    help="How far along it, in standard deviations; by frame for directions of content",
    type=ScheduleType(),
    default="2",
    metavar="SIGMA",
)
@click.option(
    "--grid", help="One video with that many columns and rows, in place of one each", type=GridSize(), metavar="WxH"
)
@click.option("--padding", help="Pixels between and around the cells of a grid", type=click.IntRange(0, 256), default=0)
@click.option("--labels", help="Write above each cell of a grid what it is", cls=Switch)
@click.option(
    "--format",
    "format_",
    help="Of the files in a folder; png, jpg: a folder of frames each  [default: mp4]",
    type=click.Choice(VIDEO_FORMATS),
)
@click.option(
    "--codec",
    help="In mp4 and mkv: h264 plays everywhere, h265 and vp9 are smaller; in mov: h264, "
    "h265; in webm: vp9  [default: the first that fits]",
    type=click.Choice(["h264", "h265", "vp9"]),
)
@click.option(
    "--quality", help="Of all formats that lose some; 100 is largest", type=click.IntRange(1, 100), default=90
)
@click.option(
    "--output",
    help="Folder, or a file that ends in one of the formats for a grid or a single video; asks "
    "in a terminal before it replaces files",
    default="out",
    type=OutputPath(*VIDEO_FORMATS),
    metavar="PATH",
)
@click.option("--bf16", help="Compute in bfloat16, on CPUs with AMX: twice as fast, most colours the same", cls=Switch)
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@nan_option
@report_user_errors
def gen_video(**options: Any) -> None:
    """Generate videos of any length, from any start time, at any speed.

    A video is named by its content seed and its motion seed: the same two always give the same video.
    Frames go to the encoder as they are made, so an hour needs no more memory than a second. Under torchrun the
    processes deal out the videos among themselves.
    """
    from stylegan_v_ext.distributed import own_share

    o = _check(options)
    rank, num_processes, o["device"] = own_share(str(device_to_use(o["device"])))
    if o["bf16"]:
        _use_bfloat16(o["device"])
    sampler = _load_sampler(o["network"], o["device"], o["trust_pickle"], o["allow_nan"])
    from stylegan_v_ext.generate.layout import Layout
    from stylegan_v_ext.generate.sampler import frame_times

    contents, motions = _sources(o, sampler)
    recipe = _recipe(o, sampler, len(contents))
    items = _items(o, sampler, contents, motions, recipe)
    grid = o["grid"] or ((len(contents), len(motions)) if o["decompose"] else None)
    single = _is_file(o["output"])
    if grid is not None and len(items) > grid[0] * grid[1]:
        raise click.UsageError(
            f"--grid={grid[0]}x{grid[1]} holds {grid[0] * grid[1]} videos, {len(items)} were asked "
            f"for; use fewer --seeds or a larger grid"
        )
    if grid is not None:
        _check_grid(grid, sampler.generator.img_resolution + o["padding"])
    if single and grid is None and len(items) > 1:
        raise click.UsageError(
            f"--output={o['output']} is one file for {len(items)} videos; name a folder or add --grid"
        )

    def target(name: str) -> Path:
        return Path(o["output"]) if single else Path(o["output"]) / f"{name}.{o['format_'] or 'mp4'}"

    def times() -> Iterator[float]:
        return frame_times(o["frames"], o["start"], o["speed"])

    targets = [target("grid")] if grid is not None else [target(item.name) for item in items]
    inputs = [o["network"], *o["projections"], o["motion_from"]]
    replaced = _replaced(targets, inputs, ask=num_processes == 1)
    if grid is not None and rank == 0:
        labels = [item.label for item in items] if o["labels"] else None
        layout = Layout(grid[0], grid[1], o["padding"], labels)
        _write(target("grid"), sampler.grid([item.video for item in items], layout, times()), o, replaced)
    for item in items[rank::num_processes] if grid is None else ():
        _write(target(item.name), sampler.render(item.video, times()), o, replaced)


def _replaced(targets: list[Path], inputs: list[str | None], ask: bool) -> set[Path]:
    """The files that will be replaced.

    Args:
        inputs: As for `files_to_replace`.

    Raises:
        UserError: If a folder of frames is there, or the user says no.
    """
    folders = [path.with_suffix("") for path in targets if path.suffix.lower() in _FRAMES]
    existing = next((folder for folder in folders if folder.exists()), None)
    if existing is not None:
        raise UserError(f"{existing} exists already; name another folder or delete it first")
    return files_to_replace((path for path in targets if path.suffix.lower() not in _FRAMES), ask=ask, inputs=inputs)


def _check_grid(grid: tuple[int, int], cell: int) -> None:
    """Raise `UserError` for a grid larger than encoders take.

    Args:
        cell: Side of a cell in pixels, padding included.
    """
    if max(grid) * cell > _LARGEST_GRID:
        raise UserError(
            f"--grid={grid[0]}x{grid[1]} makes pictures of {grid[0] * cell:,} x {grid[1] * cell:,} pixels; "
            f"{_LARGEST_GRID:,} a side are the most, which {max(_LARGEST_GRID // cell, 1)} cells have"
        )


def _is_file(output: str) -> bool:
    return format_of(output, VIDEO_FORMATS) is not None


def _check(o: dict[str, Any]) -> dict[str, Any]:
    """The options, with the length in frames, or a `UsageError` about those that do not go together."""
    from stylegan_v_ext.generate.writers import FASTEST_GIF, check_format

    if not o["seeds"] and not o["projections"]:
        raise click.UsageError("Missing option '--seeds' (or '--projection'); say what to show, such as --seeds=0-7")
    if o["frames"] is not None and o["duration"] is not None:
        raise click.UsageError("--frames and --duration both give the length; use one of them")
    if o["motion_seeds"] and o["motion_from"]:
        raise click.UsageError("--motion-seeds and --motion-from both give the motion; use one of them")
    if o["interpolate"] and o["decompose"]:
        raise click.UsageError("--interpolate makes one video, --decompose a grid; use one of them")
    if o["interpolate"] and len(o["seeds"] or []) + len(o["projections"]) < 2:
        raise click.UsageError("--interpolate needs two contents or more, such as --seeds=0,5")
    if o["mix_layers"] and o["mix_seed"] is None:
        raise click.UsageError("--mix-layers says which layers, --mix-seed whose; give both")
    if (o["padding"] or o["labels"]) and not (o["grid"] or o["decompose"]):
        raise click.UsageError("--padding and --labels are for grids; add --grid=WxH or --decompose")
    if _is_file(o["output"]) and o["format_"] not in (None, format_of(o["output"], VIDEO_FORMATS)):
        raise click.UsageError(f"--output={o['output']} and --format={o['format_']} differ; leave one out")
    example = o["output"] if _is_file(o["output"]) else f"video.{o['format_'] or 'mp4'}"
    if check_format(example, o["codec"], o["fps"]) == "gif" and o["fps"] > FASTEST_GIF:
        say(f"Note: GIF plays {FASTEST_GIF} frames a second at most; of --fps={o['fps']:g} it keeps as many", err=True)
    o["frames"] = o["frames"] or (max(round(o["duration"] * o["fps"]), 1) if o["duration"] is not None else 128)
    return o


def _sources(o: dict[str, Any], sampler: Any) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """Contents and motions with their names; no motions: every content has its own."""
    from stylegan_v_ext.generate.latents import load_latents
    from stylegan_v_ext.generate.sampler import VideoName

    generator, index = sampler.generator, o["class_index"]
    if o["seeds"] or index is not None:
        check_class(o["network"], generator.num_classes, index)

    def opened(path: str) -> tuple[str, Any]:
        latents = load_latents(path)
        latents.check(generator, path)
        return Path(path).stem, latents

    contents = [(f"seed{seed:04d}", VideoName(seed, None, index)) for seed in o["seeds"] or []]
    contents += [opened(path) for path in o["projections"]]
    names = [name for name, _ in contents]
    if len(set(names)) < len(names):
        raise click.UsageError(f"{', '.join(names)}: two contents have one name; rename a file or leave a seed out")
    if o["motion_from"]:
        return contents, [opened(o["motion_from"])]
    seeds = o["motion_seeds"] or (range(len(contents)) if o["decompose"] else [])
    return contents, [(f"motion{seed:04d}", VideoName(0, seed, index)) for seed in seeds]


def _recipe(o: dict[str, Any], sampler: Any, num_contents: int) -> Any:
    """What the options do to every video."""
    from stylegan_v_ext.generate.recipe import Recipe, StyleMix
    from stylegan_v_ext.generate.sampler import VideoName
    from stylegan_v_ext.generate.tracks import keyframes, rows_of

    generator, mix, push, nudge = sampler.generator, None, None, None
    if o["mix_seed"] is not None:
        top = generator.img_resolution
        layers = o["mix_layers"] or (2 ** ((top.bit_length() + 2) // 2), top)
        source = VideoName(o["mix_seed"], None, o["class_index"])
        check_class(o["network"], generator.num_classes, o["class_index"])
        mix = StyleMix(source, rows_of(layers[0], layers[1], generator.num_ws), keyframes(o["mix_weight"]))
    if o["direction"] is not None:
        from stylegan_v_ext.editing.directions import load_direction

        kind, vector = load_direction(o["direction"], generator)
        if kind == "motion" and len(o["strength"]) > 1:
            raise click.UsageError("--strength by frame is for directions of content; give one number for motion")
        push, nudge = (vector, None) if kind == "content" else (None, vector * o["strength"][0][1])
    truncation = None if o["trunc"] == [(0.0, 1.0)] else keyframes(o["trunc"])
    loop = o["frames"] * o["speed"] if o["loop"] else None
    return Recipe(truncation, mix, push, keyframes(o["strength"]), o["motion_amplitude"], nudge, loop)


def _items(o: dict[str, Any], sampler: Any, contents: list, motions: list, recipe: Any) -> list[Item]:
    """The videos that contents and motions make together."""
    from stylegan_v_ext.generate import tracks

    if o["interpolate"]:
        if len(motions) > 1:
            raise click.UsageError(f"{len(motions)} motions for one video; give one of --motion-seeds")
        stops = [sampler.content(source) for _, source in contents]
        path = tracks.through(stops, o["frames"], closed=o["loop"])
        motion = motions[0][1] if motions else contents[0][1]
        return [Item("interpolation", "interpolation", recipe.video(sampler, path, motion))]
    if o["decompose"]:
        pairs = [(content, motion) for motion in motions for content in contents]
    elif len(contents) == 1 and motions:
        pairs = list(zip(contents * len(motions), motions, strict=True))
    elif len(motions) in (1, len(contents)):
        pairs = list(zip(contents, motions * (len(contents) // len(motions)), strict=True))
    elif not motions:
        pairs = [(content, ("", None)) for content in contents]
    else:
        raise click.UsageError(
            f"{len(motions)} --motion-seeds for {len(contents)} contents; give one, or as many, or "
            "a single content, or add --decompose for all pairs"
        )
    items = []
    for (name, content), (motion_name, motion) in pairs:
        source = content if motion is None else _of_class(motion, content.class_index)
        video = recipe.video(sampler, tracks.still(sampler.content(content)), source)
        label = re.sub(r"\b(s|m)(?:eed|otion)0*(\d)", r"\1\2", f"{name} {motion_name}").strip()
        label = printable(label, 100)
        items.append(Item(f"{name}-{motion_name}".rstrip("-"), label, video))
    return items


def _of_class(motion: Any, class_index: int | None) -> Any:
    """A motion for a content of that class."""
    import dataclasses

    return dataclasses.replace(motion, class_index=class_index)


def _write(target: Path, stream: Any, o: dict[str, Any], replaced: set[Path]) -> None:
    from stylegan_v_ext.generate.writers import write_video

    with progress_bar(o["frames"], target.name) as bar:

        def counted() -> Any:
            for frame in itertools.islice(stream, o["frames"]):
                yield frame
                bar.update(1)

        write_video(target, counted(), o["fps"], o["codec"], o["quality"])
    say_written(target.with_suffix("") if target.suffix.lower() in _FRAMES else target, replaced)


def check_class(name: str, classes: int, class_index: int | None) -> None:
    """Raise `UserError` unless there is a class where a network needs one, and it exists."""
    if classes and class_index is None:
        raise UserError(f"{name} has {classes} classes; choose one with --class=0 ... --class={classes - 1}")
    if class_index is not None and class_index >= classes:
        bound = f"classes 0 to {classes - 1}" if classes else "no classes; leave --class out"
        raise UserError(f"--class={class_index}: {name} has {bound}")


def load_video_generator(network: str, trust_pickle: bool, allow_nan: bool) -> Any:
    """(checkpoint, generator) of a video model, or a `UserError`."""
    from stylegan_v_ext.checkpoints import load
    from stylegan_v_ext.checkpoints.advice import why_no_videos

    checkpoint = load(network, trust_pickle, allow_nan=allow_nan)
    data = checkpoint.network(checkpoint.generator_key)
    reason = why_no_videos(checkpoint.path, data)
    if reason:
        raise UserError(reason)
    say_notes(data)
    return checkpoint, checkpoint.build_generator()


def _use_bfloat16(device: str) -> None:
    from stylegan_v_ext.execution import execution
    from stylegan_v_ext.networks import precision

    if device != "cpu" or not precision.has_fast_bfloat16():
        raise UserError(f"--bf16=1 on {device}: it is for CPUs with AMX, and a PyTorch that knows; leave --bf16 out")
    click.get_current_context().with_resource(execution(bfloat16_on_cpu=True))


def _load_sampler(network: str, device: str, trust_pickle: bool, allow_nan: bool) -> Any:
    from stylegan_v_ext.generate.sampler import VideoSampler

    _, generator = load_video_generator(network, trust_pickle, allow_nan)
    return VideoSampler(generator, device_to_use(device))
