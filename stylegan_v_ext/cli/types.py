"""Types of options that several commands share: lists, sizes, schedules, paths and outputs."""

import itertools
import math
import os
import re

import click

from stylegan_v_ext.outputs import check_place, format_of
from stylegan_v_ext.text import printable

_MOST_SEEDS = 1_000_000


class SeedList(click.ParamType):
    """Seeds like `0-7,12`, as a list of whole numbers."""

    name = "seeds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """Return the seeds that a text names; a list stays as it is."""
        if isinstance(value, list):
            return value
        seeds: list[int] = []
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*([0-9]{1,20})(?:-([0-9]{1,20}))?\s*", part)
            if match is None:
                self.fail(f"{part!r} is not a seed or a range like 0-7", param, ctx)
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                self.fail(f"range {part.strip()} runs backwards; write {last}-{first}", param, ctx)
            if last >= 2**32:
                self.fail(f"seed {last} is above 4294967295", param, ctx)
            if len(seeds) + last - first >= _MOST_SEEDS:
                self.fail(f"{printable(value, 100)!r} has more than {_MOST_SEEDS:,} seeds; ask for fewer", param, ctx)
            seeds += range(first, last + 1)
        return seeds


class NameList(click.ParamType):
    """Names like `fvd2048_16f,fid50k_full`, as a list of texts; `none` stands for an empty list."""

    name = "names"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Return the names in a text; a list stays as it is."""
        if isinstance(value, list):
            return value
        names = [name.strip() for name in str(value).split(",") if name.strip()]
        return [] if [name.lower() for name in names] == ["none"] else names


class GridSize(click.ParamType):
    """Columns and rows like `4x2`, as two whole numbers."""

    name = "WxH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the numbers in a text; a tuple stays as it is."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", str(value))
        if match is None or 0 in (int(match[1]), int(match[2])):
            self.fail(f"{value!r} is not columns x rows, such as 4x2", param, ctx)
        return int(match[1]), int(match[2])


class LayerSpan(click.ParamType):
    """Resolutions like `16-64`, or a single resolution like `32`, as the lowest and the highest."""

    name = "LOW-HIGH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the resolutions in a text; a tuple stays as it is."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", str(value))
        if match is None:
            self.fail(f"{value!r} is not a resolution or a range of them, such as 16-64", param, ctx)
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            self.fail(f"range {value} runs backwards; write {high}-{low}", param, ctx)
        return low, high


class ScheduleType(click.ParamType):
    """A number, or numbers by frame like `0:0.5,64:1`, between which values go in straight lines.

    The value is a list of frames and numbers, in ascending order of the frames.
    """

    name = "schedule"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[tuple[float, float]]:
        """Return the points in a text; a list stays as it is."""
        if isinstance(value, list):
            return value
        points = []
        for part in str(value).split(","):
            frame, _, number = part.rpartition(":")
            try:
                point = float(frame.encode("ascii") or 0), float(number.encode("ascii"))
            except ValueError:
                self.fail(f"{part!r} is neither a number nor FRAME:NUMBER; write 0.7, or 0:0.5,64:1", param, ctx)
            if not all(map(math.isfinite, point)):
                self.fail(f"{part!r} is not a finite number", param, ctx)
            points.append(point)
        if any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(points)):
            self.fail(f"{value!r}: the frames have to ascend, as in 0:0.5,64:1", param, ctx)
        return points


class FrameSize(click.ParamType):
    """Side of square frames like `256`, or `512x288` for a wide picture, as width and height in pixels."""

    name = "N|WxH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the size in a text; a tuple stays as it is."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,9})(?:x([0-9]{1,9}))?", str(value))
        if match is None:
            self.fail(f"{value!r} is not a size such as 256 or 512x288", param, ctx)
        width, height = int(match[1]), int(match[2] or match[1])
        if width < 8 or width & (width - 1):
            self.fail(f"{width} is not a power of two from 8 on; use 64, 128, 256, ...", param, ctx)
        if not 0 < height <= width:
            self.fail(f"height {height} is not between 1 and the width {width}", param, ctx)
        return width, height


class Colour(click.ParamType):
    """A colour like `#ff8000`, `black` or `white`: red, green and blue, 0 to 255."""

    name = "COLOUR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        """Return the three numbers of a colour."""
        if isinstance(value, tuple):
            return value
        text = str(value)
        digits = {"black": "000000", "white": "ffffff"}.get(text.lower(), text.removeprefix("#"))
        if re.fullmatch("[0-9a-fA-F]{6}", digits) is None:
            self.fail(f"{text!r} is not a colour, such as #ff8000, black or white", param, ctx)
        red, green, blue = bytes.fromhex(digits)
        return red, green, blue


class PathText(click.ParamType):
    """A path or an address. `~` is the home folder, which shells leave alone inside `--data=~/x`."""

    name = "path"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path with the home folder spelled out."""
        return os.path.expanduser(str(value))


class OutputPath(PathText):
    """Place of results: a file that ends in one of the formats, or a folder. Other files' endings are refused.

    Args:
        formats: Endings of files, without the dot.
    """

    or_folder = True

    def __init__(self, *formats: str) -> None:
        self.formats = formats

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path; fail if nothing can be written there."""
        path = super().convert(value, param, ctx)
        try:
            check_place(path, self.formats, or_folder=self.or_folder)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return path


class OutputFile(OutputPath):
    """A file to write, which has to end in one of the formats."""

    or_folder = False

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path; fail if it is not the name of a file that can be written."""
        path = super().convert(value, param, ctx)
        if format_of(path, self.formats) is None:
            self.fail(f"{path} is no name of a file; use one that ends in .{' or .'.join(self.formats)}", param, ctx)
        return path


PATH, FOLDER = PathText(), OutputPath()
