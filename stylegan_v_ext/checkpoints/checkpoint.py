"""Opening a checkpoint of any known format: one door for files, run folders and URLs."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

import dnnlib
from stylegan_v_ext.arguments import path_of
from stylegan_v_ext.checkpoints import exports, foreign, state_dicts, trusted
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.importers import stylegan2, stylegan3, stylegan_v, tensorflow
from stylegan_v_ext.checkpoints.network import CLASSES, ROLES, NetworkData, keyword_arguments
from stylegan_v_ext.checkpoints.plain_values import MAX_SETTINGS, plain
from stylegan_v_ext.checkpoints.reader import read_file
from stylegan_v_ext.checkpoints.records import Record
from stylegan_v_ext.checkpoints.snapshot import find_snapshot
from stylegan_v_ext.checkpoints.values import Instance, brief

if TYPE_CHECKING:
    from stylegan_v_ext.networks.generator import VideoGenerator

NETWORKS = ("G", "D", "G_ema")


class NotFiniteError(CheckpointError):
    """A network whose weights hold NaN or infinite numbers."""


@dataclass
class Checkpoint:
    """A checkpoint as data. Networks are read and built only on request.

    Attributes:
        path: The file.
        format: Name of the file's format, for people.
        readers: Functions that read the networks `G`, `D` and `G_ema`, if the file has them.
        records: Persistent objects of the file, by their keys in it.
        training_set_kwargs: Keyword arguments of the data set that the networks were trained on, if recorded.
        allow_nan: Whether networks with NaN or infinite weights may be used.
    """

    path: Path
    format: str
    readers: dict[str, Callable[[], NetworkData]]
    records: dict[str, Record] = field(default_factory=dict)
    training_set_kwargs: dict[str, Any] = field(default_factory=dict)
    allow_nan: bool = False

    @property
    def generator_key(self) -> str:
        """`G_ema`, the averaged generator, or `G` if the file has no average."""
        return "G_ema" if "G_ema" in self.readers else "G"

    def network(self, key: str) -> NetworkData:
        """Read a network as data of one of our classes.

        Args:
            key: "G", "D" or "G_ema".

        Returns:
            The network, read again at each call.

        Raises:
            CheckpointError: If the file has no such network, or if arguments and tensors do not fit.
            NotFiniteError: If weights are NaN or infinite and `allow_nan` is not set.
        """
        if key not in self.readers:
            raise CheckpointError(f"{self.path} holds no {key}")
        try:
            data = self.readers[key]()
            data.check_arguments()
            if data.class_name not in ROLES[key]:
                raise CheckpointError(f"a {data.class_name}; known are {', '.join(ROLES[key])}")
            data = _as_video_class(data)
            data.check()
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {key}: {error}") from None
        except Exception as error:  # shapes and options of the file may be anything
            reason = next(iter(str(error).splitlines()), "")
            raise CheckpointError(
                f"{self.path}: {key} has an unknown layout ({type(error).__name__}: {reason})"
            ) from None
        if not self.allow_nan:
            self._refuse_not_finite(key, data)
        return data

    def _refuse_not_finite(self, key: str, data: NetworkData) -> None:
        names = data.find_not_finite()
        if names:
            raise NotFiniteError(
                f"{self.path}: {key} has NaN or infinite weights ({describe_not_finite(names, data)}): its training "
                "went wrong; take an earlier snapshot, or use it all the same with --allow-nan"
            )

    def discriminator(self) -> tuple[NetworkData | None, str]:
        """Read the discriminator for a caller that can do without it.

        Returns:
            `D` and an empty text, or None and the reason if it is missing or cannot be used.

        Raises:
            NotFiniteError: If weights are NaN or infinite and `allow_nan` is not set.
        """
        try:
            return self.network("D"), ""
        except NotFiniteError:
            raise
        except CheckpointError as error:
            return None, str(error)

    def build(self, key: str) -> torch.nn.Module:
        """Build a network from our own classes.

        Args:
            key: "G", "D" or "G_ema".

        Returns:
            The network on the CPU in eval mode.

        Raises:
            CheckpointError: As `network` does.
        """
        data = self.network(key)
        try:
            return data.build()
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {key} {error}") from None

    def build_generator(self) -> "VideoGenerator":
        """Build the averaged generator `G_ema`, or `G` if the file has no average.

        Returns:
            The generator on the CPU in eval mode. A file may hold an image generator of another class, which lacks
            some attributes of a `VideoGenerator`; `advice` says what it cannot do.

        Raises:
            CheckpointError: As `network` does.
        """
        return cast("VideoGenerator", self.build(self.generator_key))


def describe_not_finite(names: list[str], data: NetworkData) -> str:
    """Say in words how many tensors of a network hold NaN or infinite numbers.

    Args:
        names: Names of these tensors, at least one.
        data: The network.

    Returns:
        A clause such as "in 3 of 80 tensors, 'b4.const' first".
    """
    return f"in {len(names)} of {len(data.state)} tensors, {brief(names[0])} first"


def _as_video_class(data: NetworkData) -> NetworkData:
    """Return StyleGAN2's generator as the `VideoGenerator` of one frame, which the rest of the package works with."""
    if data.class_name != "ImageGenerator" or data.kwargs.get("frozen_dim"):
        return data
    kwargs = {name: value for name, value in data.kwargs.items() if name != "frozen_dim"}
    return NetworkData(
        "VideoGenerator", {**kwargs, "c_dim": kwargs["c_dim"] + 1, "num_frames": 1}, data.state, data.notes
    )


