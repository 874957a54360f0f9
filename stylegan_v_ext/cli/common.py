"""What the subcommands share: errors in one line, option types, progress bars."""

import contextlib
import functools
import itertools
import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from stylegan_v_ext.text import printable, sentence

_LONGEST_MESSAGE = 4000
_LONGEST_LABEL = 60


class UserError(click.ClickException):
    """One printable line for the user, exit code 2."""

    exit_code = 2

    def __init__(self, message: object):
        super().__init__(printable(message, _LONGEST_MESSAGE))


@contextlib.contextmanager
def _printable_errors() -> Iterator[None]:
    """Whatever click complains about inside, names of files included, is one printable line."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = printable(error.message, _LONGEST_MESSAGE)  # click declares it final
        raise


class Command(click.Command):
    """An entry point whose complaints about the command line are printable."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _printable_errors():
            return super().make_context(*args, **kwargs)


class Group(click.Group):
    """A group that is an entry point: complaints of all commands in it are printable."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _printable_errors():
            return super().invoke(ctx)


def report_user_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: what is wrong with the user's input or machine ends in one line, not in a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            with _printable_errors():
                return command(*args, **kwargs)
        except ValueError as error:
            raise UserError(sentence(error)) from None
        except BrokenPipeError:  # whoever reads our output has seen enough; click knows
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise UserError(f"{where}{error.strerror or error}; name another path or free it") from None
        except (RuntimeError, MemoryError) as error:
            from stylegan_v_ext.device import is_out_of_memory

            if not is_out_of_memory(error):
                raise
            raise UserError("out of memory; use a smaller --batch-gpu, --cbase or --cmax, or another device") from None

    return wrapper


def device_to_use(name: str) -> Any:
    """The `torch.device` of that name, this process prepared to compute on it. Raises `ValueError`.

    32 bits mean 32 bits: PyTorch would let convolutions on GPUs round to TF32. Training has an option for that.
    """
    import torch

    from stylegan_v_ext.device import pick_device
    from stylegan_v_ext.memory import keep_freed_memory

    device = pick_device(name)
    if device.type == "cpu":
        keep_freed_memory()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return device


class SeedList(click.ParamType):
    """Seeds like `0-7,12`."""

    name = "seeds"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        if isinstance(value, list):
            return value
        seeds: list[int] = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
            if match is None:
                self.fail(f"{part!r} is not a seed or a range like 0-7", param, ctx)
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                self.fail(f"range {part.strip()} runs backwards; write {last}-{first}", param, ctx)
            if last >= 2**32:
                self.fail(f"seed {last} is above 4294967295", param, ctx)
            seeds += range(first, last + 1)
        return seeds


class NameList(click.ParamType):
    """Names like `fvd2048_16f,fid50k_full`; `none` for no name."""

    name = "names"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        if isinstance(value, list):
            return value
        names = [name.strip() for name in value.split(",") if name.strip()]
        return [] if [name.lower() for name in names] == ["none"] else names


class GridSize(click.ParamType):
    """Columns and rows like `4x2`."""

    name = "WxH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)x(\d+)", value)
        if match is None or 0 in (int(match[1]), int(match[2])):
            self.fail(f"{value!r} is not columns x rows, such as 4x2", param, ctx)
        return int(match[1]), int(match[2])


class LayerSpan(click.ParamType):
    """Resolutions like `16-64`, or one like `32`."""

    name = "LOW-HIGH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", value)
        if match is None:
            self.fail(f"{value!r} is not a resolution or a range of them, such as 16-64", param, ctx)
        return int(match[1]), int(match[2] or match[1])


class ScheduleType(click.ParamType):
    """A number, or numbers by frame like `0:0.5,64:1`, between which values go in straight lines."""

    name = "schedule"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[tuple[float, float]]:
        if isinstance(value, list):
            return value
        points = []
        for part in str(value).split(","):
            frame, _, number = part.rpartition(":")
            try:
                point = float(frame or 0), float(number)
            except ValueError:
                self.fail(f"{part!r} is neither a number nor FRAME:NUMBER; write 0.7, or 0:0.5,64:1", param, ctx)
            if not all(map(math.isfinite, point)):
                self.fail(f"{part!r} is not a finite number", param, ctx)
            points.append(point)
        if any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(points)):
            self.fail(f"{value!r}: the frames have to ascend, as in 0:0.5,64:1", param, ctx)
        return points


class FrameSize(click.ParamType):
    """Side of square frames like `256`, or `512x288` for a wide picture."""

    name = "N|WxH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)(?:x(\d+))?", str(value))
        if match is None:
            self.fail(f"{value!r} is not a size such as 256 or 512x288", param, ctx)
        width, height = int(match[1]), int(match[2] or match[1])
        if width < 8 or width & (width - 1):
            self.fail(f"{width} is not a power of two from 8 on; use 64, 128, 256, ...", param, ctx)
        if not 0 < height <= width:
            self.fail(f"height {height} is not between 1 and the width {width}", param, ctx)
        return width, height


def progress_bar(length: int, label: str) -> Any:
    """A bar with percentage and time left, on stderr; nothing where that is no terminal."""
    return click.progressbar(
        length=length, label=printable(label, _LONGEST_LABEL), file=sys.stderr, hidden=not sys.stderr.isatty()
    )


def own_arguments(ctx: click.Context) -> list[str]:
    """The words of the command line after a command's name."""
    return sys.argv[1:] if ctx.parent is None else sys.argv[sys.argv.index(str(ctx.info_name)) + 1 :]
