"""Style space S: the outputs of the affine layers, one value a channel (StyleSpace, arXiv 2011.12799)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from stylegan_v_ext.networks.generator import VideoGenerator


@dataclass(frozen=True)
class StyleLayer:
    """A convolution, and where its channels stand among all.

    Attributes:
        name: In the synthesis network.
    """

    name: str
    start: int
    stop: int
    row: int


def style_layers(generator: VideoGenerator) -> list[StyleLayer]:
    """Convolutions from coarse to fine; their content channels make up S.

    ToRGB layers, which tint the whole picture, and the channels of motion at the 4x4 input are left out.
    """
    found: list[StyleLayer] = []
    start = row = 0
    for resolution in generator.synthesis.block_resolutions:
        for layer in ("conv0", "conv1"):
            convolution = getattr(getattr(generator.synthesis, f"b{resolution}"), layer, None)
            if convolution is None:
                continue
            channels = convolution.weight.shape[1] - (generator.synthesis.motion_dim if resolution == 4 else 0)
            found.append(StyleLayer(f"b{resolution}.{layer}", start, start + channels, row))
            start, row = start + channels, row + 1
    return found


@torch.no_grad()
def style_spread(generator: VideoGenerator, ws: torch.Tensor) -> torch.Tensor:
    """Standard deviation of every channel `[S]` over contents ws `[N, num_ws, w_dim]`."""
    spreads = []
    for layer in style_layers(generator):
        styles = _affine(generator, layer)(ws[:, layer.row])
        spreads.append(styles[:, : layer.stop - layer.start].std(0))
    return torch.cat(spreads)


@contextmanager
def shifted_styles(generator: VideoGenerator, offsets: torch.Tensor) -> Iterator[None]:
    """Within the block the styles are those of w plus offsets `[S]`, or `[N, S]` for N clips."""
    handles = []
    for layer in style_layers(generator):
        part = offsets[..., layer.start : layer.stop]

        def add(module: Any, inputs: Any, styles: torch.Tensor, part: torch.Tensor = part) -> torch.Tensor:
            return torch.cat([styles[:, : part.shape[-1]] + part.to(styles), styles[:, part.shape[-1] :]], dim=1)

        handles.append(_affine(generator, layer).register_forward_hook(add))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def bake(generator: VideoGenerator, offsets: torch.Tensor) -> None:
    """Make offsets `[S]` part of a generator, in place: they are biases of the affine layers."""
    for layer in style_layers(generator):
        affine = _affine(generator, layer)
        part = offsets[layer.start : layer.stop].to(affine.bias)
        affine.bias[: len(part)] += part / affine.bias_gain


def _affine(generator: VideoGenerator, layer: StyleLayer) -> Any:
    block, name = layer.name.split(".")
    return getattr(getattr(generator.synthesis, block), name).affine
