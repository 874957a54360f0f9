"""Text-guided editing by global directions in style space (StyleCLIP, section 6).

What every channel of S changes for CLIP is measured once for a network and kept in a file:

    Delta i_c = E[CLIP(G(s + a sigma_c e_c)) - CLIP(G(s - a sigma_c e_c))] / 2a

over random videos and moments. The direction of a text change Delta t is then R_c = Delta i_c . Delta t for the
channels with a large R_c. An edit is a product of matrices: it takes milliseconds, for any video and all its frames.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import dnnlib
from stylegan_v_ext.editing import descent
from stylegan_v_ext.editing.style_space import shifted_styles, style_layers, style_spread
from stylegan_v_ext.editing.text_image import TextImageEncoder
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler
from stylegan_v_ext.listener import SILENT, Listener

_STEP = 5.0  # sigmas that a channel is moved to either side
_TRUNCATION = 0.7
_SPREAD_SAMPLES = 2048
_CLIPS_AT_ONCE = 64


@dataclass(frozen=True)
class Relevance:
    """What the channels of a network do.

    Attributes:
        effects: Delta i_c of each channel, `[S, D]`.
        spread: Standard deviation sigma_c of each channel, `[S]`.
    """

    effects: torch.Tensor
    spread: torch.Tensor

    def offsets(self, text: torch.Tensor, strength: float, disentangle: float) -> torch.Tensor:
        """Return offsets of styles, `[S]`, for a direction of text.

        Args:
            text: Unit vector `[D]` of `TextImageEncoder.direction`.
            strength: Sigmas that the most relevant channel moves; below 0 for the opposite of the text.
            disentangle: 0 to 1: channels below that share of the largest relevance stay. A larger share changes less
                besides what the text says.

        Raises:
            ValueError: If `disentangle` is out of range, or if no channel changes anything.
        """
        if not 0 <= disentangle <= 1:
            raise ValueError(f"disentangle {disentangle} is not between 0 and 1")
        relevance = self.effects @ text.to(self.effects)
        largest = relevance.abs().max()
        if not torch.isfinite(largest) or largest == 0:
            raise ValueError("no channel of the network changes what CLIP sees; train it first")
        share = relevance / largest
        return strength * self.spread * torch.where(share.abs() >= disentangle, share, 0)


class RelevanceMeter:
    """Measures `Relevance`, some channels at a time. It can be stopped and go on.

    Args:
        sampler: Sampler of the network.
        encoder: CLIP.
        num_images: Random videos that the mean is taken over, each at a moment of its own.
        class_index: Class of a conditional network; None for a network without classes.
    """

    def __init__(
        self, sampler: VideoSampler, encoder: TextImageEncoder, num_images: int = 16, class_index: int | None = None
    ) -> None:
        self.sampler, self.encoder = sampler, encoder
        generator, random = sampler.generator, np.random.RandomState(0)
        names = [VideoName(1_000_000 + number, number, class_index) for number in range(num_images)]
        times = torch.from_numpy(random.uniform(0, 1024, num_images))
        centre = generator.mapping.w_avg
        with torch.no_grad():
            rows = torch.cat([sampler.content(name) for name in names])
            self.contents = centre + _TRUNCATION * (rows - centre)
            vectors = [sampler.motion(name)(t[None]) for name, t in zip(names, times, strict=True)]
            self.motions = torch.cat(vectors).float().to(sampler.device)
            z = torch.from_numpy(random.randn(_SPREAD_SAMPLES, generator.z_dim)).to(sampler.device, torch.float32)
            classes = sampler.classes(class_index).expand(_SPREAD_SAMPLES, -1)
            self.spread = style_spread(generator, generator.mapping(z, classes))
        self.num_channels = style_layers(generator)[-1].stop
        self.at_once = max(_CLIPS_AT_ONCE // (2 * num_images), 1)
        self.effects: list[torch.Tensor] = []
        self.history: list[float] = []

    @property
    def num_steps_in_all(self) -> int:
        """Number of steps from the beginning to the end."""
        return -(-self.num_channels // self.at_once)

    @property
    def done(self) -> bool:
        """Whether all channels are measured."""
        return len(self.history) >= self.num_steps_in_all

    @torch.no_grad()
    def step(self) -> float:
        """Measure the next channels; return the largest change that one of them makes."""
        first = len(self.history) * self.at_once
        channels = range(first, min(first + self.at_once, self.num_channels))
        images = len(self.contents)
        offsets = torch.zeros(len(channels), 2, images, self.num_channels, device=self.sampler.device)
        for number, channel in enumerate(channels):
            offsets[number, 0, :, channel] = _STEP * self.spread[channel]
            offsets[number, 1, :, channel] = -_STEP * self.spread[channel]
        repeats = 2 * len(channels)
        with shifted_styles(self.sampler.generator, offsets.flatten(0, 2)):
            frames = self.sampler.synthesize(self.contents.repeat(repeats, 1, 1), self.motions.repeat(repeats, 1))
        seen = self.encoder.images(frames).unflatten(0, (len(channels), 2, images))
        self.effects.append(((seen[:, 0] - seen[:, 1]).mean(1) / (2 * _STEP)).cpu())
        self.history.append(float(self.effects[-1].norm(dim=1).max()))
        return self.history[-1]

    def result(self) -> Relevance:
        """Return what was measured."""
        return Relevance(torch.cat(self.effects), self.spread.cpu())

    def state_dict(self) -> dict[str, Any]:
        """Return all that going on needs, as tensors and plain values."""
        return dict(effects=self.effects, history=self.history)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.effects, self.history = list(state["effects"]), list(state["history"])


def relevance_key(sampler: VideoSampler, encoder: TextImageEncoder, num_images: int, class_index: int | None) -> str:
    """Return the SHA-256 of all that `Relevance` depends on; arguments of `RelevanceMeter`."""
    parts = dict(network=sampler.generator, clip=encoder.model, images=num_images, index=class_index, step=_STEP)
    return descent.fingerprint(parts)


def load_relevance(path: Path, key: str) -> Relevance | None:
    """Read what was measured before.

    Args:
        path: Name of the file.
        key: `relevance_key` of the network, the model and the settings.

    Returns:
        What the file holds; None if there is no such file, or if it has another key.
    """
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("key") != key:
                return None
            return Relevance(file.get_tensor("effects"), file.get_tensor("spread"))
    except (OSError, SafetensorError):
        return None


def save_relevance(relevance: Relevance, path: Path, key: str) -> None:
    """Write a file that `load_relevance` reads; arguments as there."""
    with atomic_path(path) as temporary:
        save_file({"effects": relevance.effects, "spread": relevance.spread}, temporary, {"key": key})


def measure_relevance(
    sampler: VideoSampler,
    encoder: TextImageEncoder,
    path: Path | None = None,
    num_images: int = 16,
    class_index: int | None = None,
    listener: Listener = SILENT,
) -> Relevance:
    """Read `Relevance` from a file, or measure it and write the file.

    Args:
        sampler: Sampler of the network.
        encoder: CLIP.
        path: Name of the file; None for a file in the cache that is named after all that the result depends on.
        num_images: Random videos that the mean is taken over.
        class_index: Class of a conditional network; None for a network without classes.
        listener: Hears the progress, and how to go on after a signal.

    Raises:
        StoppedBySignal: After Ctrl-C or another signal. The next call goes on.
    """
    key = relevance_key(sampler, encoder, num_images, class_index)
    if path is None:
        path = Path(dnnlib.util.make_cache_dir_path("relevance", f"{key[:32]}.safetensors"))
    found = load_relevance(path, key)
    if found is not None:
        return found
    meter = RelevanceMeter(sampler, encoder, num_images, class_index)
    state = path.with_name(path.name + ".state")
    descent.run(meter, state, key, "measuring channels", listener)
    save_relevance(meter.result(), path, key)
    state.unlink(missing_ok=True)
    return meter.result()
