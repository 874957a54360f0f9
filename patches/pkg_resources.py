"""Version checks of the ops: `pkg_resources` is gone from setuptools."""

import importlib.util

from patches.patch import Edit, Patch

PATCH = Patch(
    name="pkg_resources",
    symptom="ModuleNotFoundError: No module named 'pkg_resources'",
    versions="setuptools 82 and later, and installations without setuptools",
    reason="the module was removed; PyTorch compares its own versions by itself",
    needed=lambda: importlib.util.find_spec("pkg_resources") is None,
    edits=(
        Edit(
            "torch_utils/*.py",
            r"^from pkg_resources import parse_version",
            "from torch.torch_version import TorchVersion as parse_version",
        ),
    ),
    replaced_by="torch_utils.ops",
)
