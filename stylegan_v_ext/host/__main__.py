"""`python -m stylegan_v_ext.host DIR SCRIPT [ARGUMENTS]`: a script of a checkout, on today's Python and PyTorch."""

import sys
from pathlib import Path
from types import ModuleType

from stylegan_v_ext import host
from stylegan_v_ext.cli.common import UserError, report_user_errors

_USAGE = "usage: python -m stylegan_v_ext.host DIR SCRIPT [ARGUMENTS]  (DIR: stylegan3 or stylegan2-ada-pytorch)"


@report_user_errors
def main(arguments: list[str]) -> None:
    """Enter the checkout and run one of its scripts, patched in memory, as Python would."""
    if len(arguments) < 2:
        raise UserError(_USAGE)
    checkout = host.enter(arguments[0])
    script = checkout.path / arguments[1]
    if not script.is_file() or not script.resolve().is_relative_to(checkout.path):
        there = ", ".join(sorted(path.name for path in checkout.path.glob("*.py")))
        raise UserError(f"{checkout.path} has no {arguments[1]}; it has {there}")
    sys.argv = [str(script), *arguments[2:]]
    try:
        run(script, checkout)
    except ModuleNotFoundError as error:
        raise UserError(f"{script} needs the package {error.name}; install it with pip") from None


def run(script: Path, checkout: host.Checkout) -> None:
    """Execute a script's edited text as `__main__`.

    Processes that it spawns do not run it again: they would do so without a host. So data loaders work,
    and several GPUs need a script that `python -m patches apply` has edited.
    """
    from stylegan_v_ext.host.importer import HostLoader

    module = ModuleType("__main__")
    module.__file__ = str(script)
    module.__spec__ = sys.modules["__main__"].__spec__  # ours, a name that children leave alone
    sys.modules["__main__"] = module
    exec(HostLoader("__main__", str(script), checkout.path).get_code("__main__"), vars(module))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        error.show()
        sys.exit(error.exit_code)
