"""Videos whose content and motion are apart by construction: a sun that rests and runs, and its light.

Every video has colours and sizes of its own (content) and a sun that takes its own time on its way
(motion), so that a model trained on them shows whether the tools of editing keep the two apart.

    python -m benchmarks.editing_data suns.zip
    python train.py --cfg=stylegan-v --data=suns.zip --cbase=512 --cmax=64 --latent-dim=64 --motion-z-dim=64 \
        --aug=noaug --batch=16 --gamma=0.5 --glr=0.003 --dlr=0.003 --kimg=156
"""

import colorsys
import sys

import numpy as np

from stylegan_v_ext.data.convert import encode_frame
from stylegan_v_ext.data.writer import DatasetWriter

RESOLUTION, VIDEOS, FRAMES, MOTION_DISTANCE = 32, 512, 64, 16
_RUN = 12  # frames of a run from one place to the next


def sun_video(content, motion, num_frames=FRAMES):
    """Frames uint8 `[T, H, W, 3]`. content, motion: seeds."""
    look = np.random.RandomState(content)
    hue = look.rand()
    sky, ground, sun = (
        np.array(colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value))
        for shift, saturation, value in (
            (0, 0.5, look.uniform(0.55, 0.9)),
            (0.35, 0.6, look.uniform(0.3, 0.6)),
            (0.5, 0.7, 1),
        )
    )
    radius, horizon = look.uniform(0.15, 0.22), look.uniform(0.6, 0.8)
    down, across = (np.mgrid[0:RESOLUTION, 0:RESOLUTION] + 0.5) / RESOLUTION
    edge = np.clip((down - horizon) * RESOLUTION + 0.5, 0, 1)[..., None]
    back = (1 - edge) * (sky * (0.6 + 0.5 * down[..., None])) + edge * ground
    frames = []
    for way in path(np.random.RandomState(motion), num_frames):
        far = np.hypot(across - 0.2 - 0.6 * way, down - 0.5 + 0.25 * way)
        cover = np.clip((radius - far) * RESOLUTION + 0.5, 0, 1)[..., None]
        light = 0.35 + 0.65 * way
        frames.append((np.clip((1 - cover) * back * light + cover * sun, 0, 1) * 255 + 0.5).astype(np.uint8))
    return np.stack(frames)


def path(random, num_frames):
    """How far along its way the sun is, `[T]` in 0 ... 1: smooth runs (10 s^3 - 15 s^4 + 6 s^5), and rests."""
    rests = random.randint(0, 13, 64)
    places = random.uniform(0, 1, 65)
    starts = np.cumsum(_RUN + rests) - random.randint(0, 2 * _RUN)
    found = []
    for frame in range(num_frames):
        run = np.searchsorted(starts, frame, side="right")
        s = np.clip((frame - (starts[run - 1] if run else -99)) / _RUN, 0, 1)
        found.append(places[run] + (places[run + 1] - places[run]) * (10 * s**3 - 15 * s**4 + 6 * s**5))
    return np.array(found)


def write_suns(path):
    """A data set of `VIDEOS` videos."""
    with DatasetWriter(str(path)) as writer:
        for video in range(VIDEOS):
            for frame, image in enumerate(sun_video(video, 10_000 + video)):
                writer.write(f"{video:05d}/{frame:05d}.jpg", encode_frame(image))
        writer.write_metadata({"fps": 25, "motion_distance": MOTION_DISTANCE, "labels": None})


if __name__ == "__main__":
    write_suns(sys.argv[1])
