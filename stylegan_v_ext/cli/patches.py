"""`python -m patches`: show, write and take out the patches of a checkout."""

import shlex
from pathlib import Path

import click

from stylegan_v_ext.cli.asking import user_agrees
from stylegan_v_ext.cli.entry import Group
from stylegan_v_ext.cli.errors import report_user_errors
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.host.checkout import recognise


@click.group(cls=Group, context_settings={"max_content_width": 110})
def main() -> None:
    """Show, write and take out patches for stock stylegan2-ada-pytorch and stylegan3 checkouts.

    A checkout needs them on today's Python and PyTorch. `train.py --host=DIR` and `stylegan-v metrics --host=DIR` apply
    them in memory and leave the checkout as it is. `apply` writes them into the checkout, for its own scripts.
    """


@main.command("list")
def list_() -> None:
    """Show every patch: the error that it cures, where the error occurs, and why."""
    from patches.patch import all_patches

    for patch in all_patches():
        cure = "edits files" if patch.edits else f"{patch.replaced_by} of this project takes its place"
        click.echo(f"{patch.name}\n  error   {patch.symptom}\n  where   {patch.versions}\n  reason  {patch.reason}")
        click.echo(f"  cure    {cure}\n")


@main.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@report_user_errors
def check(directory: Path) -> None:
    """Show which patches the installed versions need in a checkout, and which are in force."""
    from patches import checkout_files
    from patches.patch import all_patches

    checkout = recognise(directory)
    click.echo(f"{checkout.path}: {checkout.codebase}")
    for patch in all_patches():
        needed = "needed" if patch.needed() else "not needed"
        click.echo(f"  {patch.name:16s} {needed:11s} {checkout_files.state(checkout.path, patch)}")


@main.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("-y", "--yes", help="Do not ask", cls=Switch)
@click.pass_context
@report_user_errors
def apply(context: click.Context, *, directory: Path, yes: bool) -> None:
    """Write the patches that the installed versions need into a checkout, after showing the difference.

    The checkout's own `train.py` takes --cfg=stylegan-v afterwards. `revert` restores every byte. Nothing is written
    without the answer "y" or --yes.
    """
    from patches import checkout_files
    from patches.patch import needed_patches

    checkout = recognise(directory)
    patches = needed_patches()
    changes = checkout_files.plan(checkout.path, patches)
    waiting = [change for change in changes if not change.is_written]
    if not waiting:
        click.echo(f"{checkout.path}: nothing to write; all patches that are needed here are in force")
        return
    for change in waiting:
        click.echo(change.difference(), nl=False)
    if not yes and not user_agrees(f"Write this to {checkout.path}?", "--yes writes without a question"):
        click.echo("Nothing was written.")
        context.exit(1)
    checkout_files.apply(checkout.path, changes, patches)
    undo = f"python -m patches revert {shlex.quote(str(directory))}"
    click.echo(f"\n{checkout.path}: {len(waiting)} files patched; `{undo}` undoes it")


@main.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@report_user_errors
def revert(directory: Path) -> None:
    """Take the written patches out of a checkout again, to the byte."""
    from patches import checkout_files

    checkout = recognise(directory)
    files = checkout_files.revert(checkout.path)
    done = f"{len(files)} files restored" if files else "nothing to revert"
    click.echo(f"{checkout.path}: {done}")


if __name__ == "__main__":
    main(prog_name="python -m patches")
