"""Path length metric: the argument `interpolation` of `np.percentile` is called `method` now."""

import inspect

import numpy as np

from patches.patch import Edit, Patch

PATCH = Patch(
    name="percentile",
    symptom="TypeError: percentile() got an unexpected keyword argument 'interpolation'",
    versions="NumPy 2.4 and later",
    reason="the argument was renamed in NumPy 1.22, and its old name is gone",
    needed=lambda: "interpolation" not in inspect.signature(np.percentile).parameters,
    edits=(Edit("metrics/*.py", r"(percentile\([^()]*?)\binterpolation=", r"\1method="),),
)
