"""A network of a checkpoint, with the data set that it was trained on."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from stylegan_v_ext.checkpoints import Checkpoint, advice, load
from stylegan_v_ext.classes import VIDEO_DATASET, check
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.recorded import is_here, recorded_path
from stylegan_v_ext.data.remote import absolute

if TYPE_CHECKING:
    from stylegan_v_ext.networks.generator import VideoGenerator


@dataclass(frozen=True)
class TrainedNetwork:
    """A network to measure.

    Attributes:
        path: Its file.
        generator: The network on its device, in eval mode.
        dataset_kwargs: Keyword arguments of the data set to compare with, and its class name.
    """

    path: Path
    generator: "VideoGenerator"
    dataset_kwargs: dict[str, Any]


def open_trained_network(
    path: str,
    device: torch.device,
    *,
    data: str | None = None,
    mirror: bool | None = None,
    trust_pickle: bool = False,
    allow_nan: bool = False,
) -> TrainedNetwork:
    """Open a network to measure.

    Args:
        path: Checkpoint or run folder.
        device: Where the network computes.
        data: Data set to compare with; None takes the data set that it was trained on.
        mirror: Whether mirror images of the real videos count as more videos; None does as training did.
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the file.
        allow_nan: Whether to take a network with NaN or infinite weights.

    Returns:
        The network and what to compare it with.

    Raises:
        CheckpointError: If the network cannot be read.
        ValueError: If it cannot be measured, or if its data set is unknown or not on this machine.
    """
    checkpoint = load(path, trust_pickle=trust_pickle, allow_nan=allow_nan)
    reason = advice.why_no_metrics(checkpoint.path, checkpoint.network(checkpoint.generator_key))
    if reason:
        raise ValueError(reason)
    generator = checkpoint.build_generator()
    kwargs = _dataset_kwargs(checkpoint, generator, data, mirror=mirror)
    return TrainedNetwork(checkpoint.path, generator.eval().requires_grad_(requires_grad=False).to(device), kwargs)


def _dataset_kwargs(
    checkpoint: Checkpoint, generator: "VideoGenerator", data: str | None, *, mirror: bool | None
) -> dict[str, Any]:
    """Return the arguments of the data set to compare with, as the file records them."""
    recorded = dict(checkpoint.training_set_kwargs)
    if data is not None:
        recorded = {"path": absolute(data), "xflip": recorded.get("xflip", False)}
    else:
        _check_recorded(checkpoint.path, recorded)
    known = inspect.signature(SparseVideoDataset).parameters
    kwargs = {key: value for key, value in recorded.items() if key in known}
    kwargs |= {"num_frames": generator.num_frames, "num_classes": generator.num_classes}
    kwargs |= {"class_name": VIDEO_DATASET, "resolution": generator.img_resolution}
    if mirror is not None:
        kwargs["xflip"] = mirror
    try:
        check("data set", kwargs)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}; name its data set with --data") from None
    return kwargs


def _check_recorded(checkpoint: Path, recorded: dict[str, Any]) -> None:
    """Raise `ValueError` unless a checkpoint names a video data set on this machine."""
    path = recorded_path(checkpoint, recorded.get("path"))
    if recorded.get("class_name") != VIDEO_DATASET or not is_here(path):
        raise ValueError(f"{checkpoint} names no data set that is here; name one with --data")
