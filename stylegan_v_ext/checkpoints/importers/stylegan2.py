"""StyleGAN2 networks as stylegan2-ada-pytorch and stylegan3 store them; the names of their tensors are ours.

Importers of other StyleGAN2 formats translate the names first, and then use the functions of this module.
"""

from collections.abc import Callable, Container
from typing import Any

import torch

from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.network import NetworkData, capacity, count_layers, resolutions
from stylegan_v_ext.checkpoints.values import brief

State = dict[str, torch.Tensor]
Attribute = Callable[..., Any]
"""attribute(module, name, default): looks up an attribute of a stored object, see `Record.attribute`."""


def no_attributes(module: str, name: str, default: object = None) -> object:
    """Return `default`: the `Attribute` function of formats that hold tensors alone."""
    return default


def is_generator(state: Container[str]) -> bool:
    """Return whether names of tensors are those of a StyleGAN2 generator."""
    return "synthesis.b4.torgb.weight" in state and "synthesis.b4.const" in state


def is_discriminator(state: Container[str]) -> bool:
    """Return whether names of tensors are those of a StyleGAN2 discriminator."""
    return "b4.out.weight" in state and "b8.conv0.weight" in state


def read_generator(state: State, attribute: Attribute = no_attributes) -> NetworkData:
    """Read a StyleGAN2 generator as a `VideoGenerator` of one frame.

    Args:
        state: Tensors by name.
        attribute: Looks up attributes of the stored object.

    Returns:
        The generator as data.

    Raises:
        CheckpointError: If its architecture is not that of the published models.
    """
    kwargs = generator_kwargs(state, attribute)
    return NetworkData("VideoGenerator", {**kwargs, "c_dim": kwargs["c_dim"] + 1, "num_frames": 1}, dict(state))


def generator_kwargs(state: State, attribute: Attribute) -> dict[str, Any]:
    """Find the arguments that a generator was made with.

    Args:
        state: Tensors by name.
        attribute: Looks up attributes of the stored object.

    Returns:
        Keyword arguments for content, synthesis and labels; `c_dim` is the number of classes.

    Raises:
        CheckpointError: If its architecture is not that of the published models.
    """
    sizes = resolutions(state, "synthesis.", "conv1")
    _require_lrelu(attribute, [f"synthesis.b{r}.conv1" for r in sizes])
    top = f"synthesis.b{sizes[-1]}"
    embed = state.get("mapping.embed.weight")
    first = state["mapping.fc0.weight"]
    num_fp16 = sum(bool(attribute(f"synthesis.b{r}", "use_fp16", default=False)) for r in sizes)
    return {
        "z_dim": first.shape[1] - (len(embed) if embed is not None else 0),
        "c_dim": embed.shape[1] if embed is not None else 0,
        "w_dim": state[f"{top}.conv1.affine.weight"].shape[1],
        "img_resolution": sizes[-1],
        "img_channels": len(state[f"{top}.torgb.weight"]),
        "mapping_kwargs": _mapping_kwargs(state, attribute, w_avg_beta=attribute("mapping", "w_avg_beta", 0.995)),
        **capacity({r: len(state[f"synthesis.b{r}.conv1.weight"]) for r in sizes}),
        "num_fp16_res": num_fp16,
        "conv_clamp": attribute(f"{top}.conv1", "conv_clamp"),
        "use_noise": f"{top}.conv1.noise_strength" in state,
    }


def read_discriminator(state: State, attribute: Attribute = no_attributes) -> NetworkData:
    """Read a StyleGAN2 discriminator as a `TimeConditionedDiscriminator` of one frame.

    Args:
        state: Tensors by name.
        attribute: Looks up attributes of the stored object.

    Returns:
        The discriminator as data.

    Raises:
        CheckpointError: If its architecture is not that of the published models.
    """
    kwargs = discriminator_kwargs(state, attribute)
    embed = state.get("mapping.embed.weight")
    c_dim = embed.shape[1] if embed is not None else 0
    return NetworkData("TimeConditionedDiscriminator", {**kwargs, "c_dim": c_dim + 1, "num_frames": 1}, dict(state))


def discriminator_kwargs(state: State, attribute: Attribute) -> dict[str, Any]:
    """Find the arguments that the blocks and the end of a discriminator were made with.

    Args:
        state: Tensors by name.
        attribute: Looks up attributes of the stored object.

    Returns:
        Keyword arguments, without `c_dim`.

    Raises:
        CheckpointError: If its architecture is not that of the published models.
    """
    sizes = resolutions(state, "", "conv0")
    plain = [r for r in sizes if f"b{r}.skip.weight" not in state]
    if plain:
        kind = "skip" if "b4.fromrgb.weight" in state else "orig"
        raise CheckpointError(
            f"a StyleGAN2 discriminator without the resnet architecture ({kind}: no shortcut at {plain[0]} px), which "
            "is not read; training begins with a new discriminator"
        )
    _require_lrelu(attribute, [f"b{r}.conv0" for r in sizes])
    top, channels = f"b{sizes[-1]}", {r: len(state[f"b{r}.conv0.weight"]) for r in sizes}
    channels[4] = len(state["b4.fc.weight"])
    below = state["b4.conv.weight"].shape[1]
    std_channels = below - channels[4]
    kwargs = {
        "img_resolution": sizes[-1],
        "img_channels": state[f"{top}.fromrgb.weight"].shape[1],
        **capacity(channels),
        "num_fp16_res": sum(bool(attribute(f"b{r}", "use_fp16", default=False)) for r in sizes),
        "conv_clamp": attribute(f"{top}.conv0", "conv_clamp"),
        "epilogue_kwargs": {
            "mbstd_num_channels": std_channels,
            "mbstd_group_size": attribute("b4.mbstd", "group_size", 4),
        },
    }
    if "mapping.embed.weight" in state:
        kwargs["mapping_kwargs"] = _mapping_kwargs(state, attribute)
        kwargs["cmap_dim"] = len(state["b4.out.weight"])
    return kwargs


def _mapping_kwargs(state: State, attribute: Attribute, **more: object) -> dict[str, Any]:
    return {
        "num_layers": count_layers(state, "mapping.fc"),
        "lr_multiplier": float(attribute("mapping.fc0", "bias_gain", 0.01)),
        **more,
    }


def _require_lrelu(attribute: Attribute, layers: list[str]) -> None:
    for layer in layers:
        if attribute(layer, "activation", "lrelu") != "lrelu":
            raise CheckpointError(f"activation {brief(attribute(layer, 'activation'))} in {layer}; only lrelu is known")


def add_filters(state: State, prefix: str) -> None:
    """Add the [1, 3, 3, 1] filters that our networks keep in every block and every resampling layer.

    Args:
        state: Tensors by name, changed in place.
        prefix: "synthesis." for a generator, "" for a discriminator.
    """
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    blur = torch.outer(taps, taps) / 64
    blocks = {name[: name.index(".", len(prefix))] for name in state if name.startswith(f"{prefix}b")}
    for block in blocks:
        layers = {name.split(".")[-2] for name in state if name.startswith(f"{block}.") and name.endswith(".weight")}
        filtered = {"conv0", "conv1"} if prefix else {"fromrgb", "conv0", "conv1", "skip", "conv"}
        for layer in layers & filtered:
            state[f"{block}.{layer}.resample_filter"] = blur.clone()
        if prefix or block != "b4":
            state[f"{block}.resample_filter"] = blur.clone()
