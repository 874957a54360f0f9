"""Networks of the StyleGAN-V release: their names for motion and time become ours, OmegaConf is read as data.

The model of the release is `--cfg=stylegan-v-cvpr` here: no amplitudes, time by projection only. The MoCoGAN+SG2
variant of the release, whose motion comes from a recurrent network, is refused.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch

from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.importers import stylegan2
from stylegan_v_ext.checkpoints.importers.stylegan2 import Attribute, State, no_attributes
from stylegan_v_ext.checkpoints.network import NetworkData, resolutions
from stylegan_v_ext.checkpoints.plain_values import plain
from stylegan_v_ext.checkpoints.records import Record
from stylegan_v_ext.checkpoints.values import brief

_MOTION = "synthesis.motion_encoder."
_RENAMED = {
    f"{_MOTION}conv.0": "mapping.motion.conv0",
    f"{_MOTION}conv.1": "mapping.motion.conv1",
    f"{_MOTION}time_encoder.periods_predictor": "mapping.motion.encoding.periods",
    f"{_MOTION}time_encoder.phase_predictor": "mapping.motion.encoding.phases",
    f"{_MOTION}time_encoder.aligners_predictor": "mapping.motion.encoding.aligner",
    f"{_MOTION}time_encoder.": "mapping.motion.encoding.",
    "synthesis.b4.input.input.const": "synthesis.b4.const",
    "time_encoder.const_embed": "time.embed",
    "time_encoder.time_encoder.fourier_coefs": "time.freqs",
}
_LEADING_AXIS = (".freqs", ".phase_scales", "input.const", ".fourier_coefs")


def is_network(state: Iterable[str]) -> bool:
    """Return whether names of tensors are those of a network of the release."""
    return any(name.startswith((_MOTION, "time_encoder.")) for name in state)


def renamed(state: State) -> State:
    """Rename tensors of the release.

    Args:
        state: Tensors by the names of the release, or by ours.

    Returns:
        Tensors by our names; a leading axis of 1 that only the release has is removed.
    """
    result = {}
    for name, tensor in state.items():
        ours = next((own + name[len(theirs) :] for theirs, own in _RENAMED.items() if name.startswith(theirs)), name)
        result[ours] = tensor[0] if ours != name and name.endswith(_LEADING_AXIS) else tensor
    return result


def read_network(record: Record, state: State) -> NetworkData:
    """Read a network of the release.

    Args:
        record: The network as it is in the file.
        state: Its tensors by name.

    Returns:
        A `VideoGenerator` or a `TimeConditionedDiscriminator` as data.

    Raises:
        CheckpointError: If it is another model of the release.
    """
    return read_state(state, record.attribute, _settings(record))


def read_state(
    state: State, attribute: Attribute = no_attributes, settings: dict[str, Any] | None = None
) -> NetworkData:
    """Read a network from tensors by the names of the release, or by ours.

    Args:
        state: Tensors by name.
        attribute: Looks up attributes of the stored object.
        settings: Settings of its training by name; None if they are unknown.

    Returns:
        A `VideoGenerator` or a `TimeConditionedDiscriminator` as data.

    Raises:
        CheckpointError: If it is another model of the release.
    """
    state = renamed(state)
    if any(name.startswith(_MOTION) for name in state):
        name = next(name for name in state if name.startswith(_MOTION))
        raise CheckpointError(f"a StyleGAN-V network with {brief(name)}, which the published model does not have")
    read = _generator if "mapping.w_avg" in state else _discriminator
    return read(attribute, state, settings or {})


def _generator(attribute: Attribute, state: State, settings: dict[str, Any]) -> NetworkData:
    if "mapping.motion.conv0.weight" not in state:
        raise CheckpointError("tensors of a stylegan-v-lstm generator alone; give the snapshot (.pkl) of its training")
    conv, freqs = state["mapping.motion.conv0.weight"], state["mapping.motion.encoding.freqs"]
    image_state = {k: v for k, v in state.items() if not k.startswith("mapping.motion.")}
    kwargs = stylegan2.generator_kwargs(image_state, attribute)
    notes = []
    if "motion_z_distance" not in settings:
        notes.append("the file does not say its motion distance; 16 frames assumed")
    if "num_frames_per_video" not in settings:
        notes.append("the file does not say how many frames its clips had; 3 assumed")
    num_frames = int(settings.get("num_frames_per_video", 3))
    num_classes = kwargs["c_dim"]
    motion = {
        "z_dim": conv.shape[1] - num_classes,
        "code_dim": conv.shape[0],
        "kernel_size": conv.shape[2],
        "distance": int(settings.get("motion_z_distance", 16)),
        "amplitude": "mapping.motion.encoding.amplitudes.weight" in state,
        "min_period": _period(freqs[-1]),
        "max_period": _period(freqs[0]),
    }
    kwargs |= {
        "c_dim": num_classes + num_frames,
        "num_frames": num_frames,
        "motion_kwargs": motion,
        "max_num_frames": int(settings.get("max_num_frames", 1024)),
    }
    return NetworkData("VideoGenerator", kwargs, state, notes)


def _period(freq: torch.Tensor) -> float:
    """Return a period in frames, rounded to the number that a person wrote; tensors hold the exact frequencies."""
    return round(2 * math.pi / float(freq), 3)


def _discriminator(attribute: Attribute, state: State, settings: dict[str, Any]) -> NetworkData:
    kwargs = stylegan2.discriminator_kwargs(state, attribute)
    table, octaves = state["time.embed.weight"], len(state["time.freqs"])
    sizes = resolutions(state, "", "skip")
    joins = [r for r in sizes if r // 2 in sizes and _inputs(state, r // 2) != _outputs(state, r)]
    if len(joins) != 1:
        raise CheckpointError("a StyleGAN-V discriminator that does not put frames together at one resolution")
    num_frames = _inputs(state, joins[0] // 2) // _outputs(state, joins[0])
    num_classes = state["mapping.embed.weight"].shape[1] - (num_frames - 1) * (table.shape[1] + 2 * octaves)
    modulated = any(name.endswith("conv0.affine.weight") for name in state)
    kwargs |= {
        "c_dim": num_classes + num_frames,
        "num_frames": num_frames,
        "max_num_frames": len(table),
        "concat_res": joins[0] // 2,
        "time_conditioning": "modulate" if modulated else "project",
    }
    return NetworkData("TimeConditionedDiscriminator", kwargs, state)


def _inputs(state: State, resolution: int) -> int:
    return state[f"b{resolution}.skip.weight"].shape[1]


def _outputs(state: State, resolution: int) -> int:
    return state[f"b{resolution}.skip.weight"].shape[0]


def _settings(record: Record) -> dict[str, Any]:
    """Collect all single values in the settings of a record by their own names; the outermost value wins."""
    found: dict[str, Any] = {}
    level: list[Any] = [record.init_kwargs, plain(record.state.get("cfg")), *record.init_args]
    while level:
        inner = []
        for group in level:
            for key, value in group.items() if isinstance(group, dict) else ():
                if isinstance(value, dict):
                    inner.append(value)
                elif isinstance(key, str) and isinstance(value, (int, float)):
                    found.setdefault(key, value)
        level = inner
    return found
