"""Frechet video distance (arXiv 1812.01717) with the protocol of StyleGAN-V (section 4.1).

One clip of each of the first 2048 videos, from a random frame on, against 2048 generated clips that
start at t = 0. Features are the 400 logits of the I3D network of tf.hub (Kinetics-400). Covariances are
divided by N.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stylegan_v_ext import clip
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.metrics.frechet import frechet_distance

_SEED = 0  # of offsets, latents and motions: the same in every evaluation
_PIXELS_AT_ONCE = 16 * 256 * 256 * 8  # of a batch of clips
_FRAMES_AT_ONCE = 16


@dataclass(frozen=True)
class Protocol:
    """num_frames: of a clip. stride: frames of the video from one to the next. num_clips: most on either side."""

    num_frames: int
    stride: int = 1
    num_clips: int = 2048

    @property
    def span(self) -> int:
        """Frames of a video that a clip reaches over."""
        return (self.num_frames - 1) * self.stride + 1


PROTOCOLS = {
    "fvd2048_16f": Protocol(16),
    "fvd2048_128f": Protocol(128),
    "fvd2048_128f_subsample8f": Protocol(16, stride=8),
}


def check_metrics(names: Iterable[str], num_frames: int) -> None:
    """Raise `ValueError` if a distance of videos is among metrics of a model with one frame a clip."""
    for name in names:
        if name in PROTOCOLS and num_frames == 1:
            raise ValueError(f"--metrics={name}: the model makes images, not videos; use fid50k_full with --host")


class FeatureStats:
    """Sums over features `[N, D]`, from which mean and covariance follow; several can be added up. In float64."""

    def __init__(self) -> None:
        self.count = 0
        self.total: torch.Tensor | None = None
        self.outer: torch.Tensor | None = None

    def add(self, features: torch.Tensor) -> None:
        features = features.detach().to("cpu", torch.float64)
        if self.total is None or self.outer is None:
            self.total = features.new_zeros([features.shape[1]])
            self.outer = features.new_zeros([features.shape[1]] * 2)
        self.count += len(features)
        self.total += features.sum(0)
        self.outer += features.mT @ features

    def gather(self, device: torch.device) -> None:
        """Add up the sums of all processes; each must have added something."""
        assert self.total is not None and self.outer is not None
        sums = torch.cat([self.total.new_tensor([self.count]), self.total, self.outer.flatten()]).to(device)
        torch.distributed.all_reduce(sums)
        size = len(self.total)
        self.count = int(sums[0])
        self.total, self.outer = sums[1 : 1 + size].cpu(), sums[1 + size :].reshape(size, size).cpu()

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        assert self.total is not None and self.outer is not None
        mean = self.total / self.count
        return mean.numpy(), (self.outer / self.count - mean[:, None] * mean).numpy()


def compute_fvd(
    protocol: Protocol,
    G: torch.nn.Module,
    dataset_kwargs: dict[str, Any],
    detector: Callable[..., torch.Tensor],
    device: torch.device,
    rank: int = 0,
    num_processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> float:
    """The distance of a video generator to a data set; processes share the clips and all get the result.

    dataset_kwargs: of `SparseVideoDataset`, whose `xflip` counts as more videos. detector: called as tf.hub's
    I3D in TorchScript, `detector(uint8 [N, 3, T, H, W], rescale=True, resize=True, return_features=True)`.
    progress: called with (clips done, clips in total), both of this process. Raises `ValueError` where
    too few videos are long enough.
    """
    dataset = SparseVideoDataset(**{key: value for key, value in dataset_kwargs.items() if key != "class_name"})
    long_enough = [i for i in range(len(dataset)) if dataset.get_details(i).num_frames >= protocol.span]
    chosen = long_enough[: protocol.num_clips]
    needed = max(num_processes, 2)
    if len(chosen) < needed:
        raise ValueError(
            f"{len(chosen)} of the {len(dataset)} videos in {dataset.path} have the {protocol.span} frames that a "
            f"clip takes, {needed} are needed; use a metric of fewer frames"
        )
    if rank == 0 and len(long_enough) < len(dataset):
        print(f"{len(dataset) - len(long_enough)} of {len(dataset)} videos are shorter than {protocol.span} frames")

    offsets = np.random.RandomState(_SEED)
    starts = {i: offsets.randint(dataset.get_details(i).num_frames - protocol.span + 1) for i in chosen}
    shares = chosen[rank::num_processes], range(rank, protocol.num_clips, num_processes)
    batch = max(_PIXELS_AT_ONCE // (protocol.num_frames * dataset.resolution**2), 1)
    total, done = len(shares[0]) + len(shares[1]), 0
    real, fake = FeatureStats(), FeatureStats()
    G = G.eval()
    for stats, clips in (
        (real, _real_clips(dataset, protocol, shares[0], starts)),
        (fake, _fake_clips(G, dataset, protocol, shares[1], device)),
    ):
        for videos in _batched(clips, batch):
            with torch.inference_mode():
                features = detector(videos.to(device), rescale=True, resize=True, return_features=True)
            stats.add(features)
            done += len(videos)
            progress(done, total)
        if num_processes > 1:
            stats.gather(device)
    return frechet_distance(*real.mean_and_covariance(), *fake.mean_and_covariance())


def _real_clips(
    dataset: SparseVideoDataset, protocol: Protocol, items: list[int], starts: dict[int, int]
) -> Iterator[torch.Tensor]:
    """Clips uint8 `[3, T, H, W]`."""
    for item in items:
        frames = dataset.read_video(item, starts[item], protocol.span, protocol.stride)
        yield torch.from_numpy(np.ascontiguousarray(frames.transpose(1, 0, 2, 3)))


def _fake_clips(
    G: Any, dataset: SparseVideoDataset, protocol: Protocol, numbers: range, device: torch.device
) -> Iterator[torch.Tensor]:
    """Clips uint8 `[3, T, H, W]` from t = 0; a clip is a function of its number alone."""
    times = torch.arange(protocol.num_frames, dtype=torch.float64) * protocol.stride
    classes = torch.zeros([1, dataset.num_classes], device=device)
    for number in numbers:
        random = np.random.RandomState(_SEED + number)
        z = torch.from_numpy(random.randn(1, G.z_dim)).to(device, torch.float32)
        if dataset.num_classes:
            label = dataset.get_details(random.randint(len(dataset))).raw_label
            classes = torch.from_numpy(label)[None].to(device)
        parts = []
        with torch.inference_mode():
            ws = G.mapping(z, classes, t=times[None])
            content, motion = ws[:, : G.num_ws], ws[:, G.num_ws :]
            for rows in motion.split(_FRAMES_AT_ONCE, dim=1):
                strip = G.synthesis(torch.cat([content, rows], dim=1), noise_mode="const")
                frames = clip.unpack_strip(strip)[0]
                parts.append((frames * 127.5 + 128).clamp(0, 255).to(torch.uint8))
        yield torch.cat(parts).transpose(0, 1)


def _batched(clips: Iterator[torch.Tensor], size: int) -> Iterator[torch.Tensor]:
    batch: list[torch.Tensor] = []
    for video in clips:
        batch.append(video)
        if len(batch) == size:
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)
