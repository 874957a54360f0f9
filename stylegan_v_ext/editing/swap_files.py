"""Layer swapping from file to file: which layers are meant, the new snapshot, a preview beside it."""

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch

from stylegan_v_ext.arguments import check_type, path_of
from stylegan_v_ext.checkpoints import exports, load
from stylegan_v_ext.checkpoints.checkpoint import Checkpoint
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.editing.layer_range import LayerRange, coarse_layers, fine_layers
from stylegan_v_ext.editing.layer_swap import ImageSource, LayerMismatch, SwapResult, blend_networks
from stylegan_v_ext.editing.requests import SwapRequest
from stylegan_v_ext.execution import execution
from stylegan_v_ext.generate.layout import resized, tile
from stylegan_v_ext.generate.request import RequestError
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, check_class, frame_times
from stylegan_v_ext.generate.video import Video
from stylegan_v_ext.listener import SILENT, Listener
from stylegan_v_ext.networks.generator import VideoGenerator

_PREVIEW_FRAMES = 64
_Value = TypeVar("_Value")


@execution(tf32=False)  # numbers of 32 bits stay numbers of 32 bits on GPUs
def swap_layers(
    video: str | Path,
    images: Sequence[str | Path],
    *,
    request: SwapRequest,
    output: str | Path = "swapped.pkl",
    device: str = "auto",
    trust_pickle: bool = False,
    allow_nan: bool = False,
    listener: Listener = SILENT,
) -> SwapResult:
    """Put layers of fine-tuned StyleGAN2 image models into a video generator (arXiv 2010.05334).

        swap_layers("sky.pkl", ["painting.pkl"], request=SwapRequest(splits=["32"]), output="painted_sky.pkl")

    Content seeds and motion of the video model stay. `layer_swap.blend_networks` does the same in memory.

    Args:
        video: Video generator: a file of any known format, a run folder or a URL.
        images: StyleGAN2 image generators, likewise.
        request: Which layers, and how.
        output: The new snapshot, which must not exist; the preview gets its name and .mp4.
        device: Where the preview is made: "auto", "cuda", "cuda:1", "cpu" or "mps".
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the files.
        allow_nan: Whether to use networks with NaN or infinite weights.
        listener: Hears messages and progress.

    Returns:
        The new network, and a report about its layers.

    Raises:
        RequestError: If the number of splits, takes or widths is neither 1 nor the number of image models.
        ValueError: If a file cannot be read, if the output exists, or if the models cannot be mixed.
        LayerMismatch: If layers do not fit; it names them.
        OSError: If a file cannot be written.
    """
    check_type("request", request, SwapRequest)
    if isinstance(images, str | Path):
        raise RequestError(f"images={str(images)!r} is one path; give a list of paths, such as [{str(images)!r}]")
    path = path_of("output", output)
    movie = path.with_suffix(".mp4")
    _refuse_existing([path, movie] if request.preview else [path])
    shares = _shares(request, len(images))
    opened = functools.partial(load, trust_pickle=trust_pickle, allow_nan=allow_nan)
    checkpoint = opened(video)
    base = _generator(checkpoint)
    sources: list[ImageSource] = []
    for found, (split, take, width) in zip(map(opened, images), shares, strict=True):
        network = _generator(found)
        layers = layer_range(split, take, width, base.kwargs["img_resolution"])
        label = f"image {len(sources) + 1}" if len(images) > 1 else "the image model"
        sources.append(ImageSource(label, network, layers))
        listener.say(f"{label}: {found.path} ({found.format}), layers {layers.low} to {layers.high} px")
    result = _blended(base, sources, request, listener)
    if request.preview:  # before writing anything: it shows whether the result works
        models = [base, *(source.network for source in sources), result.network]
        _write_preview(movie, models, request, pick_device(device), listener)
    _write_snapshot(path, result, checkpoint)
    listener.say(str(path))
    return result


