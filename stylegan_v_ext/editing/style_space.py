"""Style space S: the outputs of the affine layers, one value a channel (StyleSpace, arXiv 2011.12799)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch

from stylegan_v_ext.networks.generator import VideoGenerator
from stylegan_v_ext.networks.layers import FullyConnectedLayer


@dataclass(frozen=True)
class StyleLayer:
    """A convolution, and where its channels are in style space.

    Attributes:
        name: Its name in the synthesis network, such as "b8.conv1".
        start: Number of its first channel among the channels of all convolutions.
        stop: Number after its last channel.
        row: Content row that it reads.
    """

    name: str
    start: int
    stop: int
    row: int


def style_layers(generator: VideoGenerator) -> list[StyleLayer]:
    """Return the convolutions of a generator from coarse to fine; their content channels make up S.

    ToRGB layers, which tint the whole picture, and the channels of motion at the 4x4 input are left out.
    """
    found: list[StyleLayer] = []
    start = row = 0
    for resolution in generator.synthesis.block_resolutions:
        for layer in ("conv0", "conv1"):
            block = generator.synthesis.get_submodule(f"b{resolution}")
            if not hasattr(block, layer):
                continue
            weight = block.get_parameter(f"{layer}.weight")
            channels = weight.shape[1] - (generator.synthesis.motion_dim if resolution == 4 else 0)
            found.append(StyleLayer(f"b{resolution}.{layer}", start, start + channels, row))
            start, row = start + channels, row + 1
    return found


@torch.no_grad()
def style_spread(generator: VideoGenerator, ws: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of every channel, `[S]`.

    Args:
        generator: A video generator.
        ws: Content rows `[N, num_ws, w_dim]` of N contents.
    """
    spreads = []
    for layer in style_layers(generator):
        styles = affine_layer(generator, layer)(ws[:, layer.row])
        spreads.append(styles[:, : layer.stop - layer.start].std(0))
    return torch.cat(spreads)


@contextmanager
def shifted_styles(generator: VideoGenerator, offsets: torch.Tensor) -> Iterator[None]:
    """Shift the styles of a generator inside the block.

    Args:
        generator: A video generator.
        offsets: What is added to the styles: `[S]`, or `[N, S]` for N clips.
    """
    handles = []
    for layer in style_layers(generator):
        part = offsets[..., layer.start : layer.stop]

        def add(module: object, inputs: object, styles: torch.Tensor, part: torch.Tensor = part) -> torch.Tensor:
            return torch.cat([styles[:, : part.shape[-1]] + part.to(styles), styles[:, part.shape[-1] :]], dim=1)

        handles.append(affine_layer(generator, layer).register_forward_hook(add))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def bake(generator: VideoGenerator, offsets: torch.Tensor) -> None:
    """Make offsets part of a generator, in place: they become biases of the affine layers.

    Args:
        generator: A video generator.
        offsets: What is added to the styles, `[S]`.
    """
    for layer in style_layers(generator):
        affine = affine_layer(generator, layer)
        bias = affine.get_parameter("bias")
        part = offsets[layer.start : layer.stop].to(bias)
        bias[: len(part)] += part / affine.bias_gain


def affine_layer(generator: VideoGenerator, layer: StyleLayer) -> FullyConnectedLayer:
    """Return the affine layer that makes the styles of a convolution."""
    return cast(FullyConnectedLayer, generator.synthesis.get_submodule(f"{layer.name}.affine"))
