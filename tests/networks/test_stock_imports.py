"""Snapshots carry their modules' source, which a stock checkout runs on its own `torch_utils`."""

import ast
import inspect

import pytest

from stylegan_v_ext.engine import augment, augment_filters, augment_geometry
from stylegan_v_ext.networks import (
    anchor_noise,
    discriminator,
    discriminator_blocks,
    generator,
    layers,
    mapping,
    motion,
    positional_encoding,
    stylegan2,
    synthesis,
    time_encoding,
    truncation,
    video_mapping,
)

MODULES = [
    anchor_noise,
    augment,
    augment_filters,
    augment_geometry,
    discriminator,
    discriminator_blocks,
    generator,
    layers,
    mapping,
    motion,
    positional_encoding,
    stylegan2,
    synthesis,
    time_encoding,
    truncation,
    video_mapping,
]

# Public names that stylegan2-ada-pytorch and stylegan3 both have.
STOCK = {
    "torch_utils": {"persistence"},
    "torch_utils.ops": {"bias_act", "upfirdn2d", "grid_sample_gradfix"},
    "torch_utils.ops.conv2d_resample": {"conv2d_resample"},
}
STOCK_FUNCTIONS = {
    "bias_act": {"bias_act", "activation_funcs"},
    "upfirdn2d": {"setup_filter", "upfirdn2d", "upsample2d", "downsample2d"},
    "grid_sample_gradfix": {"grid_sample"},
    "persistence": {"persistent_class"},
}


# stylegan3 needs its `filtered_lrelu` besides.
@pytest.mark.parametrize("module", MODULES)
def test_persistent_modules_use_nothing_that_stock_code_lacks(module):
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the source is executed without a package"
            if node.module.startswith(("torch_utils", "dnnlib")):
                assert {alias.name for alias in node.names} <= STOCK[node.module]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in STOCK_FUNCTIONS:
            assert node.attr in STOCK_FUNCTIONS[node.value.id]
