"""`stylegan-v checkpoint`: what is in a file, and the same in another format."""

import itertools
from pathlib import Path
from typing import Any

import click

from stylegan_v_ext.cli.common import OutputFile, UserError, report_user_errors
from stylegan_v_ext.cli.entry import Group
from stylegan_v_ext.cli.reading import nan_option, refuse_existing, say_notes, trust_option
from stylegan_v_ext.cli.switches import Switch
from stylegan_v_ext.outputs import format_of
from stylegan_v_ext.text import printable, say

_SETTINGS = {"context_settings": {"show_default": True, "max_content_width": 110}}
_MOST_SHOWN = 100  # of the settings, notes and other objects in a file
_FORMATS = """
\b
Formats: snapshots of this project; pickles of stylegan2-ada-pytorch and stylegan3 (StyleGAN2,
StyleGAN3-T and -R); the StyleGAN-V release; rosinality's .pt; TensorFlow StyleGAN2; .safetensors
with its .json. A run folder stands for its best snapshot by fvd2048_16f, or its last.
"""


@click.group(cls=Group)
def checkpoint() -> None:
    """Look into checkpoints of any known format, and convert them. Nothing in them is run."""


@checkpoint.command(epilog=_FORMATS, **_SETTINGS)
@click.argument("file")
@trust_option
@report_user_errors
def inspect(file: str, trust_pickle: bool) -> None:
    """Print what FILE (or a run folder, or a URL) holds: networks, sizes, labels, whether its source is known."""
    from stylegan_v_ext.checkpoints import load

    found = load(file, trust_pickle=trust_pickle, allow_nan=True)
    say(found.path, f"{'format':12s}{found.format}")
    for key in ("G_ema", "G", "D"):
        if key in found.readers:
            _describe(found, key)
    others = sorted(set(found.records) - set(found.readers))
    if others:
        names = ", ".join(f"{key} ({found.records[key].class_name})" for key in others[:_MOST_SHOWN])
        say(f"{'others':12s}{printable(names)}, kept as data")
    if found.training_set_kwargs:
        items = itertools.islice(found.training_set_kwargs.items(), _MOST_SHOWN)
        data = ", ".join(f"{key}={_shown(value)}" for key, value in items)
        say(f"{'data':12s}{printable(data)}")


def _shown(value: Any) -> str:
    """A setting in a report: text as it is, other values short."""
    from stylegan_v_ext.checkpoints.values import brief

    return value if isinstance(value, str) else brief(value)


def _describe(found: Any, key: str) -> None:
    from stylegan_v_ext.checkpoints import CheckpointError

    record = found.records.get(key)
    try:
        network = found.network(key)
    except CheckpointError as error:
        name = "" if record is None else f"{printable(record.class_name)}: "
        say(f"{key:12s}{name}cannot be used: {str(error).removeprefix(f'{found.path}: {key}: ')}")
    else:
        from stylegan_v_ext.checkpoints.checkpoint import describe_not_finite

        k = network.kwargs
        origin = "" if record is None or record.class_name == network.class_name else f"{record.class_name}, here a "
        rows = {
            key: f"{origin}{network.class_name}",
            "image": f"{k['img_resolution']} px, {k['img_channels']} channels",
            "size": f"{network.num_parameters:,} parameters in {len(network.state)} tensors",
            "labels": _labels(network),
            "channels": f"base {k.get('channel_base', 32768)}, at most {k.get('channel_max', 512)} a layer",
        }
        if key != "D":
            layers = (k.get("mapping_kwargs") or {}).get("num_layers", 2)
            rows["latents"] = f"z {k.get('z_dim', 512)}, w {k.get('w_dim', 512)}, {layers} mapping layers"
        motion = k.get("motion_kwargs")
        if motion:
            period = motion.get("min_period", 16)
            rows["motion"] = (
                f"anchors every {motion.get('distance', 16)} frames, noise of {motion.get('z_dim', 512)} values, "
                f"shortest period {period:g} frames, amplitudes "
                f"{'learned' if motion.get('amplitude', True) else 'none'}"
            )
        wrong = network.find_not_finite()
        if wrong:
            rows["weights"] = (
                f"NaN or infinite {describe_not_finite(wrong, network)}; to be used with --allow-nan alone"
            )
        for name, text in [*rows.items(), *(("note", note) for note in network.notes[:_MOST_SHOWN])]:
            say(f"{name if name == key else '  ' + name:12s}{printable(text)}")
    if record is not None:
        say(f"{'  source':12s}{_source(record)}")


