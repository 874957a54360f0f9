"""`stylegan-v directions`: what a network varies most."""

from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.common import PATH, OutputFile, SeedList, device_to_use, report_user_errors
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.reading import nan_option, refuse_existing, trust_option
from stylegan_v_ext.text import say

_EPILOG = """
\b
Examples:
  stylegan-v directions --network=sky.pkl                              content, from the weights (SeFa)
  stylegan-v directions --network=sky.pkl --method=motion --count=6 --output=motions.npz
  python gen_video.py --network=sky.pkl --seeds=0-3 --direction=directions.npz:1 --strength=3
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings={"show_default": True, "max_content_width": 110})
@click.option("--network", help="Video generator: file, run folder or URL", type=PATH, metavar="PKL|DIR", required=True)
@click.option(
    "--method",
    help="sefa: eigenvectors of the weights; pca: what random contents differ in; motion: what "
    "random motions differ in",
    type=click.Choice(["sefa", "pca", "motion"]),
    default="sefa",
)
@click.option("--count", help="How many", type=click.IntRange(min=1), default=8)
@click.option("--seeds", help="Contents of the preview", type=SeedList(), default="0", metavar="0-7,12")
@click.option(
    "--reach",
    help="Standard deviations to either side in the preview",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
)
@click.option("--class", "class_index", help="Class of a conditional network", type=click.IntRange(min=0))
@click.option(
    "--output",
    help="File for the directions; the preview gets its name and .png",
    type=OutputFile("npz"),
    metavar="NPZ",
    default="directions.npz",
)
@click.option("--device", help="auto, cuda, cpu or mps (mps is untested)", default="auto", metavar="NAME")
@trust_option
@nan_option
@report_user_errors
def directions(**o: Any) -> None:
    """Find directions of content or motion without any labels, and draw a strip of each.

    In the preview a row is a direction, from minus to plus; the middle is as it was.
    """
    from stylegan_v_ext.cli.gen_video import check_class, load_video_generator
    from stylegan_v_ext.editing.directions import find_directions
    from stylegan_v_ext.generate.sampler import VideoSampler
    from stylegan_v_ext.generate.writers import write_png

    path = Path(o["output"])
    preview = path.with_suffix(".png")
    refuse_existing(path, preview)
    checkpoint, generator = load_video_generator(o["network"], o["trust_pickle"], o["allow_nan"])
    check_class(str(checkpoint.path), generator.num_classes, o["class_index"])
    sampler = VideoSampler(generator, device_to_use(o["device"]))
    found = find_directions(sampler, o["method"], o["count"], o["class_index"])
    found.save(path)
    write_png(preview, _strips(sampler, found, o["seeds"], o["reach"], o["class_index"]))
    for number, share in enumerate(found.shares):
        say(f"  {number}: {share:6.1%}")
    say(path, preview)


def _strips(sampler: Any, found: Any, seeds: list[int], reach: float, class_index: int | None) -> Any:
    """A row for each direction and seed."""
    import numpy as np
    import torch

    from stylegan_v_ext.generate.layout import Layout
    from stylegan_v_ext.generate.sampler import VideoName, to_uint8

    steps = np.linspace(-reach, reach, 7)
    images, labels = [], []
    for number, vector in enumerate(found.vectors.to(sampler.device)):
        for seed in seeds:
            name = VideoName(seed, None, class_index)
            with torch.inference_mode():
                content = sampler.content(name).expand(len(steps), -1, -1)
                motion = sampler.motion(name)(torch.zeros(1, dtype=torch.float64)).float().expand(len(steps), -1)
                shift = torch.from_numpy(steps).to(vector)[:, None] * vector
                if found.kind == "content":
                    content = content + shift[:, None]
                else:
                    motion = motion + shift
                images += list(to_uint8(sampler.synthesize(content, motion)))
            labels += [f"{number}: {step:+.0f}" for step in steps]
    return Layout(len(steps), padding=2, labels=labels).compose(images)
