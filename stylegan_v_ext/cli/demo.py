"""`stylegan-v demo`: from nothing to a trained model and its videos, with a figure that shows it learned."""

import click

from stylegan_v_ext.cli.common import FOLDER, device_to_use, report_user_errors
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.terminal import Terminal
from stylegan_v_ext.text import say


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
    from stylegan_v_ext.runs import demo, describe, start

    place = device_to_use(device)
    config = demo.demo_config(outdir, kimg=kimg, max_minutes=max_minutes, device=str(place), listener=Terminal())
    say(*describe(config))
    last = start(config, outdir)
    videos = last.parent / "videos"
    for path in demo.write_videos(last, videos, device=place, listener=Terminal()):
        say(path)
    first = last.with_name("network-snapshot-000000.pkl")
    print("\nDistance of generated frames to the data (random features, lower is better):")
    if first == last:  # snapshots are named by whole kimg
        print("  not measured: a run of less than 1 kimg keeps one snapshot, so there is nothing to compare")
    else:
        before, after = (demo.distance_to_data(config, path, device=place) for path in (first, last))
        print(f"  before training {before:.3f}, after training {after:.3f}: {before / after:.1f} times lower")
    say(f"Samples along the way: {last.parent}/fakes*.png, fakes*.mp4")
    say(f"Videos: {videos}/seed0000.mp4 ... seed0007.mp4, {videos}/grid.mp4")
