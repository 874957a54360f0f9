"""Scripts of a checkout: run by this package, or by Python after `python -m patches apply` has edited them."""

import multiprocessing
import runpy
import sys
from pathlib import Path
from types import ModuleType

from stylegan_v_ext.config.presets import PRESETS
from stylegan_v_ext.host.checkout import Checkout
from stylegan_v_ext.host.entering import enter
from stylegan_v_ext.host.importer import HostLoader, import_ours

_OUR_TRAINING = "stylegan_v_ext.cli.train"  # a program that is run by its name, as `python -m` would


def enter_script(script: str) -> None:
    """Enter the checkout of a script, or run our training in its place if --cfg names one of our video models.

    Scripts that `python -m patches apply` has edited call this function before their first import.

    Args:
        script: `__file__` of the script.

    Raises:
        ValueError: If the checkout cannot be entered.
    """
    path = Path(script).resolve()
    import_ours()
    # A spawned process runs the script again, only to define its names; it has its own name already.
    is_child = multiprocessing.current_process().name != "MainProcess"
    if path.name == "train.py" and not is_child and _wants_ours(sys.argv[1:]):
        sys.argv = [path.name, f"--host={path.parent}", *sys.argv[1:]]
        runpy.run_module(_OUR_TRAINING, run_name="__main__")  # does not return
    enter(path.parent)


def run_script(script: Path, checkout: Checkout) -> None:
    """Execute the patched text of a script as `__main__`.

    Processes that the script spawns do not run it again: they would do so without a host. So data loaders work,
    and several GPUs need a script that `python -m patches apply` has edited.

    Args:
        script: File of the script.
        checkout: The checkout, which has been entered.
    """
    module = ModuleType("__main__")
    module.__file__ = str(script)
    module.__spec__ = sys.modules["__main__"].__spec__  # ours: spawned processes leave a module of that name alone
    sys.modules["__main__"] = module
    exec(HostLoader("__main__", str(script), checkout.path).get_code("__main__"), vars(module))


def _wants_ours(arguments: list[str]) -> bool:
    """Return whether --cfg names one of our video models."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    chosen = [part.partition("=")[2] or following for part, following in pairs if part.partition("=")[0] == "--cfg"]
    preset = PRESETS.get(chosen[-1]) if chosen else None
    return preset is not None and not preset.makes_images
