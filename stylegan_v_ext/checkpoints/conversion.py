"""Writing a checkpoint in another format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stylegan_v_ext.checkpoints import exports
from stylegan_v_ext.checkpoints.checkpoint import Checkpoint
from stylegan_v_ext.checkpoints.network import NetworkData

_MOST_NOTES = 100  # a file may hold any number of them


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One moment of a video generator, which becomes an image generator.

    Attributes:
        time: The moment, in frames.
        motion_seed: Seed of the motion.
        class_index: Class of a conditional generator; None for a generator without classes.
    """

    time: float = 0.0
    motion_seed: int = 0
    class_index: int | None = None


def convert(
    checkpoint: Checkpoint,
    target: Path,
    *,
    image: Moment | None = None,
    tell: Callable[[str], None] = lambda note: None,
) -> None:
    """Write a checkpoint in another format.

    Args:
        checkpoint: The checkpoint.
        target: New file; `.safetensors` gets tensors and a `.json` beside it, any other name a snapshot of this
            project.
        image: Write an image generator for stock checkouts, frozen at this moment; None writes all networks.
        tell: Called with sentences about decisions on the way.

    Raises:
        CheckpointError: If a network cannot be used.
        ValueError: If the generator cannot be frozen.
        OSError: If a file cannot be written.
    """
    generator = checkpoint.network(checkpoint.generator_key)
    for note in generator.notes[:_MOST_NOTES]:
        tell(note)
    if image is not None:
        frozen = exports.freeze(generator, image.time, image.motion_seed, image.class_index)
        exports.export_image(target, frozen, _discriminator(checkpoint, tell) if generator.is_image_model else None)
        return
    networks = {key: checkpoint.network(key) for key in checkpoint.readers if key != "D"}
    discriminator = _discriminator(checkpoint, tell)
    if discriminator is not None:
        networks["D"] = discriminator
    for network in networks.values():
        network.build()  # its error keeps networks that do not fit from being written
    if target.suffix.lower() == ".safetensors":
        origin = exports.describe_source(checkpoint.path, checkpoint.format)
        exports.export_safetensors(target, networks, checkpoint.training_set_kwargs, origin)
    else:
        exports.export_snapshot(target, networks, checkpoint.training_set_kwargs)


def _discriminator(checkpoint: Checkpoint, tell: Callable[[str], None]) -> NetworkData | None:
    data, reason = checkpoint.discriminator()
    if data is None:
        tell(f"no discriminator in the new file ({reason})")
    return data
