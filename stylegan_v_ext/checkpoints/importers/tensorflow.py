"""StyleGAN2 pickles of the TensorFlow code: a tuple (G, D, Gs) of networks with named arrays.

The files store convolutions as `[k, k, in, out]` and dense layers as `[in, out]`. The kernels of upsampling
convolutions are flipped, and style biases start from 0 instead of 1.
"""

import re
from typing import Any, TypeGuard, cast

import numpy as np
import torch

from stylegan_v_ext.checkpoints import foreign
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.importers import stylegan2
from stylegan_v_ext.checkpoints.importers.stylegan2 import State
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.checkpoints.plain_values import plain
from stylegan_v_ext.checkpoints.values import Instance, brief

_STYLE_PARTS = {
    "weight": "weight",
    "bias": "bias",
    "mod_weight": "affine.weight",
    "mod_bias": "affine.bias",
    "noise_strength": "noise_strength",
}
_G_LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}
_D_LAYERS = {
    "FromRGB": "fromrgb",
    "Conv0": "conv0",
    "Conv1_down": "conv1",
    "Skip": "skip",
    "Conv": "conv",
    "Dense0": "fc",
}
_COMPONENTS = ("mapping", "synthesis")
_RESOLUTIONS = "|".join(str(4 << octave) for octave in range(11))
_NO_WEIGHTS = re.compile(r"(.*/)?(lod|pl_mean_var|pl_mean|resample_kernel)")


def is_checkpoint(content: object) -> bool:
    """Return whether a file holds the three networks of the TensorFlow code."""
    return isinstance(content, (tuple, list)) and len(content) == 3 and all(_is_network(item) for item in content)


def _is_network(value: object) -> TypeGuard[Instance]:
    return isinstance(value, Instance) and value.module == "dnnlib.tflib.network" and isinstance(value.state, dict)


def read_generator(network: Instance) -> NetworkData:
    """Read a generator as a `VideoGenerator` of one frame.

    Args:
        network: The generator as it is in the file.

    Returns:
        The generator as data.

    Raises:
        CheckpointError: If its architecture is not that of the published models.
    """
    options = _options(network)
    ours: State = {}
    for name, array in _arrays(network).items():
        if not _NO_WEIGHTS.fullmatch(name):
            ours |= [_generator_tensor(name, array)]
    stylegan2.add_filters(ours, "synthesis.")
    data = stylegan2.read_generator(ours)
    data.kwargs |= _precision(options)
    average = options.get("w_avg_beta", 0.995)
    data.kwargs["mapping_kwargs"] |= {
        "lr_multiplier": options.get("mapping_lrmul", 0.01),
        "w_avg_beta": 1.0 if average is None else average,
    }
    return data


def read_discriminator(network: Instance) -> NetworkData:
    """Read a discriminator as a `TimeConditionedDiscriminator` of one frame.

    Args:
        network: The discriminator as it is in the file.

    Returns:
        The discriminator as data.

    Raises:
        CheckpointError: If its architecture is not that of the published models.
    """
    options = _options(network)
    arrays = {name: array for name, array in _arrays(network).items() if not _NO_WEIGHTS.fullmatch(name)}
    ours: State = dict(_discriminator_tensor(name, array) for name, array in arrays.items())
    stylegan2.add_filters(ours, "")
    data = stylegan2.read_discriminator(ours)
    data.kwargs |= _precision(options)
    data.kwargs["epilogue_kwargs"]["mbstd_group_size"] = options.get("mbstd_group_size")
    if "mapping_kwargs" in data.kwargs:
        data.kwargs["mapping_kwargs"]["lr_multiplier"] = options.get("mapping_lrmul", 0.1)
    return data


def _state(network: Instance) -> dict[str, Any]:
    return cast("dict[str, Any]", network.state)


def _options(network: Instance) -> dict[str, Any]:
    """Return the arguments of a network. Raises `CheckpointError` unless filters and activations are StyleGAN2's."""
    options = plain(_state(network).get("static_kwargs") or {})
    for name, usual in (
        ("resample_kernel", [1, 3, 3, 1]),
        ("nonlinearity", "lrelu"),
        ("mapping_nonlinearity", "lrelu"),
    ):
        if options.get(name) not in (None, usual, tuple(usual)):
            raise CheckpointError(f"a network with {name} {_shown(options[name])}; only {usual} is known")
    return options


def _shown(value: object) -> str:
    return value if isinstance(value, str) else brief(value)


def _precision(options: dict[str, Any]) -> dict[str, Any]:
    return {"num_fp16_res": options.get("num_fp16_res", 0), "conv_clamp": options.get("conv_clamp")}


def _arrays(network: Instance) -> dict[str, np.ndarray]:
    """Return all arrays by name; the name of a component (mapping, synthesis) comes first."""
    parts = {"": network}
    components = _state(network).get("components") or {}
    parts |= {f"{name}/": components[name] for name in _COMPONENTS if _is_network(components.get(name))}
    arrays = {
        prefix + name: np.asarray(array, dtype=np.float32)
        for prefix, part in parts.items()
        for name, array in plain(_state(part).get("variables") or [])
    }
    foreign.refuse({name: array.shape for name, array in arrays.items()})
    return arrays


def _generator_tensor(name: str, array: np.ndarray) -> tuple[str, torch.Tensor]:
    if name == "dlatent_avg":
        return "mapping.w_avg", torch.from_numpy(array)
    if match := re.fullmatch(r"mapping/(Dense(\d{1,2})|LabelEmbed)/(weight|bias)", name):
        layer = f"fc{match[2]}" if match[2] else "embed"
        return f"mapping.{layer}.{match[3]}", _dense(array)
    if match := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
        index = int(match[1])
        resolution, layer = 4 << (index + 1) // 2, "conv0" if index % 2 else "conv1"
        return f"synthesis.b{resolution}.{layer}.noise_const", torch.from_numpy(array[0, 0])
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", torch.from_numpy(array[0])
    match = re.fullmatch(rf"synthesis/({_RESOLUTIONS})x\1/(Conv|Conv0_up|Conv1|ToRGB)/(\w+)", name)
    if match is None or match[3] not in _STYLE_PARTS:
        raise CheckpointError(f"{brief(name)} is not part of TensorFlow StyleGAN2's skip generator")
    target = f"synthesis.b{match[1]}.{_G_LAYERS[match[2]]}.{_STYLE_PARTS[match[3]]}"
    if match[3] == "weight":
        return target, _convolution(array[::-1, ::-1] if match[2] == "Conv0_up" else array)
    return target, _dense(array) + (1 if match[3] == "mod_bias" else 0)


def _discriminator_tensor(name: str, array: np.ndarray) -> tuple[str, torch.Tensor]:
    if match := re.fullmatch(r"(Output|LabelEmbed|Mapping(\d{1,2}))/(weight|bias)", name):
        layer = {"Output": "b4.out", "LabelEmbed": "mapping.embed"}.get(match[1], f"mapping.fc{match[2]}")
        return f"{layer}.{match[3]}", _dense(array)
    match = re.fullmatch(rf"({_RESOLUTIONS})x\1/(\w+)/(weight|bias)", name)
    if match is None or match[2] not in _D_LAYERS:
        raise CheckpointError(f"{brief(name)} is not part of TensorFlow StyleGAN2's resnet discriminator")
    target = f"b{match[1]}.{_D_LAYERS[match[2]]}.{match[3]}"
    return target, _convolution(array) if array.ndim == 4 else _dense(array)


def _convolution(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.transpose(3, 2, 0, 1).copy())


def _dense(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.T.copy())
