"""Options under headings in `--help`, and rare options that `--help-all` alone shows."""

from collections.abc import Iterable, Sequence

import click

_ALL = f"{__name__}.all"  # key in the context's `meta` while `--help-all` is answered


class Option(click.Option):
    """An option that has a place in the help.

    Attributes:
        group: Heading that the option stands under; "" for the options that have no heading of their own.
        rare: Whether `--help-all` alone shows the option.
    """

    def __init__(
        self, param_decls: Sequence[str] | None = None, *, group: str = "", rare: bool = False, **settings: object
    ) -> None:
        super().__init__(param_decls, **settings)  # type: ignore[arg-type]
        self.group, self.rare = group, rare


def is_rare(parameter: click.Parameter) -> bool:
    """Return whether `--help-all` alone shows a parameter."""
    return isinstance(parameter, Option) and parameter.rare


def help_all_option() -> click.Option:
    """Return an option `--help-all` that shows the help with all options and ends the command."""

    def show(ctx: click.Context, _: click.Parameter, value: object) -> None:
        if value and not ctx.resilient_parsing:
            ctx.meta[_ALL] = True
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()

    return click.Option(
        ["--help-all", "_help_all"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        help="Show the rare options, too, and exit.",
        callback=show,
    )


def write_options(ctx: click.Context, formatter: click.HelpFormatter, parameters: Iterable[click.Parameter]) -> None:
    """Write the help of options under their headings, in the order in which the headings come first.

    Args:
        ctx: Context of the command.
        formatter: Takes the text.
        parameters: All parameters of the command, arguments included.
    """
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is None or isinstance(parameter, click.Argument) or (is_rare(parameter) and _ALL not in ctx.meta):
            continue
        group = parameter.group if isinstance(parameter, Option) else ""
        sections.setdefault(group, []).append(record)
    others = sections.pop("", [])
    for heading, records in [*sections.items(), ("Other options" if sections else "Options", others)]:
        if records:
            with formatter.section(heading):
                formatter.write_dl(records)
