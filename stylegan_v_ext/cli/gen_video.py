"""`gen_video.py` and `stylegan-v generate`: videos from a snapshot."""

import math
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.checkpoint import trust_option
from stylegan_v_ext.cli.common import GridSize, SeedList, UserError, progress_bar, report_user_errors

_EPILOG = """
\b
Examples:
  python gen_video.py --network=runs/00000-stylegan-v-demo --seeds=0-7
  python gen_video.py --network=snapshot.pkl --seeds=0-7 --grid=4x2 --output=grid.mp4
  python gen_video.py --network=snapshot.pkl --seeds=3 --motion-seeds=0-4 --speed=0.25 --duration=20
  python gen_video.py --network=snapshot.pkl --seeds=3 --start=1000000 --frames=64
"""


@click.command(epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option(
    "--network", help="Checkpoint of any known format, a run folder or a URL", metavar="PKL|DIR", required=True
)
@click.option("--seeds", help="Content seeds, one video each", type=SeedList(), required=True, metavar="0-7,12")
@click.option("--motion-seeds", help="Motion seeds: one for all, one for each of --seeds, or several for a single "
              "--seeds  [default: a motion of its own for each content]",
              type=SeedList(), metavar="0-7,12")  # fmt: skip
@click.option("--frames", help="Length in frames  [default: 128]", type=click.IntRange(min=1))
@click.option("--duration", help="Length in seconds, in place of --frames",
              type=click.FloatRange(min=0, min_open=True))  # fmt: skip
@click.option("--fps", help="Frames a second of the video files", type=click.FloatRange(min=0, min_open=True),
              default=25.0)  # fmt: skip
@click.option("--start", help="Time of the first frame, in frames of the training data", type=float, default=0.0)
@click.option("--speed", help="Time between frames: 0.25 is slow motion with new frames in between, 2 is double speed",
              type=click.FloatRange(min=0, min_open=True), default=1.0)  # fmt: skip
@click.option("--trunc", help="Truncation psi: 1 is all the variety, 0.7 safer pictures", type=float, default=1.0)
@click.option("--class", "class_index", help="Class of a conditional network", type=click.IntRange(min=0))
@click.option("--grid", help="One video with that many columns and rows, in place of one each", type=GridSize(),
              metavar="WxH")  # fmt: skip
@click.option("--output", help="Folder, or an .mp4 file for a grid or a single video", default="out", metavar="PATH")
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@report_user_errors
def gen_video(
    network: str, seeds: list[int], motion_seeds: list[int] | None, frames: int | None, duration: float | None,
    fps: float, start: float, speed: float, trunc: float, class_index: int | None,
    grid: tuple[int, int] | None, output: str, device: str, trust_pickle: bool,
) -> None:  # fmt: skip
    """Generate videos of any length as H.264 files, from any start time, at any speed.

    A video is named by its content seed and its motion seed: the same two always give the same video.
    Frames go to the encoder as they are made, so an hour needs no more memory than a second.
    """
    if frames is not None and duration is not None:
        raise click.UsageError("--frames and --duration both give the length; use one of them")
    for option, value in (("--start", start), ("--trunc", trunc)):
        if not math.isfinite(value):
            raise click.UsageError(f"{option}={value} is not a finite number")
    num_frames = frames or (max(round(duration * fps), 1) if duration is not None else 128)
    names = _video_names(seeds, motion_seeds, class_index)
    single_file = output.lower().endswith(".mp4")
    if grid is not None and len(names) > grid[0] * grid[1]:
        raise click.UsageError(f"--grid={grid[0]}x{grid[1]} holds {grid[0] * grid[1]} videos, {len(names)} were asked "
                               f"for; use fewer --seeds or a larger grid")  # fmt: skip
    if single_file and grid is None and len(names) > 1:
        raise click.UsageError(f"--output={output} is one file for {len(names)} videos; name a folder or add --grid")

    sampler = _load_sampler(network, device, trunc, class_index, trust_pickle)
    from stylegan_v_ext.generate.sampler import frame_times
    from stylegan_v_ext.generate.video_file import write_mp4

    def times() -> Any:
        return frame_times(num_frames, start, speed)

    if grid is not None:
        target = Path(output) if single_file else Path(output) / "grid.mp4"
        cells = sampler.grid(names, *grid, times())
        _write(target, cells, num_frames, fps, write_mp4)
        return
    for name in names:
        target = Path(output) if single_file else Path(output) / file_name(name)
        _write(target, sampler.frames(name, times()), num_frames, fps, write_mp4)


def _write(target: Path, stream: Any, num_frames: int, fps: float, write_mp4: Any) -> None:
    with progress_bar(num_frames, target.name) as bar:

        def counted() -> Any:
            for frame in stream:
                yield frame
                bar.update(1)

        write_mp4(target, counted(), fps)
    click.echo(str(target))


def _video_names(seeds: list[int], motion_seeds: list[int] | None, class_index: int | None) -> list[Any]:
    from stylegan_v_ext.generate.sampler import VideoName

    motions: list[int | None] = list(motion_seeds) if motion_seeds else [None]
    if len(seeds) == 1:
        seeds = seeds * len(motions)
    elif len(motions) == 1:
        motions = motions * len(seeds)
    if len(seeds) != len(motions):
        raise click.UsageError(
            f"{len(motions)} --motion-seeds for {len(seeds)} --seeds; give one, or as many, or a single content seed"
        )
    return [VideoName(seed, motion, class_index) for seed, motion in zip(seeds, motions, strict=True)]


def file_name(name: Any) -> str:
    """`seed0000.mp4`, or `seed0000-motion0001.mp4` where the motion was named."""
    motion = "" if name.motion_seed is None else f"-motion{name.motion_seed:04d}"
    return f"seed{name.content_seed:04d}{motion}.mp4"


def check_class(name: str, classes: int, class_index: int | None) -> None:
    """Raise `UserError` unless there is a class where a network needs one, and it exists."""
    if classes and class_index is None:
        raise UserError(f"{name} has {classes} classes; choose one with --class=0 ... --class={classes - 1}")
    if class_index is not None and class_index >= classes:
        bound = f"classes 0 to {classes - 1}" if classes else "no classes; leave --class out"
        raise UserError(f"--class={class_index}: {name} has {bound}")


def _load_sampler(network: str, device: str, trunc: float, class_index: int | None, trust_pickle: bool) -> Any:
    from stylegan_v_ext.checkpoints import load
    from stylegan_v_ext.device import pick_device
    from stylegan_v_ext.generate.sampler import VideoSampler

    checkpoint = load(network, trust_pickle)
    path = checkpoint.path
    if (checkpoint.network(checkpoint.generator_key).num_frames or 1) == 1:
        raise UserError(f"{path} makes images, not videos; start a video model from it with train.py --resume")
    generator = checkpoint.build_generator()
    check_class(str(path), generator.num_classes, class_index)
    return VideoSampler(generator, pick_device(device), trunc)
