"""Videos that are computed: a time-lapse of the sky with drifting clouds, changing light and hills.

They show whether a model learns colour, texture and motion, and are made in seconds. So the demo and the tests need no
download.
"""

from collections.abc import Callable, Iterator

import numpy as np

from stylegan_v_ext.data.convert import encode_frame
from stylegan_v_ext.data.writer import DatasetWriter

FPS = 25
MOTION_DISTANCE = 32  # recommended frames between motion anchors; clouds move more slowly than faces
_TEXTURE = 128  # side of the periodic texture of the clouds in pixels
# Colours of zenith, horizon, lit clouds and shaded clouds, RGB from 0 to 1, at dawn and by day.
_DAWN = np.array([[0.16, 0.16, 0.38], [0.98, 0.52, 0.32], [1.00, 0.72, 0.58], [0.42, 0.28, 0.42]])
_DAY = np.array([[0.14, 0.38, 0.82], [0.66, 0.82, 0.96], [1.00, 1.00, 1.00], [0.62, 0.68, 0.78]])


def sky_video(seed: int, num_frames: int, resolution: int) -> Iterator[np.ndarray]:
    """Yield the frames of a video of the sky.

    Args:
        seed: Seed of the scene; at another resolution it gives the same scene.
        num_frames: Number of frames.
        resolution: Side of the frames in pixels.

    Yields:
        RGB pixels, uint8 `[resolution, resolution, 3]`.
    """
    rng = np.random.RandomState(seed)
    spectrum, turning = _cloud_spectrum(rng)
    wind = rng.uniform(0.25, 0.6) * rng.choice([-1, 1]), rng.uniform(0.1, 0.35)  # pixels of the texture a frame
    cover = rng.uniform(-0.35, 0.35)
    dawn = rng.uniform(0, 2 * np.pi)  # phase of the light in radians
    pace = 2 * np.pi / rng.uniform(300, 600)  # its speed in radians a frame
    hills = _hills(rng, resolution)

    down, across = (np.mgrid[0:resolution, 0:resolution] + 0.5) / resolution
    depth = 1 / (1.12 - down)  # distance to the cloud layer grows towards the horizon
    frequencies = np.fft.fftfreq(_TEXTURE) * 2 * np.pi
    for frame in range(num_frames):
        drift = np.exp(1j * frame * (wind[1] * frequencies[:, None] + wind[0] * frequencies[None, :] + turning))
        texture = np.fft.ifft2(spectrum * drift).real
        texture /= texture.std()
        rows, columns = 26 * depth, 26 * (across - 0.5) * depth
        density = _smoothstep(cover - 0.3, cover + 1.1, _bilinear(texture, rows, columns))
        thick = _smoothstep(0.35, 1.0, density)
        light = 0.5 + 0.5 * np.sin(dawn + pace * frame)
        yield _shade(density, thick, light, down, hills)


def _cloud_spectrum(rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Return (spectrum of a periodic texture with amplitudes 1/f^1.8, speed of each wave in radians a frame)."""
    frequencies = np.fft.fftfreq(_TEXTURE) * _TEXTURE
    radius = np.hypot(frequencies[:, None], frequencies[None, :])
    amplitude = np.where(radius > 0, np.maximum(radius, 2.0) ** -1.8, 0)
    turning = rng.normal(0, 0.012, radius.shape) * np.sqrt(radius)
    return amplitude * np.exp(2j * np.pi * rng.rand(*radius.shape)), turning


def _hills(rng: np.random.RandomState, resolution: int) -> np.ndarray:
    """Return the height of the hills in every column, as a share of the picture."""
    x = (np.arange(resolution) + 0.5) / resolution
    waves = [rng.normal(0, 0.5 / k) * np.sin(2 * np.pi * (k * x * 0.8 + rng.rand())) for k in range(1, 7)]
    return 0.10 + 0.045 * np.sum(waves, axis=0)


def _shade(density: np.ndarray, thick: np.ndarray, light: float, down: np.ndarray, hills: np.ndarray) -> np.ndarray:
    """Paint sky, clouds and hills; return uint8 `[H, W, 3]`."""
    zenith, horizon, bright, shade = (1 - light) * _DAWN + light * _DAY
    height = down[..., None] ** 1.3
    sky = (1 - height) * zenith + height * horizon
    cloud = (1 - thick[..., None]) * bright + thick[..., None] * shade
    opacity = (density * (1.05 - 0.6 * down**4))[..., None]
    image = (1 - opacity) * sky + opacity * cloud
    edge = np.clip((down - (1 - hills)) * down.shape[0] + 0.5, 0, 1)[..., None]
    ground = np.array([0.05, 0.07, 0.06]) + 0.10 * light * np.array([0.6, 1.0, 0.5])
    image = (1 - edge) * image + edge * ground
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    x = np.clip((x - low) / (high - low), 0, 1)
    return x * x * (3 - 2 * x)


def _bilinear(texture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate a periodic texture between its pixels."""
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    y, x = rows - top, columns - left
    size = texture.shape[0]

    def at(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return texture[row % size, column % size]

    upper = (1 - x) * at(top, left) + x * at(top, left + 1)
    lower = (1 - x) * at(top + 1, left) + x * at(top + 1, left + 1)
    return (1 - y) * upper + y * lower


def write_demo_dataset(
    dest: str,
    resolution: int = 64,
    num_videos: int = 96,
    num_frames: int = 64,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write a data set of videos of the sky.

    Args:
        dest: Name of a `.zip` or of a folder, which must not exist.
        resolution: Side of the frames in pixels.
        num_videos: Number of videos.
        num_frames: Number of frames of each video.
        seed: Seed of all scenes.
        progress: Called after each video with the number of videos so far.

    Raises:
        DataError: If `dest` exists or cannot be written.
    """
    with DatasetWriter(dest) as writer:
        for video in range(num_videos):
            for frame, image in enumerate(sky_video(seed * 100_003 + video, num_frames, resolution)):
                writer.write(f"{video:05d}/{frame:05d}.jpg", encode_frame(image))
            if progress is not None:
                progress(video + 1)
        writer.write_metadata({"fps": FPS, "motion_distance": MOTION_DISTANCE, "labels": None})
