"""Opening a checkpoint as a video generator: one door for commands and for programs."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from stylegan_v_ext.checkpoints.advice import why_no_videos
from stylegan_v_ext.checkpoints.checkpoint import load as load_checkpoint
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.generate.sampler import VideoSampler
from stylegan_v_ext.listener import SILENT, Listener
from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.text import printable

_MOST_NOTES = 100  # a file may hold any number of them


@dataclass(frozen=True)
class OpenedNetwork:
    """A video generator that was read from a checkpoint, and what the file says besides.

    Attributes:
        path: The file that was read; if a run folder or a URL was given, the snapshot that stands for it.
        data: The generator as data. Its `notes` say what had to be decided to read it.
        training_set_kwargs: Arguments of the data set that the network was trained on; {} if the file does not say.
    """

    path: Path
    data: NetworkData
    training_set_kwargs: dict[str, Any]

    def build(self) -> VideoGenerator:
        """Build the generator, on the CPU and in eval mode."""
        return cast(VideoGenerator, self.data.build())

    def sampler(self, device: torch.device) -> VideoSampler:
        """Build the generator, and a sampler that makes videos with it on a device."""
        return VideoSampler(self.build(), device)


def open_network(
    path: str | Path, *, trust_pickle: bool = False, allow_nan: bool = False, listener: Listener = SILENT
) -> OpenedNetwork:
    """Read the video generator of a checkpoint.

    Args:
        path: A file of any known format, a run folder, or a URL.
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the file.
        allow_nan: Whether to use a network with NaN or infinite weights.
        listener: Hears what had to be decided to read the network.

    Returns:
        The generator as data, and its file.

    Raises:
        ValueError: If the file cannot be read, or if it holds no video generator.
        OSError: If the file cannot be opened.
    """
    checkpoint = load_checkpoint(path, trust_pickle=trust_pickle, allow_nan=allow_nan)
    data = checkpoint.network(checkpoint.generator_key)
    reason = why_no_videos(checkpoint.path, data)
    if reason:
        raise ValueError(reason)
    for note in data.notes[:_MOST_NOTES]:
        listener.note(f"Note: {note}")
    return OpenedNetwork(checkpoint.path, data, checkpoint.training_set_kwargs)


def load(
    path: str | Path, *, device: str | torch.device = "auto", trust_pickle: bool = False, allow_nan: bool = False
) -> VideoSampler:
    """Open a checkpoint as a video generator. Nothing in the file is executed, unless `trust_pickle` says so.

        sampler = stylegan_v_ext.load("network-snapshot-000048.pkl")
        sampler.video(seed=3, frames=100).write("video.mp4")

    Args:
        path: A file of any known format, a run folder (its best snapshot by `fvd2048_16f`, or its last), or a URL.
        device: "auto", "cuda", "cuda:1", "cpu", "mps" or a device; "auto" takes CUDA, then MPS, then the CPU.
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the file.
        allow_nan: Whether to use a network with NaN or infinite weights.

    Returns:
        The averaged generator, in a sampler that makes videos with it.

    Raises:
        ValueError: If the file cannot be read, if it holds no video generator (an image model, say), or if the device
            is not available.
        OSError: If the file cannot be opened.

    Warns:
        UserWarning: If something had to be decided to read the network.
    """
    chosen = pick_device(device)
    opened = open_network(path, trust_pickle=trust_pickle, allow_nan=allow_nan)
    for note in opened.data.notes[:_MOST_NOTES]:
        warnings.warn(printable(note), stacklevel=2)
    return opened.sampler(chosen)
