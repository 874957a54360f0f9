"""How much the ops say about themselves: `none`, `brief` (default) or `full`."""

VERBOSITIES = ("none", "brief", "full")
verbosity = "brief"  # read and written by stock training scripts


def set_verbosity(level: str) -> None:
    """Set how much is printed while ops are prepared; raises `ValueError` for an unknown level."""
    global verbosity
    if level not in VERBOSITIES:
        raise ValueError(f"verbosity {level!r} is not one of {', '.join(VERBOSITIES)}")
    verbosity = level
