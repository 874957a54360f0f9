"""The demo: a small model of the built-in data, its videos, and a figure that shows how much it has learned."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.config import RunConfig, TrainOptions
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.listener import SILENT, Advance, Listener
from stylegan_v_ext.metrics.random_features import random_frame_distance
from stylegan_v_ext.runs.demo_data import demo_data
from stylegan_v_ext.runs.plan import prepare

_RESOLUTION = 32
_COLUMNS, _ROWS = 4, 2  # of the grid; as many videos are made one by one
_NUM_FRAMES, _FPS = 128, 25.0  # of the videos
_FEATURE_VIDEOS, _FEATURE_FRAMES = 64, 8  # videos that the distance is measured on, and frames of each of them
_FIRST_FEATURE_SEED = 1000  # other videos than those that are written
_DEMO_FRAMES = 64  # frames of a video of the built-in data


def demo_config(outdir: str, *, kimg: float, max_minutes: float, device: str, listener: Listener = SILENT) -> RunConfig:
    """Make the data of the demo, and decide on its run, which takes minutes on two CPU cores.

    Args:
        outdir: Folder of the data and of the run folder.
        kimg: Length of training in thousand clips.
        max_minutes: Minutes after which training stops at the latest.
        device: Device to compute on, such as "cpu".
        listener: Hears how the data are made and checked.

    Returns:
        The run.

    Raises:
        OSError: If the data cannot be written.
    """
    options = TrainOptions(
        outdir=outdir,
        cfg="stylegan-v",
        data=demo_data(outdir, resolution=_RESOLUTION, listener=listener),
        mirror=True,
        batch=8,
        cbase=512,
        cmax=64,
        latent_dim=64,
        motion_z_dim=64,
        gamma=2.0,
        dlr=0.003,
        glr=0.003,
        aug="noaug",
        kimg=kimg,
        max_hours=max_minutes / 60,
        tick=4,
        snap=3,
        workers=1,
        device=device,
    )
    config = prepare(options, given=(), listener=listener).config
    return replace(config, average=replace(config.average, kimg=1.0))  # the run is short: average its last steps


def write_videos(snapshot: Path, folder: Path, *, device: torch.device, listener: Listener = SILENT) -> Iterator[Path]:
    """Write eight videos of a snapshot, then all of them in one grid.

    Args:
        snapshot: File of the snapshot.
        folder: Where the videos go.
        device: Device to compute on.
        listener: Hears how many frames of a video are made.

    Yields:
        Each video, once it is written.

    Raises:
        FfmpegError: If ffmpeg is missing or fails.
        OSError: If a video cannot be written.
    """
    sampler = VideoSampler(load(snapshot).build_generator(), device)

    def frames(seed: int) -> Iterator[np.ndarray]:
        return sampler.frames(VideoName(seed), frame_times(_NUM_FRAMES))

    seeds = range(_COLUMNS * _ROWS)
    streams = {f"seed{seed:04d}.mp4": frames(seed) for seed in seeds}
    layout = Layout(_COLUMNS, _ROWS)
    streams["grid.mp4"] = (layout.compose(cells) for cells in zip(*map(frames, seeds), strict=True))
    for name, stream in streams.items():
        with listener.progress(name, _NUM_FRAMES) as advance:
            write_video(folder / name, _counted(stream, advance), _FPS)
        yield folder / name


def distance_to_data(config: RunConfig, snapshot: Path, *, device: torch.device) -> float:
    """Measure how far generated frames are from the data: a Frechet distance of random features, lower is better.

    Args:
        config: The run.
        snapshot: File of the snapshot.
        device: Device to compute on.

    Returns:
        The distance.
    """
    data = config.data
    dataset = SparseVideoDataset(
        data.path, xflip=data.xflip, num_frames=data.num_frames, max_dist=data.max_dist, exclude=data.exclude
    )
    sampler = VideoSampler(load(snapshot).build_generator(), device)
    times = list(frame_times(_FEATURE_FRAMES, speed=_DEMO_FRAMES // _FEATURE_FRAMES))
    real = (dataset.read_video(item)[:: _DEMO_FRAMES // _FEATURE_FRAMES] for item in range(_FEATURE_VIDEOS))
    fake = (
        np.stack(list(sampler.frames(VideoName(_FIRST_FEATURE_SEED + number), times))).transpose(0, 3, 1, 2)
        for number in range(_FEATURE_VIDEOS)
    )
    return random_frame_distance(real, fake)


def _counted(frames: Iterator[np.ndarray], advance: Advance) -> Iterator[np.ndarray]:
    for frame in frames:
        yield frame
        advance(1)
