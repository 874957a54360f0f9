"""rosinality's stylegan2-pytorch: `.pt` files with `g_ema`, `g`, `d` as plain state dicts."""

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F

from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.importers import stylegan2
from stylegan_v_ext.checkpoints.importers.stylegan2 import State
from stylegan_v_ext.checkpoints.network import NetworkData, count_layers
from stylegan_v_ext.checkpoints.tensors import StoredTensor, load_all
from stylegan_v_ext.checkpoints.values import brief
from stylegan_v_ext.networks.layers import normalize_2nd_moment

_NUM_AVERAGE = 1 << 14
_MAX_AVERAGED_WIDTH = 1024  # widest layer that the average is computed through; 512 is usual
_MAX_AVERAGED_WEIGHTS = 1 << 22  # weights of these layers together; 8 layers of 512 have 2^21
_MAX_NAME = 300  # characters
_LARGEST = 1024  # pixels; its generators are not larger
_LAYER_PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "conv.blur.kernel": None,
    "activate.bias": "bias",
    "noise.weight": "noise_strength",
    "bias": "bias",
    "upsample.kernel": None,
}


def read_generator(state: Mapping[str, object], latent_avg: StoredTensor | torch.Tensor | None = None) -> NetworkData:
    """Read a generator as a `VideoGenerator` of one frame.

    Args:
        state: Tensors by name, in memory or in the file.
        latent_avg: The average w; None computes it, which the notes then say.

    Returns:
        The generator as data.

    Raises:
        CheckpointError: If a name or a shape is not one of rosinality's StyleGAN2.
    """
    ours: State = {}
    for name, tensor in load_all(state).items():
        target = _generator_name(name)
        if target is None:
            continue
        if target.endswith((".conv0.weight", ".conv1.weight", ".torgb.weight")):
            tensor = tensor[0]  # [1, O, I, k, k]
        elif target.endswith("noise_const"):
            tensor = tensor[0, 0]
        elif target.endswith(("const", "noise_strength")):
            tensor = tensor[0]
        elif target.endswith("torgb.bias"):
            tensor = tensor.flatten()
        ours[target] = tensor
    notes: list[str] = []
    for name in [name for name in ours if name.endswith("noise_strength")]:
        constant = name.replace("noise_strength", "noise_const")
        if constant not in ours:
            resolution = int(re.search(r"\.b(\d+)\.", name)[1])  # type: ignore[index]  # up to _LARGEST
            ours[constant] = torch.randn([resolution, resolution], generator=torch.Generator().manual_seed(resolution))
            notes.append(f"the file has no {constant}; drawn from a fixed seed")
    stylegan2.add_filters(ours, "synthesis.")
    average = load_all({"w": latent_avg}).get("w")
    if average is None:
        ours["mapping.w_avg"] = _average_w(ours)
        notes.append(f"the file has no average w; taken over {_NUM_AVERAGE} latents")
    else:
        ours["mapping.w_avg"] = _one_average(average.float(), ours["synthesis.b4.conv1.affine.weight"].shape[1], notes)
    data = stylegan2.read_generator(ours)
    data.notes = notes
    return data


def _one_average(latent_avg: torch.Tensor, w_dim: int, notes: list[str]) -> torch.Tensor:
    """Return one average w `[w_dim]` for all layers.

    Args:
        latent_avg: One average w, or one for each layer, `[..., num_layers, w_dim]`.
        w_dim: Size of w.
        notes: Gets a line if the layers have different averages.
    """
    if latent_avg.ndim == 0 or latent_avg.shape[-1] != w_dim or latent_avg.numel() == 0:
        raise CheckpointError(f"an average w of shape {list(latent_avg.shape)}, expected {w_dim} values")
    rows = latent_avg.reshape(-1, w_dim)
    mean = rows.mean(0)
    distance, size = float((rows - mean).norm(dim=1).max()), float(mean.norm())
    if distance <= 1e-5 * max(size, 1e-12):
        return rows[0].clone()
    notes.append(
        f"the file has an average w for each of {len(rows)} layers, up to {distance:.3g} from their mean, which is "
        f"used for all (its length is {size:.3g}): truncation goes towards another picture than there"
    )
    return mean


