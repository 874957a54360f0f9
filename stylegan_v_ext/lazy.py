"""Names of a package that import their module at first use (PEP 562).

`import stylegan_v_ext` and `stylegan-v --help` stay fast this way: PyTorch is imported by the first name that needs it.
A package lists its names like this:

    __all__ = ["VideoSampler"]

    if TYPE_CHECKING:
        from stylegan_v_ext.generate.sampler import VideoSampler
    else:
        __getattr__, __dir__ = lazy_names(__name__, {"VideoSampler": "stylegan_v_ext.generate.sampler"})

A name must differ from the names of the package's own modules: importing `package.name` would replace it.
"""

import importlib
import sys
from collections.abc import Callable, Mapping


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package that imports its names at first use.

    Args:
        package: Name of the package, its `__name__`.
        homes: Name of the module that defines each public name.

    Returns:
        The two functions. The package assigns them to its own `__getattr__` and `__dir__`.
    """

    def get_attribute(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)  # the next use finds it without this function
        return value

    def list_attributes() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get_attribute, list_attributes
