"""Options that all commands with a video generator have."""

from collections.abc import Callable

import click

from stylegan_v_ext.cli.grouping import Option
from stylegan_v_ext.cli.types import PATH

SETTINGS = {"show_default": True, "max_content_width": 110}
"""Context settings of the commands."""

_Decorator = Callable[[Callable[..., object]], Callable[..., object]]


def network_option(help_text: str = "Video generator: file, run folder or URL", *, group: str = "") -> _Decorator:
    """Return the option `--network`.

    Args:
        help_text: What `--help` says about it.
        group: Heading that it stands under in `--help`; "" for no heading.
    """
    return click.option(
        "--network", help=help_text, cls=Option, group=group, type=PATH, metavar="PKL|DIR", required=True
    )


def device_option(help_text: str = "auto, cuda, cpu or mps (mps is untested)") -> _Decorator:
    """Return the option `--device`.

    Args:
        help_text: What `--help` says about it.
    """
    return click.option("--device", help=help_text, default="auto", metavar="NAME")


def class_option(help_text: str = "Class of a conditional network", *, group: str = "") -> _Decorator:
    """Return the option `--class`, whose value is `class_index`.

    Args:
        help_text: What `--help` says about it.
        group: Heading that it stands under in `--help`; "" for no heading.
    """
    return click.option("--class", "class_index", help=help_text, cls=Option, group=group, type=click.IntRange(min=0))


def seed_option() -> _Decorator:
    """Return the option `--seed`."""
    return click.option("--seed", help="Seed of all that is random", type=SEED, default=0)


SEED = click.IntRange(0, 2**32 - 1)
POSITIVE = click.FloatRange(min=0, min_open=True)
NOT_NEGATIVE = click.FloatRange(min=0)
AT_LEAST_1 = click.IntRange(min=1)