def _labels(network: Any) -> str:
    classes = f"{network.num_classes} classes" if network.num_classes else "no classes"
    if network.num_frames is None:
        return classes
    return f"{classes}, " + ("one frame" if network.num_frames == 1 else f"{network.num_frames} frames a clip")


def _source(record: Any) -> str:
    from stylegan_v_ext.checkpoints.network import known_sources

    if record.source_hash in known_sources():
        return f"known: this version's {known_sources()[record.source_hash]}"
    return f"not one of this version's (sha256 {record.source_hash[:16]}...); not needed and not run"


@checkpoint.command(epilog=_FORMATS, **_SETTINGS)
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT", type=OutputFile("pkl", "safetensors"))
@click.option(
    "--image",
    cls=Switch,
    help="Write an image generator that stock StyleGAN2-ADA and StyleGAN3 "
    "checkouts open (.pkl), this package installed or not",
)
@click.option("--time", help="With --image: the moment of a video, in frames", type=float, default=0.0)
@click.option("--motion-seed", help="With --image: the motion it is a moment of", type=click.IntRange(min=0), default=0)
@click.option(
    "--class",
    "class_index",
    help="With --image: class of a conditional video generator, whose motion depends on it",
    type=click.IntRange(min=0),
)
@trust_option
@nan_option
@report_user_errors
def convert(
    source: str,
    target: str,
    image: bool,
    time: float,
    motion_seed: int,
    class_index: int | None,
    trust_pickle: bool,
    allow_nan: bool,
) -> None:
    """Write checkpoint IN as OUT, which must not exist yet; its ending says what it becomes.

    \b
    OUT.pkl            a snapshot of this project
    OUT.safetensors    tensors, with OUT.json beside it (arguments, provenance): no code at all
    OUT.pkl --image    an image generator for stock checkouts, a video frozen at --time
    """
    from stylegan_v_ext.checkpoints import exports, load

    path = Path(target)
    as_tensors = format_of(path, ("pkl", "safetensors")) == "safetensors"
    if image and as_tensors:
        raise UserError(f"{target}: --image writes a pickle; use .pkl")
    if not image and (time or motion_seed or class_index is not None):
        raise UserError("--time, --motion-seed and --class say what --image shows; add --image or leave them out")
    refuse_existing(path, path.with_suffix(".json") if as_tensors else path)
    found = load(source, trust_pickle=trust_pickle, allow_nan=allow_nan)
    generator = found.network(found.generator_key)
    say_notes(generator.notes)
    if image:
        frozen = exports.freeze(generator, time, motion_seed, class_index)
        exports.export_image(path, frozen, _usable_discriminator(found) if generator.is_image_model else None)
    else:
        networks = {key: found.network(key) for key in found.readers if key != "D"}
        discriminator = _usable_discriminator(found)
        if discriminator is not None:
            networks["D"] = discriminator
        for data in networks.values():
            data.build()  # what does not fit together is not written
        if not as_tensors:
            exports.export_snapshot(path, networks, found.training_set_kwargs)
        else:
            origin = exports.describe_source(found.path, found.format)
            exports.export_safetensors(path, networks, found.training_set_kwargs, origin)
    say(f"{path}: from {found.path} ({found.format})")


def _usable_discriminator(found: Any) -> Any:
    data, reason = found.discriminator()
    if data is None:
        say(f"Note: no discriminator in the new file ({reason})", err=True)
    return data