def _average_w(state: State) -> torch.Tensor:
    """Compute the mean output of the mapping network: learning rate multiplier 0.01, leaky ReLU with gain."""
    num_layers = count_layers(state, "mapping.fc")
    weights = [state[f"mapping.fc{i}.weight"] for i in range(num_layers)]
    widest = max((side for weight in weights for side in weight.shape), default=0)
    if widest > _MAX_AVERAGED_WIDTH or sum(weight.numel() for weight in weights) > _MAX_AVERAGED_WEIGHTS:
        raise CheckpointError(
            f"no average w in the file, and a mapping network of {num_layers} layers, up to {widest} wide, which is "
            f"too large to take it; {_MAX_AVERAGED_WIDTH} wide is the most"
        )
    x = torch.randn([_NUM_AVERAGE, state["mapping.fc0.weight"].shape[1]], generator=torch.Generator().manual_seed(0))
    x = normalize_2nd_moment(x)
    for i in range(num_layers):
        weight, bias = state[f"mapping.fc{i}.weight"], state[f"mapping.fc{i}.bias"]
        x = F.linear(x, weight.to(x) * (0.01 / math.sqrt(weight.shape[1])), bias.to(x) * 0.01)
        x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    return x.mean(0)


def _generator_name(name: str) -> str | None:
    """Return our name of a tensor; None if it is not needed. Raises `CheckpointError` for a name of another model."""
    if len(name) > _MAX_NAME:
        raise CheckpointError(f"{brief(name)} is not part of rosinality's StyleGAN2")
    if match := re.fullmatch(r"style\.(\d{1,2})\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"
    if name == "input.input":
        return "synthesis.b4.const"
    if match := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        return f"synthesis.{_layer(int(match[1]))}.noise_const"
    if match := re.fullmatch(r"(conv1|convs\.(\d{1,2})|to_rgb1|to_rgbs\.(\d{1,2}))\.(.+)", name):
        part = _LAYER_PARTS.get(match[4], "")
        if part is None:
            return None
        if part:
            if match[1].startswith("to_rgb"):
                return f"synthesis.b{_resolution(int(match[3]) + 1 if match[3] else 0)}.torgb.{part}"
            return f"synthesis.{_layer(int(match[2]) + 1 if match[2] else 0)}.{part}"
    raise CheckpointError(
        f"{brief(name)} is not part of rosinality's StyleGAN2: another generator under its names, which is not read; "
        "make pictures with its own code"
    )


def _layer(index: int) -> str:
    """Return the name of a convolution by its number, in the order of computation."""
    if index == 0:
        return "b4.conv1"
    return f"b{_resolution((index + 1) // 2)}.conv{(index - 1) % 2}"


def _resolution(octave: int) -> int:
    """Return the pixels of a block that is some octaves above 4. Raises `CheckpointError` above the largest size."""
    if 4 << min(octave, 16) > _LARGEST:
        raise CheckpointError(f"a layer {octave} octaves above 4 pixels; {_LARGEST} pixels are the most")
    return 4 << octave


def read_discriminator(state: Mapping[str, object]) -> NetworkData:
    """Read a discriminator as a `TimeConditionedDiscriminator` of one frame.

    Args:
        state: Tensors by name, in memory or in the file.

    Returns:
        The discriminator as data.

    Raises:
        CheckpointError: If a name or a shape is not one of rosinality's StyleGAN2.
    """
    blocks = {int(m[1]) for name in state if (m := re.match(r"convs\.(\d{1,2})\.conv1\.", name))}
    ours: State = {}
    for name, tensor in load_all(state).items():
        target = _discriminator_name(name, len(blocks))
        if target is not None:
            ours[target] = tensor
    stylegan2.add_filters(ours, "")
    return stylegan2.read_discriminator(ours)


_D_BLOCK_PARTS = {
    "conv1.0.weight": "conv0.weight",
    "conv1.1.bias": "conv0.bias",
    "conv2.0.kernel": None,
    "conv2.1.weight": "conv1.weight",
    "conv2.2.bias": "conv1.bias",
    "skip.0.kernel": None,
    "skip.1.weight": "skip.weight",
}
_D_END = {
    "final_conv.0.weight": "b4.conv.weight",
    "final_conv.1.bias": "b4.conv.bias",
    "final_linear.0.weight": "b4.fc.weight",
    "final_linear.0.bias": "b4.fc.bias",
    "final_linear.1.weight": "b4.out.weight",
    "final_linear.1.bias": "b4.out.bias",
}


def _discriminator_name(name: str, num_blocks: int) -> str | None:
    top = _resolution(num_blocks)
    if name in _D_END:
        return _D_END[name]
    if match := re.fullmatch(r"convs\.0\.([01])\.(weight|bias)", name):
        return f"b{top}.fromrgb.{match[2]}"
    match = re.fullmatch(r"convs\.(\d{1,2})\.(.+)", name)
    if match is None or match[2] not in _D_BLOCK_PARTS or not 1 <= int(match[1]) <= num_blocks:
        raise CheckpointError(f"{brief(name)} is not part of rosinality's StyleGAN2 discriminator")
    part = _D_BLOCK_PARTS[match[2]]
    return part and f"b{top >> (int(match[1]) - 1)}.{part}"
