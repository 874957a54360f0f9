"""Networks whose tensors lie in dictionaries, as `torch.save` and many wrappers leave them.

A wrapper puts words before the names (`module.`, `decoder.`, `G_ema.`) and dictionaries around them (`state_dict`,
`params_ema`). A network is found by two names that only its kind has; both names may have the same prefix.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stylegan_v_ext.checkpoints import foreign
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.importers import rosinality, stylegan2, stylegan_v
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.checkpoints.records import Record, stored_tensors
from stylegan_v_ext.checkpoints.tensors import StoredTensor, load_all
from stylegan_v_ext.checkpoints.values import Instance, brief

_MAX_DICTIONARIES = 2_000  # optimizers have one for each tensor
_MAX_DEPTH = 5
_MAX_NAMES = 30_000  # names of tensors in all dictionaries together: each name is looked at some hundred times
_MAX_NAME = 300  # characters; a longer name is no tensor of a network
_MAX_PLACES = 50  # places in one dictionary at which a network may begin
_HALF = (torch.float16, torch.bfloat16)
_AVERAGE_WORDS = {"ema", "average", "averaged", "running", "gs", "decoder", "ge"}
_NEUTRAL_WORDS = {"", "module", "model", "state", "dict", "weights", "params", "network", "net"}
_LATENT_NAMES = ("latent_avg", "mean_latent", "latent_mean", "w_avg")


@dataclass(frozen=True)
class Kind:
    """A kind of networks.

    Attributes:
        name: Name of the format, for people.
        key: "G" or "D".
        marks: Two names that only networks of this kind have.
    """

    name: str
    key: str
    marks: tuple[str, str]


KINDS = (
    Kind("StyleGAN2 (rosinality)", "G", ("input.input", "conv1.conv.weight")),
    Kind("StyleGAN2 (rosinality)", "D", ("final_linear.1.weight", "final_conv.0.weight")),
    Kind("StyleGAN3 (PyTorch)", "G", ("synthesis.input.freqs", "mapping.fc0.weight")),
    Kind("StyleGAN-V release", "G", ("synthesis.motion_encoder.conv.0.weight", "mapping.fc0.weight")),
    Kind("StyleGAN-V release", "D", ("time_encoder.const_embed.weight", "b4.out.weight")),
    Kind("stylegan_v_ext tensors", "G", ("mapping.motion.encoding.freqs", "mapping.fc0.weight")),
    Kind("stylegan_v_ext tensors", "D", ("time.embed.weight", "b4.out.weight")),
    Kind("StyleGAN2 (PyTorch)", "G", ("synthesis.b4.const", "mapping.fc0.weight")),
    Kind("StyleGAN2 (PyTorch)", "D", ("b4.out.weight", "b4.conv.weight")),
)


_FIRST_MARKS = {kind.marks[0] for kind in KINDS}


@dataclass(frozen=True)
class Found:
    """A network in a file.

    Attributes:
        kind: Its kind.
        path: Keys of the dictionaries around it, outermost first.
        prefix: Text before all of its names.
        state: Its tensors by their own names, still in the file.
        latent_avg: The average w beside it; None if the file lacks it.
    """

    kind: Kind
    path: tuple[str, ...]
    prefix: str
    state: dict[str, Any]
    latent_avg: StoredTensor | torch.Tensor | None = None

    @property
    def place(self) -> str:
        """Where it lies in the file, for people."""
        return ".".join([*self.path, self.prefix.rstrip(".")]).strip(".")

    @property
    def words(self) -> set[str]:
        """The words of its place that distinguish one network from another."""
        return set(self.place.lower().replace(".", "_").split("_")) - _NEUTRAL_WORDS

    @property
    def key(self) -> str:
        """`D`, `G`, or `G_ema` for a generator whose place has a word for averages."""
        return "G_ema" if self.kind.key == "G" and self.words & _AVERAGE_WORDS else self.kind.key

    def read(self, notes: tuple[str, ...] = ()) -> NetworkData:
        """Read the network as one of our classes.

        Args:
            notes: Sentences to add to its notes.

        Returns:
            The network as data.

        Raises:
            CheckpointError: If it cannot be used.
        """
        foreign.refuse({name: tuple(tensor.shape) for name, tensor in self.state.items()})
        state = {
            name: tensor.float() if tensor.dtype in _HALF else tensor for name, tensor in load_all(self.state).items()
        }
        data = self._read(state)
        data.notes += [*notes, *([f"from {brief(self.place)} in the file"] if self.place else [])]
        return data

    def _read(self, state: dict[str, torch.Tensor]) -> NetworkData:
        if self.kind.name == "StyleGAN2 (rosinality)":
            if self.kind.key == "D":
                return rosinality.read_discriminator(state)
            return rosinality.read_generator(state, self.latent_avg)
        if self.kind.name == "StyleGAN3 (PyTorch)":
            raise CheckpointError(
                "tensors of a StyleGAN3 generator alone, which do not say how its filters were made; give the pickle "
                "(.pkl) that training wrote"
            )
        if self.kind.name in ("StyleGAN-V release", "stylegan_v_ext tensors"):
            data = stylegan_v.read_state(state)
        else:
            read = stylegan2.read_generator if self.kind.key == "G" else stylegan2.read_discriminator
            data = read(state)
        data.notes.append(
            "the file holds tensors alone: a learning rate multiplier of 0.01 in the mapping network and no clamps "
            "are assumed"
        )
        return data


def find_networks(content: object) -> list[Found]:
    """Find all networks of known kinds in a file.

    Args:
        content: Content of the file.

    Returns:
        The networks in the order of the file.

    Raises:
        CheckpointError: If there are only networks of families that cannot be used.
    """
    found: list[Found] = []
    refused: CheckpointError | None = None
    for path, tensors, around in _dictionaries(content):
        family = foreign.find_family(shapes := {name: tuple(tensor.shape) for name, tensor in tensors.items()})
        try:
            if family is not None:
                raise CheckpointError(family.sentence(shapes))
            found += _networks_in(path, tensors, around)
        except CheckpointError as error:
            refused = refused or error
    if refused is not None and not found:
        raise refused
    return found


def refuse_unknown(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that a file may hold a network that can be used.

    Args:
        shapes: Shapes of all tensors by name.

    Raises:
        CheckpointError: If the tensors are of a family that cannot be used, or of no network that is known.
    """
    family = foreign.find_family(shapes)
    if family is not None:
        raise CheckpointError(family.sentence(shapes))
    if not any(name == mark or name.endswith("." + mark) for name in shapes for mark in _FIRST_MARKS):
        raise CheckpointError(
            f"no network of a format that is read ({len(shapes)} tensors); docs/checkpoints.md lists the formats, and "
            "ours have a .json beside them"
        )


