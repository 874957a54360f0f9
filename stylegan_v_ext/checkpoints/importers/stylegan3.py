"""StyleGAN3-T and -R generators; the names of their tensors are ours, and the filters are among the tensors."""

import inspect
from collections.abc import Container

from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.importers.stylegan2 import State
from stylegan_v_ext.checkpoints.network import NetworkData, count_layers
from stylegan_v_ext.checkpoints.records import Record
from stylegan_v_ext.checkpoints.values import brief
from stylegan_v_ext.networks.stylegan3 import AliasFreeLayer, AliasFreeSynthesis


def is_generator(state: Container[str]) -> bool:
    """Return whether names of tensors are those of a StyleGAN3 generator."""
    return "synthesis.input.freqs" in state


def read_generator(record: Record, state: State) -> NetworkData:
    """Read an `AliasFreeGenerator`; its arguments come from the record, since tensors do not show all of them.

    Args:
        record: The generator as it is in the file.
        state: Its tensors by name.

    Returns:
        The generator as data.

    Raises:
        CheckpointError: If the record has an option that is unknown, or lacks the resolution.
    """
    options = record.init_kwargs
    options |= options.pop("synthesis_kwargs", None) or {}
    taken = set(inspect.signature(AliasFreeSynthesis.__init__).parameters)
    taken |= set(inspect.signature(AliasFreeLayer.__init__).parameters)
    embed = state.get("mapping.embed.weight")
    own = {
        "z_dim": state["mapping.fc0.weight"].shape[1] - (len(embed) if embed is not None else 0),
        "c_dim": embed.shape[1] if embed is not None else 0,
        "w_dim": len(state["mapping.w_avg"]),
        "img_resolution": options.pop("img_resolution", record.attribute("", "img_resolution")),
        "img_channels": options.pop("img_channels", record.attribute("", "img_channels", 3)),
        "mapping_kwargs": {
            "num_layers": count_layers(state, "mapping.fc"),
            "lr_multiplier": float(record.attribute("mapping.fc0", "bias_gain", 0.01)),
            "w_avg_beta": record.attribute("mapping", "w_avg_beta", 0.998),
        },
    }
    known = {"z_dim", "c_dim", "w_dim", "mapping_kwargs", "class_name"}
    unknown = set(options) - taken - known
    if unknown:
        raise CheckpointError(f"a StyleGAN3 generator with the unknown option {brief(min(unknown, key=str))}")
    if not isinstance(own["img_resolution"], int):
        raise CheckpointError("a StyleGAN3 generator that does not say its resolution")
    return NetworkData("AliasFreeGenerator", {**{k: v for k, v in options.items() if k not in known}, **own}, state)
