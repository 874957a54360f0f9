"""`stylegan-v directions`: what a network varies most."""

from collections.abc import Sequence
from pathlib import Path

import click

from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.cli.network_options import (
    AT_LEAST_1,
    POSITIVE,
    SETTINGS,
    class_option,
    device_option,
    network_option,
)
from stylegan_v_ext.cli.reading import nan_option, refuse_existing, trust_option
from stylegan_v_ext.cli.terminal import Terminal
from stylegan_v_ext.cli.types import OutputFile, SeedList
from stylegan_v_ext.text import say

_EPILOG = """
\b
Examples:
  stylegan-v directions --network=sky.pkl                              content, from the weights (SeFa)
  stylegan-v directions --network=sky.pkl --method=motion --count=6 --output=motions.npz
  python gen_video.py --network=sky.pkl --seeds=0-3 --direction=directions.npz:1 --strength=3
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings=SETTINGS)
@network_option()
@click.option(
    "--method",
    help="sefa: eigenvectors of the weights; pca: principal components of random contents; "
    "motion: principal components of random motions",
    type=click.Choice(["sefa", "pca", "motion"]),
    default="sefa",
)
@click.option("--count", help="Number of directions", type=AT_LEAST_1, default=8)
@click.option("--seeds", help="Contents of the preview", type=SeedList(), default="0", metavar="0-7,12")
@click.option("--reach", help="Standard deviations to either side in the preview", type=POSITIVE, default=3.0)
@class_option()
@click.option(
    "--output",
    help="File for the directions; the preview gets its name and .png",
    type=OutputFile("npz"),
    metavar="NPZ",
    default="directions.npz",
)
@device_option()
@trust_option
@nan_option
@report_user_errors
def directions(
    network: str,
    *,
    method: str,
    count: int,
    seeds: Sequence[int],
    reach: float,
    class_index: int | None,
    output: str,
    device: str,
    trust_pickle: bool,
    allow_nan: bool,
) -> None:
    """Find directions of content or motion without any labels, and draw a strip of each.

    Each row of the preview is a direction, from minus to plus; the picture in the middle is unchanged.
    """
    from stylegan_v_ext.editing.directions import draw_directions, find_directions
    from stylegan_v_ext.generate.opening import open_network
    from stylegan_v_ext.generate.sampler import check_class
    from stylegan_v_ext.generate.writers import write_png

    path = Path(output)
    preview = path.with_suffix(".png")
    refuse_existing(path, preview)
    opened = open_network(network, trust_pickle=trust_pickle, allow_nan=allow_nan, listener=Terminal())
    check_class(str(opened.path), opened.data.num_classes, class_index)
    sampler = opened.sampler(device_to_use(device))
    found = find_directions(sampler, method, count, class_index)
    found.save(path)
    write_png(preview, draw_directions(sampler, found, seeds=seeds, reach=reach, class_index=class_index))
    for number, share in enumerate(found.shares):
        say(f"  {number}: {share:6.1%}")
    say(path, preview)
