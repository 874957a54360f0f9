"""What the subcommands share: errors in one line, option types, progress bars."""

import functools
import itertools
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.entry import LONGEST_MESSAGE, printable_errors
from stylegan_v_ext.interrupts import EndedBySignal
from stylegan_v_ext.outputs import check_place, format_of
from stylegan_v_ext.text import printable, say, sentence

_LONGEST_LABEL = 60
_MOST_NAMED = 5  # files in a question
_MOST_SEEDS = 1_000_000
_OTHER_OUTPUT = "name another --output, or delete what is there"


class UserError(click.ClickException):
    """One printable line for the user, exit code 2."""

    exit_code = 2

    def __init__(self, message: object) -> None:
        super().__init__(printable(message, LONGEST_MESSAGE))


def report_user_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: what is wrong with the user's input or machine ends in one line, not in a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            with printable_errors():
                return command(*args, **kwargs)
        except ValueError as error:
            raise UserError(sentence(error)) from None
        except KeyboardInterrupt:  # of a library that has a handler of its own
            raise EndedBySignal(signal.SIGINT) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise UserError(f"{where}{error.strerror or error}; name another path or free it") from None
        except (RuntimeError, MemoryError) as error:
            from stylegan_v_ext.device import is_out_of_memory

            if not isinstance(error, MemoryError) and not is_out_of_memory(error):
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


def check_gpus(count: int, device: str) -> None:
    """Raise `UserError` if --gpus asks for more GPUs than there are; on the CPU, note that processes share cores.

    Args:
        count: Value of --gpus.
        device: Value of --device.
    """
    import torch

    from stylegan_v_ext.device import pick_device

    kind, cores = pick_device(device).type, os.cpu_count() or 1
    if kind == "cuda" and count > torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(f"--gpus={count}: this machine has {found}; use --gpus={found} or less, or --device=cpu")
    if kind == "cpu" and count > cores:
        say(f"Note: --gpus={count} on the CPU: {count} processes share {cores} cores", err=True)


class SeedList(click.ParamType):
    """Seeds like `0-7,12`."""

    name = "seeds"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        if isinstance(value, list):
            return value
        seeds: list[int] = []
        for part in value.split(","):
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
        match = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", value)
        if match is None or 0 in (int(match[1]), int(match[2])):
            self.fail(f"{value!r} is not columns x rows, such as 4x2", param, ctx)
        return int(match[1]), int(match[2])


class LayerSpan(click.ParamType):
    """Resolutions like `16-64`, or one like `32`."""

    name = "LOW-HIGH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", value)
        if match is None:
            self.fail(f"{value!r} is not a resolution or a range of them, such as 16-64", param, ctx)
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            self.fail(f"range {value} runs backwards; write {high}-{low}", param, ctx)
        return low, high


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
    """Side of square frames like `256`, or `512x288` for a wide picture."""

    name = "N|WxH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
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


class PathText(click.ParamType):
    """A path or an address; `~` is the home folder, which shells leave alone inside `--data=~/x`."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        return os.path.expanduser(value)


class OutputPath(PathText):
    """Where results go: a file that ends in one of the formats, or a folder. Other files' endings are refused."""

    or_folder = True

    def __init__(self, *formats: str) -> None:
        self.formats = formats

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        path = super().convert(value, param, ctx)
        try:
            check_place(path, self.formats, or_folder=self.or_folder)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return path


class OutputFile(OutputPath):
    """A file to write, which has to end in one of the formats."""

    or_folder = False

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        path = super().convert(value, param, ctx)
        if format_of(path, self.formats) is None:
            self.fail(f"{path} is no name of a file; use one that ends in .{' or .'.join(self.formats)}", param, ctx)
        return path


PATH, FOLDER = PathText(), OutputPath()


def user_agrees(question: str, remedy: str) -> bool:
    """Ask a question; return whether the user answers yes. Only "y" and "yes" are a yes.

    Args:
        remedy: What to do if nobody answers, for the `UserError` that is raised then.
    """
    try:
        return click.confirm(printable(question, LONGEST_MESSAGE), default=False, err=True)
    except click.Abort:
        click.echo(err=True)
        raise UserError(f"no answer, so nothing was written; {remedy}") from None


def files_to_replace(paths: Iterable[Path], ask: bool = True, inputs: Iterable[str | None] = ()) -> set[Path]:
    """Return the paths that exist, which the caller is about to replace.

    Args:
        paths: All files that the caller will write.
        ask: Whether to ask the user, if there is a terminal.
        inputs: Files that the caller reads, or anything else that the user named as an input.

    Raises:
        UserError: If the user does not agree, or if one of the inputs would be replaced.
    """
    existing = sorted({path for path in paths if path.exists()})
    read = [Path(name) for name in inputs if name and os.path.exists(name)]
    own = next((path for path in existing if not path.is_symlink() and any(map(path.samefile, read))), None)
    if own is not None:
        raise UserError(f"{own} is read here, and would be replaced; name another --output")
    if existing and ask and sys.stdin is not None and sys.stdin.isatty():
        more = f" and {len(existing) - _MOST_NAMED} more" if len(existing) > _MOST_NAMED else ""
        names = ", ".join(map(str, existing[:_MOST_NAMED]))
        if not user_agrees(f"{names}{more} exist{'s' if len(existing) == 1 else ''} already. Replace?", _OTHER_OUTPUT):
            raise UserError(f"nothing was written; {_OTHER_OUTPUT}")
    return set(existing)


def say_written(path: Path, replaced: Container[Path]) -> None:
    """Name a file that was written, and say whether it took the place of another one."""
    say(f"{path} (replaced the file that was there)" if path in replaced else path)


def progress_bar(length: int, label: str) -> Any:
    """A bar with percentage and time left, on stderr; nothing where that is no terminal."""
    return click.progressbar(
        length=length, label=printable(label, _LONGEST_LABEL), file=sys.stderr, hidden=not sys.stderr.isatty()
    )


def own_arguments(ctx: click.Context) -> list[str]:
    """The words of the command line after a command's name."""
    return sys.argv[1:] if ctx.parent is None else sys.argv[sys.argv.index(str(ctx.info_name)) + 1 :]
