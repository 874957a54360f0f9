"""`stylegan-v demo`: from nothing to a trained model and its videos, with a figure that shows it learned."""

from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.common import FOLDER, device_to_use, report_user_errors
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.text import say

_FEATURE_VIDEOS, _FEATURE_FRAMES = 64, 8  # videos and frames of each that the distance is taken over


@click.command(cls=Command, context_settings={"show_default": True})
@click.option("--outdir", help="Where data, run folder and videos go", type=FOLDER, metavar="DIR", default="demo")
@click.option(
    "--kimg", help="Length of training in thousand clips", type=click.FloatRange(min=0, min_open=True), default=48.0
)
@click.option(
    "--max-minutes",
    help="Training stops after this time at the latest",
    default=6.5,
    type=click.FloatRange(min=0, min_open=True),
)
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@report_user_errors
def demo(outdir: str, kimg: float, max_minutes: float, device: str) -> None:
    """Make the built-in sky time-lapse, train a small model on it, generate videos, say how close they come.

    Takes a few minutes on two CPU cores, less on a GPU. Ctrl-C in training saves and ends the command; the
    snapshots so far stay.
    """
    from stylegan_v_ext.cli.gen_video import gen_video
    from stylegan_v_ext.cli.train import demo_dataset, describe, launch, make_config
    from stylegan_v_ext.config import TrainOptions

    device = str(device_to_use(device))
    data = demo_dataset(outdir, resolution=32)
    options = TrainOptions(
        outdir=outdir,
        cfg="stylegan-v",
        data=data,
        mirror=True,
        batch=8,
        cbase=512,
        cmax=64,
        latent_dim=64,
        motion_z_dim=64,
        gamma=2.0,
        dlr=0.003,
        glr=0.003,
        aug="noaug",
        kimg=kimg,
        max_hours=max_minutes / 60,
        tick=4,
        snap=3,
        workers=1,
        device=device,
    )
    config = make_config(options)
    config.ema_kimg = 1.0  # the run is short: an average over its last steps
    say(*describe(config).split("\n"))
    last = launch(config, outdir)
    videos = last.parent / "videos"
    for extra in (["--output", str(videos)], ["--grid", "4x2", "--output", str(videos / "grid.mp4")]):
        gen_video.main(["--network", str(last), "--seeds", "0-7", "--device", device, *extra], standalone_mode=False)
    first = last.with_name("network-snapshot-000000.pkl")
    print("\nDistance of generated frames to the data (random features, lower is better):")
    if first == last:  # snapshots are named by whole kimg
        print("  not measured: a run of less than 1 kimg keeps one snapshot, so there is nothing to compare")
    else:
        before, after = (_distance(config, path, device) for path in (first, last))
        print(f"  before training {before:.3f}, after training {after:.3f}: {before / after:.1f} times lower")
    say(f"Samples along the way: {last.parent}/fakes*.png, fakes*.mp4")
    say(f"Videos: {videos}/seed0000.mp4 ... seed0007.mp4, {videos}/grid.mp4")


def _distance(config: Any, snapshot: Path, device: str) -> float:
    """Frechet distance of frame features between the demo's data and a snapshot."""
    import numpy as np

    from stylegan_v_ext.checkpoints import load
    from stylegan_v_ext.classes import construct
    from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
    from stylegan_v_ext.metrics.random_features import random_frame_distance

    dataset = construct("data set", config.training_set_kwargs)
    sampler = VideoSampler(load(snapshot).build_generator(), device_to_use(device))
    times = list(frame_times(_FEATURE_FRAMES, speed=8))
    real = (dataset.read_video(item)[:: 64 // _FEATURE_FRAMES] for item in range(_FEATURE_VIDEOS))
    fake = (
        np.stack(list(sampler.frames(VideoName(1000 + seed), times))).transpose(0, 3, 1, 2)
        for seed in range(_FEATURE_VIDEOS)
    )
    return random_frame_distance(real, fake)
