"""`stylegan-v project`: the latents of a real clip."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.common import (
    FOLDER,
    PATH,
    UserError,
    device_to_use,
    files_to_replace,
    progress_bar,
    report_user_errors,
    say_written,
)
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.reading import nan_option, trust_option
from stylegan_v_ext.text import say

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


@click.command(cls=Command, epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option(
    "--network",
    help="Video generator: file of any known format, run folder or URL",
    type=PATH,
    metavar="PKL|DIR",
    required=True,
)
@click.option(
    "--video",
    help="The clip: a video file, an animation, an .npy file, or a zip with one of these",
    type=PATH,
    metavar="FILE",
)
@click.option("--images", help="The clip, a folder (or zip) of frames", type=PATH, metavar="DIR")
@click.option("--frames", help="How many frames of it  [default: all]", type=click.IntRange(min=2))
@click.option("--skip", help="Leave out that many frames at its beginning", type=click.IntRange(min=0), default=0)
@click.option(
    "--fps",
    help="Resample the clip to that rate, best the training data's",
    type=click.FloatRange(min=0, min_open=True),
)
@click.option(
    "--start",
    help="Time that its first frame gets, in frames of the training data",
    type=click.FloatRange(min=0),
    default=0.0,
)
@click.option("--class", "class_index", help="Class of a conditional network", type=click.IntRange(min=0))
@click.option(
    "--space",
    help="One w for all layers (closer to what the network knows, easier to edit), or one for "
    "each (closer to the clip)",
    type=click.Choice(["w", "w+"]),
    default="w+",
)
@click.option(
    "--steps",
    help="Steps of descent, after a race between the closest random videos",
    type=click.IntRange(min=1),
    default=1000,
)
@click.option("--candidates", help="Random videos to look at first", type=click.IntRange(min=1), default=128)
@click.option(
    "--loss",
    help="vgg16 needs the file vgg16.pt in the folder that STYLEGAN_V_DETECTORS names, or the "
    "internet; auto falls back on pixels",
    type=click.Choice(["auto", "vgg16", "pixels"]),
    default="auto",
)
@click.option(
    "--chunk", help="Frames that a step looks at; fewer take less memory", type=click.IntRange(min=1), default=8
)
@click.option(
    "--motion-reg",
    help="Weight of the squared motion noise: larger stays closer to learned motions",
    type=click.FloatRange(min=0),
    default=1e-4,
)
@click.option(
    "--w-reg",
    help="Weight of the squared distance of w from its mean: larger stays closer to learned contents",
    type=click.FloatRange(min=0),
    default=1e-4,
)
@click.option(
    "--tune",
    help="Then fit the network itself to the clip for that many steps (pivotal tuning), and write it as tuned.pkl",
    type=click.IntRange(min=0),
    default=0,
)
@click.option("--seed", help="Of all that is random", type=click.IntRange(0, 2**32 - 1), default=0)
@click.option(
    "--output",
    help="Folder for projection.npz, comparison.mp4 and loss.png",
    default="projection",
    type=FOLDER,
    metavar="DIR",
)
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@nan_option
@click.pass_context
@report_user_errors
def project(context: click.Context, **o: Any) -> None:
    """Find the content and the motion of a real clip, so that the network makes a video that looks and moves like it.

    w and the noise of the motion are found together, from many frames of the clip. Ctrl-C keeps what
    was done; the same command goes on from there.
    """
    from stylegan_v_ext.cli.gen_video import check_class, load_video_generator
    from stylegan_v_ext.editing import descent
    from stylegan_v_ext.editing.perceptual import load_loss
    from stylegan_v_ext.editing.projection import ProjectionOptions, Projector

    if (o["video"] is None) == (o["images"] is None):
        raise click.UsageError("give the clip with --video=FILE or with --images=DIR")
    folder = Path(o["output"])
    final, tuned = folder / "projection.npz", folder / "tuned.pkl"
    if final.exists() and (not o["tune"] or tuned.exists()):
        raise UserError(f"{tuned if o['tune'] else final} exists already; name another --output or delete it first")
    files_to_replace([folder / "comparison.mp4", tuned], ask=False, inputs=[o["video"], o["network"]])
    checkpoint, generator = load_video_generator(o["network"], o["trust_pickle"], o["allow_nan"])
    check_class(str(checkpoint.path), generator.num_classes, o["class_index"])
    if generator.img_channels != 3:
        raise UserError(f"{checkpoint.path} makes images of {generator.img_channels} channels; give a model of 3")
    target, fps = _read_clip(o, generator.img_resolution)
    device = device_to_use(o["device"])
    generator = generator.to(device)
    loss, loss_name = load_loss(o["loss"], device)
    options = ProjectionOptions(
        o["space"],
        o["candidates"],
        min(4, o["candidates"]),
        o["steps"] // 10,
        o["steps"],
        o["chunk"],
        w_reg=o["w_reg"],
        motion_reg=o["motion_reg"],
        seed=o["seed"],
    )
    say(f"{len(target)} frames of {generator.img_resolution} px, loss: {loss_name}")
    folder.mkdir(parents=True, exist_ok=True)

    import numpy as np

    times = o["start"] + np.arange(len(target), dtype=np.float64)
    purpose = descent.fingerprint(
        dict(
            network=generator,
            target=target,
            times=times,
            options=options,
            loss=loss_name.split(" (")[0],
            class_index=o["class_index"],
        )
    )
    curves: dict[str, list[float]] = {}
    latents = _finished(final, purpose)
    if latents is None:
        say(f"Looking at {options.num_candidates} random videos ...", err=True)
        projector = Projector(generator, target, times, loss, options, o["class_index"])
        _run(context, projector, folder / "state.pt", purpose, "projection")
        latents = projector.latents()
        curves["projection"] = projector.history
        settings = {
            **latents.settings,
            "network": str(checkpoint.path),
            "clip": o["video"] or o["images"],
            "skip": o["skip"],
            "fps": o["fps"],
            "loss": loss_name,
            "purpose": purpose,
        }
        latents = dataclasses.replace(latents, settings=settings)
        latents.save(final)
    if o["tune"]:
        from stylegan_v_ext.checkpoints import exports
        from stylegan_v_ext.checkpoints.network import NetworkData
        from stylegan_v_ext.editing.tuning import Tuner

        tuner = Tuner(generator, target, latents, loss, o["tune"], o["chunk"], seed=o["seed"])
        _run(context, tuner, folder / "tuning-state.pt", descent.fingerprint(dict(p=purpose, n=o["tune"])), "tuning")
        curves["tuning"] = tuner.history
        generator = tuner.result()
        networks = {"G_ema": NetworkData.of(generator.cpu())}
        exports.export_snapshot(tuned, networks, checkpoint.training_set_kwargs)
    _write_results(folder, generator.to(device), latents, target, curves, fps, device)
    for name in ("state.pt", "tuning-state.pt"):
        (folder / name).unlink(missing_ok=True)


def _read_clip(o: dict[str, Any], resolution: int) -> tuple[Any, float | None]:
    """(frames uint8 `[T, H, W, 3]`, their frames a second; None if unknown)."""
    from stylegan_v_ext.data.geometry import Geometry
    from stylegan_v_ext.data.source_reader import read_clip

    source = o["video"] or o["images"]
    last = None if o["frames"] is None else o["skip"] + o["frames"]
    clip = read_clip(source, Geometry((resolution, resolution)), o["fps"], last)
    for note in clip.notes:
        say(f"Note: {note}", err=True)
    if len(clip.frames) - o["skip"] < 2:
        raise UserError(
            f"{source} has {len(clip.frames)} frames, --skip={o['skip']} leaves fewer than the 2 that are needed"
        )
    return clip.frames[o["skip"] :], clip.fps


def _finished(path: Path, purpose: str) -> Any:
    """The latents of an earlier run that wanted the same, or `None`."""
    if not path.exists():
        return None
    from stylegan_v_ext.generate.latents import load_latents

    latents = load_latents(path)
    if latents.settings.get("purpose") != purpose:
        raise UserError(f"{path} is of another clip, network or other options; name another --output or delete it")
    return latents


def _run(context: click.Context, descent: Any, state: Path, purpose: str, label: str) -> None:
    from stylegan_v_ext.editing.descent import run
    from stylegan_v_ext.interrupts import StoppedBySignal

    if state.exists():
        say(f"Going on from {state}")
    try:
        with progress_bar(descent.num_steps_in_all, label) as bar:
            run(descent, state, purpose, bar.update)
    except StoppedBySignal as stopped:
        say(
            f"Stopped after {len(descent.history)} of {descent.num_steps_in_all} steps of {label}; "
            "the same command goes on from there",
            err=True,
        )
        context.exit(stopped.exit_code)


def _write_results(
    folder: Path,
    generator: Any,
    latents: Any,
    target: Any,
    curves: dict[str, list[float]],
    fps: float | None,
    device: Any,
) -> None:
    """comparison.mp4, loss.png, and how close the reconstruction comes, on screen."""
    import numpy as np

    from stylegan_v_ext.editing.comparison import profile_correlation, psnr
    from stylegan_v_ext.editing.curve import write_curve
    from stylegan_v_ext.generate.layout import Layout
    from stylegan_v_ext.generate.sampler import VideoSampler
    from stylegan_v_ext.generate.writers import write_video

    frames = np.stack(list(VideoSampler(generator, device).frames(latents, latents.times)))
    picture = "loss.png" if "projection" in curves else "tuning-loss.png"
    written = [folder / name for name in ["comparison.mp4", *([picture] if curves else [])]]
    replaced = files_to_replace(written, ask=False)
    layout = Layout(2, padding=2, labels=["clip", "projection"])
    pairs = (layout.compose(pair) for pair in zip(target, frames, strict=True))
    write_video(folder / "comparison.mp4", pairs, fps or 25.0)
    if curves:  # the curve of a projection that was made before stays
        write_curve(folder / picture, curves, f"Projection of {len(target)} frames")
    closeness = psnr(frames, target), profile_correlation(frames, target)
    say("PSNR {:.2f} dB, correlation of the motion profiles {:.3f}".format(*closeness))
    for name in ("projection.npz", "tuned.pkl", "comparison.mp4", "loss.png", "tuning-loss.png"):
        if (folder / name).exists():
            say_written(folder / name, replaced)
