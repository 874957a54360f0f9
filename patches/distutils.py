"""Questions on the terminal: `distutils` is gone from Python."""

import sys

from patches.patch import Edit, Patch

PATCH = Patch(
    name="distutils",
    symptom="ModuleNotFoundError: No module named 'distutils'",
    versions="Python 3.12 and later",
    reason="the stock code uses one function of it, which reads yes and no",
    needed=lambda: sys.version_info >= (3, 12),
    edits=(
        Edit(
            "dnnlib/util.py",
            r"^from distutils\.util import strtobool",
            "strtobool = lambda text: text.strip().lower() in ('y', 'yes', 't', 'true', 'on', '1')",
        ),
    ),
    replaced_by="dnnlib.util",
)
