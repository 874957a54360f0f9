"""Videos whose content and motion are apart by construction: plain landscapes under changing light.

Every video has colours and shapes of its own (content), and clouds that nobody sees pass before its sun (motion), so
that a model trained on them shows whether the tools of editing keep the two apart.

    python -m benchmarks.editing_data lights.zip
    python train.py --cfg=stylegan-v --data=lights.zip --cbase=512 --cmax=64 --latent-dim=64 --motion-z-dim=64 \
        --aug=noaug --batch=16 --gamma=0.5 --glr=0.003 --dlr=0.003 --kimg=150
"""

import colorsys
import sys

import numpy as np
import scipy.interpolate

from stylegan_v_ext.data.convert import encode_frame
from stylegan_v_ext.data.writer import DatasetWriter

RESOLUTION, VIDEOS, FRAMES, MOTION_DISTANCE = 32, 512, 64, 16
_KNOT_FRAMES = 12  # between the moments that the light takes turns at


def light_video(content, motion, num_frames=FRAMES):
    """Frames uint8 `[T, H, W, 3]`. content, motion: seeds."""
    scene = landscape(np.random.RandomState(content))
    levels = light(np.random.RandomState(motion), num_frames)
    return np.stack([(np.clip(scene * level, 0, 1) * 255 + 0.5).astype(np.uint8) for level in levels])


def landscape(random):
    """Sky, ground and a sun, `[H, W, 3]` in 0 ... 1."""
    hue = random.rand()
    brightness = random.uniform(0.6, 0.95), random.uniform(0.3, 0.6), 1
    sky, ground, sun = (
        np.array(colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value))
        for shift, saturation, value in zip((0, 0.35, 0.5), (0.5, 0.6, 0.6), brightness, strict=True)
    )
    down, across = (np.mgrid[0:RESOLUTION, 0:RESOLUTION] + 0.5) / RESOLUTION
    edge = np.clip((down - random.uniform(0.6, 0.8)) * RESOLUTION + 0.5, 0, 1)[..., None]
    far = np.hypot(across - random.uniform(0.25, 0.75), down - random.uniform(0.2, 0.45))
    cover = np.clip((random.uniform(0.12, 0.2) - far) * RESOLUTION + 0.5, 0, 1)[..., None]
    back = (1 - edge) * sky * (0.7 + 0.4 * down[..., None]) + edge * ground
    return (1 - cover) * back + cover * sun


def light(random, num_frames):
    """Its level `[T]`, around 0.7: a smooth curve through random levels."""
    knots = np.arange(-2, num_frames // _KNOT_FRAMES + 4) * _KNOT_FRAMES - random.uniform(0, _KNOT_FRAMES)
    curve = scipy.interpolate.CubicSpline(knots, random.randn(len(knots)))
    return 0.7 + 0.25 * np.tanh(0.7 * curve(np.arange(num_frames)))


def write_lights(path):
    """A data set of `VIDEOS` videos."""
    with DatasetWriter(str(path)) as writer:
        for video in range(VIDEOS):
            for frame, image in enumerate(light_video(video, 10_000 + video)):
                writer.write(f"{video:05d}/{frame:05d}.jpg", encode_frame(image))
        writer.write_metadata({"fps": 25, "motion_distance": MOTION_DISTANCE, "labels": None})


if __name__ == "__main__":
    write_lights(sys.argv[1])
