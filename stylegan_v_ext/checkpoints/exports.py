"""Writing checkpoints: our snapshots, tensors without code, images for stock checkouts."""

import datetime
import hashlib
import itertools
import json
import pickle
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from stylegan_v_ext import __version__
from stylegan_v_ext.checkpoints import bundle, state_dicts
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.network import ROLES, NetworkData
from stylegan_v_ext.checkpoints.snapshot import save_snapshot
from stylegan_v_ext.checkpoints.values import brief
from stylegan_v_ext.documents import parse_json
from stylegan_v_ext.files import atomic_path

if TYPE_CHECKING:
    from stylegan_v_ext.networks.generator import VideoGenerator

_LARGEST_DESCRIPTION = 1 << 23  # bytes; a few thousand are usual
_MAX_TENSORS = 20_000
_MAX_NOTES = 100


def export_snapshot(path: str | Path, networks: Mapping[str, NetworkData], training_set_kwargs: dict[str, Any]) -> None:
    """Write a snapshot of this project.

    Args:
        path: The file.
        networks: Networks by "G", "D" and "G_ema". A missing `G` is replaced by `G_ema`, and the other way round; a
            missing `D` is written as None.
        training_set_kwargs: Keyword arguments of the data set.

    Raises:
        CheckpointError: If arguments and tensors of a network do not fit.
        OSError: If the file cannot be written.
    """
    built: dict[str, Any] = {key: data.build() for key, data in networks.items()}
    average = built.get("G_ema", built.get("G"))
    content = {
        "G": built.get("G", average),
        "D": built.get("D"),
        "G_ema": average,
        "augment_pipe": None,
        "training_set_kwargs": training_set_kwargs,
    }
    save_snapshot(path, content)


def describe_source(path: Path, format_name: str) -> dict[str, str]:
    """Describe where a checkpoint came from.

    Args:
        path: Its file.
        format_name: Name of its format.

    Returns:
        Name, SHA-256 and format of the file, the time, and the version of this package.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "file": path.name,
        "sha256": digest,
        "format": format_name,
        "converted": now,
        "by": f"stylegan_v_ext {__version__}",
    }


def export_safetensors(
    path: str | Path, networks: Mapping[str, NetworkData], training_set_kwargs: dict[str, Any], source: dict[str, str]
) -> None:
    """Write tensors as `.safetensors`, and everything else beside it as `.json`. Neither file holds code.

    Args:
        path: File of the tensors, which are named `{network}/{name}`.
        networks: Networks by "G", "D" and "G_ema".
        training_set_kwargs: Keyword arguments of the data set.
        source: Result of `describe_source`.

    Raises:
        OSError: If a file cannot be written.
    """
    from safetensors.torch import save_file

    path = Path(path)
    tensors = {
        f"{key}/{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, data in networks.items()
        for name, tensor in data.state.items()
    }
    description = {
        "format": "stylegan_v_ext",
        "version": 1,
        "networks": {
            key: {"class_name": data.class_name, "kwargs": data.kwargs, "notes": data.notes}
            for key, data in networks.items()
        },
        "training_set_kwargs": training_set_kwargs,
        "provenance": source,
    }
    text = json.dumps(description, indent=2, default=_as_json) + "\n"
    with atomic_path(path) as temporary, atomic_path(path.with_suffix(".json")) as temporary_json:
        save_file(tensors, temporary, metadata={"format": "pt", "description_sha256": _digest(text)})
        temporary_json.write_text(text, encoding="utf-8")


def _as_json(value: object) -> object:
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.tolist()
    return str(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_safetensors(path: Path) -> tuple[dict[str, Callable[[], NetworkData]], dict[str, Any]]:
    """Open a pair of files that `export_safetensors` wrote.

    Args:
        path: Either file.

    Returns:
        Functions that read the networks, and the description from the JSON file.

    Raises:
        CheckpointError: If a file is missing, damaged, or does not belong to the other.
    """
    from safetensors import SafetensorError, safe_open

    tensors_path = path if path.suffix.lower() == ".safetensors" else path.with_suffix(".safetensors")
    json_path = path.with_suffix(".json")
    try:
        if not stat.S_ISREG(json_path.stat().st_mode):
            raise CheckpointError(f"{json_path} is not a file")
        if json_path.stat().st_size > _LARGEST_DESCRIPTION:
            raise CheckpointError(f"{json_path} is larger than {_LARGEST_DESCRIPTION} bytes")
        text = json_path.read_text(encoding="utf-8")
        description = parse_json(text)
        with safe_open(tensors_path, framework="pt") as file:
            metadata = file.metadata() or {}
        networks = {str(key): dict(entry) for key, entry in description["networks"].items() if key in ROLES}
        description = {**description, "training_set_kwargs": dict(description.get("training_set_kwargs") or {})}
    except OSError as error:
        missing = error.filename or tensors_path
        raise CheckpointError(
            f"{missing} cannot be read ({error.strerror or error}); a .safetensors needs its .json beside it"
        ) from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path} is not a checkpoint, or is damaged ({reason})") from None
    if metadata.get("description_sha256", _digest(text)) != _digest(text):
        raise CheckpointError(f"{json_path} does not belong to {tensors_path.name}, or was changed")
    return {key: partial(_read_network, tensors_path, key, entry) for key, entry in networks.items()}, description


def read_foreign_safetensors(path: Path) -> dict[str, torch.Tensor] | None:
    """Read a `.safetensors` file that another program wrote.

    Args:
        path: The file.

    Returns:
        Tensors by name; None if this project wrote the file.

    Raises:
        CheckpointError: If the file is damaged, or if its networks cannot be used; this takes no memory for them.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            if "description_sha256" in (file.metadata() or {}):
                return None
            names = list(itertools.islice(file.keys(), _MAX_TENSORS + 1))
            if len(names) > _MAX_TENSORS:
                raise CheckpointError(f"more than {_MAX_TENSORS} tensors; no network has that many")
            state_dicts.refuse_unknown({name: tuple(file.get_slice(name).get_shape()) for name in names})
            return {name: file.get_tensor(name) for name in names}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error})") from None
    except (SafetensorError, CheckpointError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path}: {reason}") from None