def load(path: str | Path, *, trust_pickle: bool = False, best: bool = True, allow_nan: bool = False) -> Checkpoint:
    """Open a checkpoint without running any code in it.

    Args:
        path: A file, a run folder, or an http(s) URL, which is downloaded to the cache.
        trust_pickle: Unpickle as Python does, which runs the code in the file.
        best: Take the best snapshot of a run folder by `fvd2048_16f`, if that was measured; otherwise the last one.
        allow_nan: Allow networks whose weights hold NaN or infinite numbers.

    Returns:
        The checkpoint; its networks are read on request.

    Raises:
        CheckpointError: If the file cannot be read, or is no checkpoint of a known format.
        ValueError: If `path` is no path.
    """
    checkpoint = _open(path, trust_pickle=trust_pickle, best=best)
    checkpoint.allow_nan = allow_nan
    return checkpoint


def _open(path: str | Path, *, trust_pickle: bool, best: bool) -> Checkpoint:
    if dnnlib.util.is_url(path):
        try:
            path = dnnlib.util.open_url(str(path), return_filename=True)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be downloaded ({error})") from None
    path = find_snapshot(path_of("path", path), best=best)
    content: object = None
    ending = path.suffix.lower()
    if ending == ".safetensors" and not path.with_suffix(".json").exists():
        content = exports.read_foreign_safetensors(path)
    if ending in (".safetensors", ".json") and content is None:
        readers, description = exports.read_safetensors(path)
        return Checkpoint(path, "safetensors", readers, training_set_kwargs=description["training_set_kwargs"])
    if content is None:
        content = trusted.read_pickle(path) if trust_pickle else read_file(path)
    for name, opener in _FORMATS:
        try:
            checkpoint = opener(path, content)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
        except Exception as error:  # parts of records may be anything
            raise CheckpointError(f"{path} has an unknown layout ({type(error).__name__})") from None
        if checkpoint is not None:
            checkpoint.format = checkpoint.format or name
            return checkpoint
    raise CheckpointError(
        f"{path} is not a network snapshot: it holds no G_ema, nor networks of another format that is read "
        f"({_contents(content)}); docs/checkpoints.md lists the formats"
    )


def _contents(content: object) -> str:
    """Say in a clause what a file holds in place of networks."""
    if not isinstance(content, dict):
        return f"but {brief(content)}"
    names = [brief(key) for key in itertools.islice(content, 3)]
    return f"but {', '.join(names)}{', ...' if len(content) > 3 else ''}" if names else "but nothing"


def _open_tensorflow(path: Path, content: object) -> Checkpoint | None:
    if not tensorflow.is_checkpoint(content):
        return None
    generator, discriminator, average = cast("tuple[Instance, Instance, Instance]", content)
    return Checkpoint(
        path,
        "",
        {
            "G": partial(tensorflow.read_generator, generator),
            "D": partial(tensorflow.read_discriminator, discriminator),
            "G_ema": partial(tensorflow.read_generator, average),
        },
    )


def _open_state_dicts(path: Path, content: object) -> Checkpoint | None:
    """Open a file that holds networks as dictionaries of tensors alone, in any wrapper."""
    found = state_dicts.find_networks(content)
    if not found:
        return None
    settings = content.get("training_set_kwargs") if isinstance(content, dict) else None
    kwargs = plain(settings, MAX_SETTINGS) if isinstance(settings, dict) else {}
    return Checkpoint(path, found[0].kind.name, state_dicts.choose(found), training_set_kwargs=kwargs)


def _open_records(path: Path, content: object) -> Checkpoint | None:
    """Open a pickle of persistent objects: ours, NVLabs', or the StyleGAN-V release's."""
    if isinstance(content, Record):
        content = {"G_ema" if "mapping.w_avg" in content.shapes() else "D": content}
    if not isinstance(content, dict):
        return None
    records = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Record)}
    readers: dict[str, Callable[[], NetworkData]] = {
        key: partial(_read_record, records[key]) for key in NETWORKS if key in records
    }
    if not readers:
        return None
    training_set_kwargs = content.get("training_set_kwargs")
    return Checkpoint(
        path,
        _record_format(records),
        readers,
        records,
        plain(training_set_kwargs, MAX_SETTINGS) if isinstance(training_set_kwargs, dict) else {},
    )


def _record_format(records: dict[str, Record]) -> str:
    record = records.get("G_ema") or records.get("G") or next(iter(records.values()))
    names = record.shapes()
    if record.class_name in CLASSES:
        return "stylegan_v_ext snapshot"
    family = foreign.find_family(names)
    if family is not None:
        return f"{family.name}, which is not read"
    if stylegan_v.is_network(names):
        return "StyleGAN-V release"
    return "StyleGAN3 (PyTorch)" if stylegan3.is_generator(names) else "StyleGAN2 (PyTorch)"


def _read_record(record: Record) -> NetworkData:
    state = record.state_dict()
    if record.class_name in CLASSES:
        kwargs = keyword_arguments(record.class_name, record.init_args, record.init_kwargs)
        return NetworkData(record.class_name, kwargs, state)
    foreign.refuse({name: tuple(tensor.shape) for name, tensor in state.items()})
    if stylegan_v.is_network(state):
        return stylegan_v.read_network(record, state)
    if stylegan3.is_generator(state):
        return stylegan3.read_generator(record, state)
    if stylegan2.is_generator(state):
        return stylegan2.read_generator(state, record.attribute)
    if stylegan2.is_discriminator(state):
        return stylegan2.read_discriminator(state, record.attribute)
    known = ", ".join(CLASSES)
    raise CheckpointError(
        f"a {record.class_name}; known classes are {known}, and those of StyleGAN2, StyleGAN3 and StyleGAN-V"
    )


_FORMATS: list[tuple[str, Callable[[Path, object], Checkpoint | None]]] = [
    ("StyleGAN2 (TensorFlow)", _open_tensorflow),
    ("", _open_records),
    ("", _open_state_dicts),
]
