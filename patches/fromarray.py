"""Sample sheets: `PIL.Image.fromarray` takes the mode from the array."""

import warnings

import numpy as np
import PIL.Image

from patches.patch import Edit, Patch


def _needed() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            PIL.Image.fromarray(np.zeros([1, 1, 3], dtype=np.uint8), "RGB")
        except (TypeError, DeprecationWarning):
            return True
    return False


PATCH = Patch(
    name="fromarray",
    symptom="DeprecationWarning: 'mode' parameter is deprecated and will be removed",
    versions="Pillow 11.3, and any that has no second argument",
    reason="arrays of three channels are RGB and of one are L anyway",
    needed=_needed,
    edits=(Edit("*.py", r"(Image\.fromarray\(.*), ['\"](?:RGB|L)['\"]\)", r"\1)"),),
)
