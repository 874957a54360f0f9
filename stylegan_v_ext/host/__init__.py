"""Stock StyleGAN2-ADA and StyleGAN3 checkouts as engines: their code, unchanged, on our models and data.

    from stylegan_v_ext import host
    host.enter("~/stylegan3")        # from here on `training`, `metrics` and `legacy` are the checkout's

    python -m stylegan_v_ext.host ~/stylegan3 gen_images.py --help      # runs a script of it like that

Their modules run on this project's `torch_utils` and `dnnlib`, with the patches that the installed
versions need (`patches`), applied in memory. Our metrics join their registry, and their own metrics see
single frames where the model makes video.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from stylegan_v_ext.host.checkout import Checkout, recognise

__all__ = ["Checkout", "enter", "enter_script", "import_module", "recognise"]

_entered: Checkout | None = None


def enter(path: str | Path) -> Checkout:
    """Make a checkout's modules importable and ready for videos; again with the same one is harmless.

    Raises `ValueError` for a folder that is no checkout, for a second checkout in one process, for a
    package that its code needs and that is missing, and where another `torch_utils` or `dnnlib` has been
    imported before.
    """
    global _entered
    from stylegan_v_ext.host import importer

    checkout = recognise(path)
    if _entered is not None:
        if _entered != checkout:
            raise ValueError(f"{_entered.path} has been entered already; a process has room for one host")
        return checkout
    importer.import_ours()
    for name in ("training", "metrics", "legacy"):
        if name in sys.modules:
            raise ValueError(f"a module called {name} is imported already; enter the host before that")
    finder: Any = importer.HostFinder(checkout.path)
    sys.meta_path.insert(0, finder)
    from stylegan_v_ext.host import metrics

    try:
        metrics.join_registry(import_module("metrics.metric_main"))
    except ValueError:
        sys.meta_path.remove(finder)
        raise
    metrics.prefer_local_detectors()
    _entered = checkout
    return checkout


def import_module(name: str) -> ModuleType:
    """A module of the checkout that was entered. Raises `ValueError` where a package that it needs is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"the host's {name} needs the package {error.name}; install it with pip") from None


def enter_script(script: str) -> None:
    """For a patched script of a checkout: enter it, and let our command serve `--cfg=stylegan-v...`."""
    from stylegan_v_ext.host import importer

    path = Path(script).resolve()
    importer.import_ours()
    if path.name == "train.py" and _wants_ours(sys.argv[1:]):
        from stylegan_v_ext.cli.train import train

        train([f"--host={path.parent}", *sys.argv[1:]], prog_name="train.py")
    enter(path.parent)


def _wants_ours(arguments: list[str]) -> bool:
    """Whether --cfg names one of our video models."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    chosen = [part.partition("=")[2] or following for part, following in pairs if part.partition("=")[0] == "--cfg"]
    return bool(chosen) and chosen[-1].startswith("stylegan-v")
