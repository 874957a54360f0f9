"""The source of our image networks as one module, so that pickles made of it open without this package.

A stock checkout runs the source text that a pickle carries. Our networks are spread over modules that import each
other. Here the texts of these modules are joined, and `torch_utils` is the only import that is left.
"""

import ast
import functools
import inspect
import types

from stylegan_v_ext import strip
from stylegan_v_ext.networks import (
    discriminator,
    discriminator_blocks,
    layers,
    mapping,
    modulation,
    precision,
    stylegan2,
    synthesis,
    time_encoding,
    truncation,
)
from torch_utils import persistence

_MODULES = (
    strip,
    precision,
    layers,
    modulation,
    truncation,
    mapping,
    synthesis,
    stylegan2,
    time_encoding,
    discriminator_blocks,
    discriminator,
)
_OWN_PACKAGE = "stylegan_v_ext"


@functools.cache
def image_networks() -> types.ModuleType:
    """Make the module from `image_networks_source`, with `ImageGenerator` and `TimeConditionedDiscriminator`."""
    return persistence.module_from_source(image_networks_source())


@functools.cache
def image_networks_source() -> str:
    """Join the texts of all modules that image networks need, without their imports of each other."""
    parts = ['"""StyleGAN2 image networks of stylegan_v_ext (MIT licence), in one module."""']
    names: set[str] = set()
    for module in _MODULES:
        text = inspect.getsource(module)
        tree = ast.parse(text)
        for node in tree.body:
            own = {node.name} if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else set()
            assert not own & names, f"{own & names} is defined twice"
            names |= own
        parts.append(_without_own_imports(text, tree))
    return "\n\n".join(parts) + "\n"


def _without_own_imports(text: str, tree: ast.Module) -> str:
    lines = text.splitlines()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_OWN_PACKAGE):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(lines)