def _read_network(path: Path, key: str, entry: dict[str, Any]) -> NetworkData:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        all_names = file.keys()
        names = [name for name in all_names if name.startswith(f"{key}/")]
        if len(names) > _MAX_TENSORS:
            raise CheckpointError(f"{len(names)} tensors; a network has at most {_MAX_TENSORS}")
        state = {name.removeprefix(f"{key}/"): file.get_tensor(name) for name in names}
    class_name, notes = entry["class_name"], entry.get("notes") or []
    if not isinstance(class_name, str) or not isinstance(notes, list) or len(notes) > _MAX_NOTES:
        raise CheckpointError(f"a class named {brief(class_name)}, with {brief(notes)} as notes; give text and list")
    return NetworkData(class_name, dict(entry["kwargs"]), state, [str(note) for note in notes])


# Images.


def freeze(data: NetworkData, time: float, motion_seed: int, class_index: int | None = None) -> NetworkData:
    """Turn a video generator into the image generator that it is at one moment of one motion.

    The motion vector of the moment becomes part of the constant input. An image model stays the same.

    Args:
        data: The video generator.
        time: The moment, in frames.
        motion_seed: Seed of the motion.
        class_index: Class of a conditional model, whose motion depends on it; None for a model without classes.

    Returns:
        An `ImageGenerator`.

    Raises:
        ValueError: If the model is a StyleGAN3 generator or one moment already, or if the class is out of range.
    """
    if data.class_name != "VideoGenerator":
        what = (
            "a StyleGAN3 generator" if data.class_name == "AliasFreeGenerator" else "a moment of a video already, which"
        )
        raise ValueError(f"{what} has no time to be frozen at; give a StyleGAN-V or StyleGAN2 model")
    if class_index is not None and not data.num_classes:
        raise ValueError(f"--class={class_index}: the model has no classes; leave --class out")
    kwargs = {**data.kwargs, "c_dim": data.num_classes}
    for name in ("num_frames", "max_num_frames", "motion_kwargs"):
        kwargs.pop(name, None)
    if data.num_frames == 1:
        return NetworkData("ImageGenerator", _image_defaults(kwargs), data.state)
    generator = cast("VideoGenerator", data.build())
    classes = torch.zeros([1, data.num_classes])
    if data.num_classes:
        if class_index is None or not 0 <= class_index < data.num_classes:
            given = "" if class_index is None else f"--class={class_index}: "
            raise ValueError(
                f"{given}the model has {data.num_classes} classes; choose one with --class=0 ... "
                f"--class={data.num_classes - 1}"
            )
        classes[0, class_index] = 1
    with torch.no_grad():
        moment = torch.tensor([[time]], dtype=torch.float64)
        motion = generator.mapping.motion_rows(moment, classes, [motion_seed])[0, 0].float()
    state = {name: tensor for name, tensor in data.state.items() if not name.startswith("mapping.motion.")}
    const = state["synthesis.b4.const"]
    spread = motion[:, None, None].expand(-1, *const.shape[1:]).to(const.dtype)
    state["synthesis.b4.const"] = torch.cat([const, spread])
    return NetworkData("ImageGenerator", {**_image_defaults(kwargs), "frozen_dim": len(motion)}, state)


def _image_defaults(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Add the arguments that have defaults in `VideoGenerator` but not in `ImageGenerator`."""
    return {"z_dim": 512, "w_dim": 512, **kwargs}


def export_image(path: str | Path, generator: NetworkData, discriminator: NetworkData | None) -> None:
    """Write a pickle that stock StyleGAN2-ADA and StyleGAN3 checkouts open, even if this package is not installed.

    Args:
        path: The file.
        generator: An `ImageGenerator`.
        discriminator: Discriminator of an image model; None writes an empty module in its place, because stock loaders
            need a module.

    Raises:
        CheckpointError: If arguments and tensors do not fit.
        OSError: If the file cannot be written.
    """
    networks = bundle.image_networks()
    built = _rebuild(networks.ImageGenerator, generator)
    judge = (
        torch.nn.Identity() if discriminator is None else _rebuild(networks.TimeConditionedDiscriminator, discriminator)
    )
    content = {"G": built, "D": judge, "G_ema": built, "augment_pipe": None, "training_set_kwargs": None}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file)


def _rebuild(cls: type[torch.nn.Module], data: NetworkData) -> torch.nn.Module:
    data.build()  # its error says in one line what does not fit
    network = cls(**data.kwargs)
    network.load_state_dict(data.state)
    return network.eval().requires_grad_(requires_grad=False)
