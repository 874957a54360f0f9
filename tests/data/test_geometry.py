"""Which part of a picture a frame shows."""

import subprocess
import sys

import numpy as np
import pytest

from stylegan_v_ext.data import geometry as module
from stylegan_v_ext.data.geometry import TRANSFORMS, Geometry


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_part_that_is_shown_keeps_its_shape(transform):
    random = np.random.default_rng(0)
    form = Geometry((64, 36) if transform == "center-crop-wide" else (64, 64), transform)
    for _ in range(300):
        width, height = random.integers(40, 2000, 2).tolist()
        aspect = float(random.uniform(0.3, 3))
        plan = form.plan(width, height, aspect)
        left, top, across, down = plan.crop
        assert left >= 0 and top >= 0 and left + across <= width and top + down <= height
        assert abs(width - across - 2 * left) <= 1 and abs(height - down - 2 * top) <= 1, "from the middle"
        stretch = (plan.scaled[0] / (across * aspect)) / (plan.scaled[1] / down)
        assert stretch == pytest.approx(1, abs=1 / min(across, down, *plan.scaled)), (width, height, aspect)
        assert across == width or down == height, "as much as fits"
        assert max(plan.scaled) == 64


def test_no_shape_is_too_strange():
    for transform in TRANSFORMS:
        for size in ((1, 1), (1, 5000), (5000, 1), (3, 2)):
            for aspect in (1e-3, 1.0, 1e3):
                plan = Geometry((64, 32) if transform == "center-crop-wide" else (64, 64), transform).plan(
                    *size, aspect
                )
                assert min(*plan.crop[2:], *plan.scaled) >= 1 and max(plan.scaled) <= 64


def test_planning_needs_no_pillow():
    program = f"import runpy, sys; sys.modules['PIL'] = None; runpy.run_path({module.__file__!r})"
    subprocess.run([sys.executable, "-I", "-c", program], check=True)
