"""A description of a checkpoint in words."""

import itertools
from collections.abc import Iterator

from stylegan_v_ext.checkpoints.checkpoint import Checkpoint, describe_not_finite
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.network import NetworkData, known_sources
from stylegan_v_ext.checkpoints.records import Record
from stylegan_v_ext.checkpoints.values import brief
from stylegan_v_ext.text import printable

_MOST_SHOWN = 100  # settings, notes and other objects of a file


def describe(checkpoint: Checkpoint) -> Iterator[str]:
    """Say what a checkpoint holds: networks, sizes, labels, whether their source text is known.

    Args:
        checkpoint: The checkpoint; a network that is NaN or infinite is described if it may be used.

    Yields:
        Printable lines.
    """
    yield printable(checkpoint.path)
    yield _line("format", checkpoint.format)
    for key in ("G_ema", "G", "D"):
        if key in checkpoint.readers:
            yield from _describe_network(checkpoint, key)
    others = sorted(set(checkpoint.records) - set(checkpoint.readers))
    if others:
        names = ", ".join(f"{key} ({checkpoint.records[key].class_name})" for key in others[:_MOST_SHOWN])
        yield _line("others", f"{printable(names)}, kept as data")
    if checkpoint.training_set_kwargs:
        items = itertools.islice(checkpoint.training_set_kwargs.items(), _MOST_SHOWN)
        yield _line("data", printable(", ".join(f"{key}={_setting(value)}" for key, value in items)))


def _line(name: str, text: str) -> str:
    return f"{name:12s}{text}"


def _setting(value: object) -> str:
    return value if isinstance(value, str) else brief(value)


def _describe_network(checkpoint: Checkpoint, key: str) -> Iterator[str]:
    record = checkpoint.records.get(key)
    try:
        network = checkpoint.network(key)
    except CheckpointError as error:
        name = "" if record is None else f"{printable(record.class_name)}: "
        yield _line(key, f"{name}cannot be used: {str(error).removeprefix(f'{checkpoint.path}: {key}: ')}")
    else:
        origin = "" if record is None or record.class_name == network.class_name else f"{record.class_name}, here a "
        yield _line(key, printable(f"{origin}{network.class_name}"))
        for name, text in [*_facts(network, key).items(), *(("note", note) for note in network.notes[:_MOST_SHOWN])]:
            yield _line(f"  {name}", printable(text))
    if record is not None:
        yield _line("  source", _source(record))


def _facts(network: NetworkData, key: str) -> dict[str, str]:
    """Return what arguments and tensors of a network tell, by a word for each fact."""
    given = network.kwargs
    facts = {
        "image": f"{given['img_resolution']} px, {given['img_channels']} channels",
        "size": f"{network.num_parameters:,} parameters in {len(network.state)} tensors",
        "labels": _labels(network),
        "channels": f"base {given.get('channel_base', 32768)}, at most {given.get('channel_max', 512)} a layer",
    }
    if key != "D":
        layers = (given.get("mapping_kwargs") or {}).get("num_layers", 2)
        facts["latents"] = f"z {given.get('z_dim', 512)}, w {given.get('w_dim', 512)}, {layers} mapping layers"
    motion = given.get("motion_kwargs")
    if motion:
        facts["motion"] = (
            f"anchors every {motion.get('distance', 16)} frames, noise of {motion.get('z_dim', 512)} values, "
            f"shortest period {motion.get('min_period', 16):g} frames, amplitudes "
            f"{'learned' if motion.get('amplitude', True) else 'none'}"
        )
    wrong = network.find_not_finite()
    if wrong:
        facts["weights"] = f"NaN or infinite {describe_not_finite(wrong, network)}; to be used with --allow-nan alone"
    return facts


def _labels(network: NetworkData) -> str:
    classes = f"{network.num_classes} classes" if network.num_classes else "no classes"
    if network.num_frames is None:
        return classes
    return f"{classes}, " + ("one frame" if network.num_frames == 1 else f"{network.num_frames} frames a clip")


def _source(record: Record) -> str:
    if record.source_hash in known_sources():
        return f"known: this version's {known_sources()[record.source_hash]}"
    return f"not one of this version's (sha256 {record.source_hash[:16]}...); not needed and not run"
