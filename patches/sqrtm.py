"""FID: `scipy.linalg.sqrtm` returns the root alone."""

import inspect
import warnings

import numpy as np
import scipy.linalg

from patches.patch import Edit, Patch


def _needed() -> bool:
    if "disp" not in inspect.signature(scipy.linalg.sqrtm).parameters:
        return True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scipy.linalg.sqrtm(np.eye(2), disp=False)
    return any(issubclass(warning.category, DeprecationWarning) for warning in caught)


PATCH = Patch(
    name="sqrtm",
    symptom="TypeError: sqrtm() got an unexpected keyword argument 'disp'",
    versions="SciPy 1.18 and later; a deprecation warning from 1.17 on",
    reason="without `disp` the function returns the matrix root, no longer a pair with an error estimate",
    needed=_needed,
    edits=(Edit("metrics/*.py", r"(\w+), _ = (scipy\.linalg\.sqrtm\(.*), disp=False\)", r"\1 = \2)"),),
)
