"""`python -m stylegan_v_ext.host DIR SCRIPT [ARGUMENTS]`: run a script of a checkout on today's Python and PyTorch."""

import sys

from stylegan_v_ext import host
from stylegan_v_ext.cli.errors import UserError, report_user_errors
from stylegan_v_ext.host.script import run_script

_USAGE = "usage: python -m stylegan_v_ext.host DIR SCRIPT [ARGUMENTS]  (DIR: stylegan3 or stylegan2-ada-pytorch)"


@report_user_errors
def main(arguments: list[str]) -> None:
    """Enter a checkout and run one of its scripts, patched in memory, as Python would.

    Args:
        arguments: Folder of the checkout, name of the script, and the arguments of the script.

    Raises:
        UserError: If something is missing, with the remedy.
    """
    if len(arguments) < 2:
        raise UserError(_USAGE)
    checkout = host.enter(arguments[0])
    script = checkout.path / arguments[1]
    if not script.is_file() or not script.resolve().is_relative_to(checkout.path):
        there = ", ".join(sorted(path.name for path in checkout.path.glob("*.py")))
        raise UserError(f"{checkout.path} has no {arguments[1]}; it has {there}")
    sys.argv = [str(script), *arguments[2:]]
    try:
        run_script(script, checkout)
    except ModuleNotFoundError as error:
        raise UserError(f"{script} needs the package {error.name}; install it with pip") from None


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        error.show()
        sys.exit(error.exit_code)