def _refuse_existing(paths: Sequence[Path]) -> None:
    """Raise `ValueError` for the first path that exists."""
    for path in paths:
        if path.exists():
            raise ValueError(f"{path} exists already; name another file or delete it first")


def _shares(request: SwapRequest, count: int) -> list[tuple[str, str, float]]:
    """Return (split, take, width) for each image model."""
    splits = _one_each("--split", request.splits, count)
    takes = _one_each("--take", request.takes, count)
    widths = _one_each("--blend-width", request.widths, count)
    return list(zip(splits, takes, widths, strict=True))


def _generator(checkpoint: Checkpoint) -> NetworkData:
    data = checkpoint.network(checkpoint.generator_key)
    data.build()  # says in one line what does not fit together
    return data


def _one_each(option: str, values: Sequence[_Value], count: int) -> list[_Value]:
    """Return as many values as there are image models."""
    if len(values) not in (1, count):
        raise RequestError(f"{len(values)} times {option} for {count} times --image; give it once, or {count} times")
    return [values[0]] * count if len(values) == 1 else list(values)


def layer_range(split: str, take: str, width: float, resolution: int) -> LayerRange:
    """Return the layers that a split stands for.

    Args:
        split: A resolution such as "32", or a range such as "8-16".
        take: "fine" or "coarse", for a resolution.
        width: Width of a gradual change, in layer positions.
        resolution: Resolution of the video model.

    Raises:
        ValueError: If the split is of another form, or if there are no such layers.
    """
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", split)
    if match is None:
        raise RequestError(f"--split={split} is neither a resolution such as 32 nor a range such as 8-16")
    if match[2]:
        return LayerRange(int(match[1]), int(match[2]), width)
    return fine_layers(int(match[1]), resolution, width) if take == "fine" else coarse_layers(int(match[1]), width)


def _blended(base: NetworkData, sources: Sequence[ImageSource], request: SwapRequest, listener: Listener) -> SwapResult:
    try:
        result = blend_networks(base, sources, mapping=request.mapping, noise=request.noise)
    except LayerMismatch as mismatch:
        for line in mismatch.misfits:
            listener.note(f"  {line}")
        raise
    for line in result.table([source.name for source in sources]).split("\n"):
        listener.say(line)
    for warning in result.warnings:
        listener.note(f"Note: {warning}")
    return result


def _write_snapshot(path: Path, result: SwapResult, checkpoint: Checkpoint) -> None:
    networks = {"G_ema": result.network}
    discriminator, _ = checkpoint.discriminator()
    if discriminator is not None:
        networks["D"] = discriminator
    exports.export_snapshot(path, networks, checkpoint.training_set_kwargs)


def _write_preview(
    target: Path, models: Sequence[NetworkData], request: SwapRequest, device: torch.device, listener: Listener
) -> None:
    """Write a grid: a column for each model, a row for each seed."""
    for data in [data for data in models if data.num_classes] or models[:1]:
        name = "an image model" if data.is_image_model else "the video model"
        check_class(name, data.num_classes, request.class_index)
    samplers = [VideoSampler(cast(VideoGenerator, data.build()), device) for data in models]

    def cells() -> Iterator[Iterator[np.ndarray]]:
        for seed in request.seeds:
            for sampler, data in zip(samplers, models, strict=True):
                name = VideoName(seed, None, request.class_index if data.num_classes else None)
                if data.is_image_model:
                    yield itertools.repeat(sampler.image(name))
                else:
                    yield sampler.frames(name, frame_times(_PREVIEW_FRAMES))

    def frames() -> Iterator[np.ndarray]:
        size = max(sampler.generator.img_resolution for sampler in samplers)
        streams = list(cells())
        for _ in range(_PREVIEW_FRAMES):
            yield tile([resized(next(stream), size) for stream in streams], len(models))

    with listener.progress(target.name, _PREVIEW_FRAMES) as advance:
        Video(frames, _PREVIEW_FRAMES).write(target, progress=advance)
    listener.say(str(target))