def _networks_in(path: tuple[str, ...], tensors: Mapping[str, Any], around: list[Any]) -> Iterator[Found]:
    """Yield the networks among the tensors of one dictionary.

    Args:
        path: Keys that lead to the dictionary.
        tensors: Its tensors by name.
        around: The dictionary, and the dictionaries that it lies in.
    """
    taken: list[str] = []
    places = [
        (name.removesuffix(kind.marks[0]), kind)
        for kind in KINDS
        for name in tensors
        if name == kind.marks[0] or name.endswith("." + kind.marks[0])
    ]
    places = sorted(places[:_MAX_PLACES], key=lambda place: -len(place[0]))
    for prefix, kind in places:  # a network with a longer prefix is no part of a network with a shorter prefix
        if prefix + kind.marks[1] not in tensors or prefix in taken:
            continue
        others = tuple(other for other in taken if other.startswith(prefix))
        state = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix) and not name.startswith(others)
        }
        taken.append(prefix)
        latent_avg = _latent_avg(state, around) if kind.name == "StyleGAN2 (rosinality)" else None
        yield Found(kind, path, prefix, state, latent_avg)


def _latent_avg(state: dict[str, Any], around: list[Any]) -> StoredTensor | torch.Tensor | None:
    """Take the average w out of the tensors of a network, or find it in a dictionary around them."""
    own = [state.pop(name) for name in _LATENT_NAMES if name in state]
    near = (place.get(name) for place in around if isinstance(place, dict) for name in _LATENT_NAMES if name in place)
    return next((value for value in [*own, *near] if isinstance(value, (StoredTensor, torch.Tensor))), None)


def _dictionaries(content: object) -> Iterator[tuple[tuple[str, ...], dict[str, Any], list[Any]]]:
    """Yield every dictionary that holds tensors.

    Args:
        content: Content of the file.

    Yields:
        The keys that lead to the dictionary, its tensors by name, and a list of it and the dictionaries around it.
    """
    pending: list[tuple[tuple[str, ...], Any, list[Any]]] = [((), content, [])]
    seen: set[int] = set()
    names_left = _MAX_NAMES
    for path, value, around in pending:  # the list grows in the loop
        if id(value) in seen or len(seen) >= _MAX_DICTIONARIES:
            continue
        seen.add(id(value))
        if isinstance(value, (Record, Instance)) and isinstance(value.state, dict) and "_modules" in value.state:
            tensors = stored_tensors(value)
            inner: dict[str, Any] = {}
        elif isinstance(value, dict):
            tensors = inner = value
        else:
            continue
        tensors = {
            name: tensor
            for name, tensor in tensors.items()
            if isinstance(name, str) and len(name) <= _MAX_NAME and isinstance(tensor, (StoredTensor, torch.Tensor))
        }
        names_left -= len(tensors)
        if names_left < 0:
            raise CheckpointError(f"more than {_MAX_NAMES} tensors by name; networks have far fewer")
        around = [value, *around]
        if tensors:
            yield path, tensors, around
        if len(path) < _MAX_DEPTH:
            pending += [
                ((*path, name), part, around)
                for name, part in inner.items()
                if isinstance(name, str) and isinstance(part, (dict, Record, Instance))
            ]


def choose(found: list[Found]) -> dict[str, Callable[[], NetworkData]]:
    """Choose the first network for each of `G`, `D` and `G_ema`; the notes name the networks that are left out.

    Args:
        found: Result of `find_networks`.

    Returns:
        Functions that read the networks.
    """
    chosen: dict[str, Found] = {}
    for network in found:
        chosen.setdefault(network.key, network)
    if "G_ema" not in chosen and "G" in chosen and not chosen["G"].words:
        chosen["G_ema"] = chosen.pop("G")  # a single generator is the one to use
    left_out = [network.place for network in found if network not in chosen.values()]
    notes = tuple(f"{brief(place)} in the file is not used" for place in left_out[:10])
    return {key: _reader(network, notes) for key, network in chosen.items()}


def _reader(network: Found, notes: tuple[str, ...]) -> Callable[[], NetworkData]:
    return lambda: network.read(notes)
