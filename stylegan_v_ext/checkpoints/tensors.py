"""Tensors out of the bytes of a file: PyTorch's storages, in both layouts of `torch.save`."""

import math
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeGuard

import numpy as np
import torch

from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.machine import Machine
from stylegan_v_ext.checkpoints.values import Constructor, Global, brief

STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MAX_KEY = 64  # characters of the name of a storage
_MAX_MEMBERS = 20_000  # files in a zip file; PyTorch writes one file for each storage and a few more
_MAX_TENSORS = 20_000  # tensors in a network
_MAX_DIMENSIONS = 8

Find = Callable[[Global], Constructor | None]
"""Returns the constructor of a name; None for a name that may be mentioned but not called."""


@dataclass(eq=False)
class Storage:
    """Bytes of the file that tensors are views of.

    Attributes:
        dtype: Type of the elements.
        numel: Number of elements.
        data: The bytes; None until it is known where they lie.
    """

    dtype: torch.dtype
    numel: int
    data: memoryview | None = None


@dataclass(eq=False)
class StoredTensor:
    """A tensor that is still in the file.

    Attributes:
        storage: Where its elements are.
        offset: Position of the first element in the storage, in elements.
        shape: Its shape.
        stride: Distance of neighbours along each axis, in elements.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def extent(self) -> int:
        """Number of elements of the storage from its first element to its last."""
        if 0 in self.shape:
            return 0
        return 1 + sum((length - 1) * step for length, step in zip(self.shape, self.stride, strict=True))

    @property
    def nbytes(self) -> int:
        """Size of that part of the storage, in bytes."""
        return self.extent * self.storage.dtype.itemsize

    def load(self) -> torch.Tensor:
        """Load the tensor into its own memory. Raises `CheckpointError` if it is missing."""
        if self.storage.data is None:
            raise CheckpointError("tensors are missing in the file")
        size = self.storage.dtype.itemsize
        raw = self.storage.data[self.offset * size : (self.offset + self.extent) * size]
        if not raw.nbytes:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        flat = torch.from_numpy(np.frombuffer(raw, np.uint8).copy()).view(self.storage.dtype)
        return flat.as_strided(self.shape, self.stride)


def load_all(state: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """Load the tensors of a network.

    Args:
        state: Tensors in the file or in memory by name; other values are left out.

    Returns:
        Tensors in memory by name.

    Raises:
        CheckpointError: If there are too many, or if few bytes of the file become very many.
    """
    stored = [value for value in state.values() if isinstance(value, StoredTensor)]
    if len(stored) > _MAX_TENSORS:
        raise CheckpointError(f"{len(stored)} tensors; a network has at most {_MAX_TENSORS}")
    storages = {id(tensor.storage): tensor.storage for tensor in stored}.values()
    budget = Budget(sum(storage.numel * storage.dtype.itemsize for storage in storages))
    for tensor in stored:
        budget.spend_bytes(tensor.nbytes)
    return {
        name: value.load() if isinstance(value, StoredTensor) else value
        for name, value in state.items()
        if isinstance(value, (StoredTensor, torch.Tensor))
    }


def _storage_type(pid: object) -> tuple[torch.dtype, str, int]:
    """Return type, key and number of elements that the persistent id of a storage names."""
    if not isinstance(pid, tuple):
        raise CheckpointError("the file refers to objects outside itself")
    kind, storage, key, _, numel = pid[:5]
    if not isinstance(key, str) or len(key) > _MAX_KEY:
        raise CheckpointError(f"a storage named {brief(key)}, which is no text of at most {_MAX_KEY} characters")
    if kind != "storage" or not isinstance(storage, Global) or storage.name not in STORAGES:
        raise CheckpointError("the file holds a storage of an unknown kind")
    if not isinstance(numel, int) or numel < 0 or (len(pid) > 5 and pid[5] is not None):
        raise CheckpointError("the file holds a storage of an unknown layout")
    return STORAGES[storage.name], key, numel


def read_legacy(data: memoryview, budget: Budget, find: Find) -> object:
    """Read what `torch.save` once wrote: header, object, keys of the storages, then the bytes of each storage.

    Args:
        data: The bytes of the file.
        budget: Pays for the reading.
        find: Constructors by name.

    Returns:
        The object.

    Raises:
        CheckpointError: If the file is damaged, or has another layout.
    """
    position, header = 0, []
    for _ in range(3):
        machine = Machine(data, budget, find, position=position)
        header.append(machine.load())
        position = machine.position
    if header[0] != LEGACY_MAGIC or header[1] != _LEGACY_PROTOCOL or not isinstance(header[2], dict):
        raise CheckpointError("tensors in an unknown layout")
    if not header[2].get("little_endian", True):
        raise CheckpointError("tensors of a big-endian machine")

    storages: dict[str, Storage] = {}

    def persistent(pid: object) -> Storage:
        dtype, key, numel = _storage_type(pid)
        return storages.setdefault(key, Storage(dtype, numel))

    machine = Machine(data, budget, find, persistent, position)
    value = machine.load()
    keys = Machine(data, budget, find, position=machine.position)
    order, position = keys.load(), keys.position
    if not isinstance(order, list) or any(not isinstance(key, str) for key in order):
        raise CheckpointError("the names of storages are no list of texts")
    for key in order:
        if key not in storages:
            raise CheckpointError(f"a storage named {brief(key)}, which no tensor uses")
        storage = storages[key]
        numel = struct.unpack_from("<q", data, position)[0]
        end = position + 8 + storage.numel * storage.dtype.itemsize
        if numel != storage.numel or end > len(data):
            raise CheckpointError("tensors are cut short or damaged; fetch the file again")
        storage.data = data[position + 8 : end]
        position = end
    return value


def read_zip(file: BinaryIO, data: memoryview, budget: Budget, find: Find) -> object:
    """Read what `torch.save` writes today: a zip file with a pickle and a member for every storage.

    Args:
        file: The file.
        data: The bytes of the file.
        budget: Pays for the reading.
        find: Constructors by name.

    Returns:
        The object.

    Raises:
        CheckpointError: If the file is damaged, holds a program, or has another layout.
    """
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise CheckpointError("a zip file that is cut short or damaged; fetch it again") from None
    if any("/code/__torch__" in name for name in archive.namelist()):
        raise CheckpointError(
            "a TorchScript program, which is code; it was not run: give the checkpoint that it was made from"
        )
    entries = _zip_entries(archive, data)
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("a zip file without a PyTorch checkpoint in it; if one is packed inside, unpack it")
    prefix = pickles[0].removesuffix("data.pkl")
    if entries.get(f"{prefix}byteorder", b"little") != b"little":
        raise CheckpointError("tensors of a big-endian machine")

    storages: dict[str, Storage] = {}

    def persistent(pid: object) -> Storage:
        dtype, key, numel = _storage_type(pid)
        record = entries.get(f"{prefix}data/{key}")
        if record is None or len(record) != numel * dtype.itemsize:
            raise CheckpointError(f"storage {key} is missing or damaged")
        return storages.setdefault(key, Storage(dtype, numel, record))

    return Machine(entries[pickles[0]], budget, find, persistent).load()


def _zip_entries(archive: zipfile.ZipFile, data: memoryview) -> dict[str, memoryview]:
    """Return the bytes of the members by name. Raises `CheckpointError` if two members share a name or bytes."""
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise CheckpointError(f"{len(infos)} members in the zip file; a checkpoint has at most {_MAX_MEMBERS}")
    entries: dict[str, memoryview] = {}
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = brief(info.filename)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise CheckpointError(f"{name} in the file is compressed, which PyTorch never does")
        if not 0 <= info.header_offset <= len(data) - 30:
            raise CheckpointError(f"{name} in the file is cut short")
        names, extra = struct.unpack_from("<HH", data, info.header_offset + 26)
        start = info.header_offset + 30 + names + extra
        if info.filename in entries or info.header_offset < end:
            raise CheckpointError(f"{name} in the file shares its name or bytes with another member")
        end = start + info.file_size
        if end > len(data):
            raise CheckpointError(f"{name} in the file is cut short")
        entries[info.filename] = data[start:end]
    return entries


def rebuild_tensor(args: tuple[Any, ...], budget: Budget) -> StoredTensor:
    """Stand in for `torch._utils._rebuild_tensor(_v2)`.

    Args:
        args: Storage, offset, shape and stride, as the file has them.
        budget: Not used: a view costs nothing.

    Returns:
        A view of the storage.

    Raises:
        CheckpointError: If the tensor does not lie inside the storage.
    """
    storage, offset, shape, stride = args[:4]
    if not isinstance(storage, Storage) or not is_shape(shape) or not is_shape(stride) or not is_shape([offset]):
        raise CheckpointError("a tensor of an unknown layout")
    tensor = StoredTensor(storage, offset, tuple(shape), tuple(stride))
    if math.prod(shape) > storage.numel or offset + tensor.extent > storage.numel:
        raise CheckpointError(f"a tensor of shape {list(shape)} in a storage of {storage.numel} elements")
    return tensor


def is_shape(value: object) -> TypeGuard[Sequence[int]]:
    """Return whether a value is a list or tuple of a few whole numbers from 0 on."""
    if not isinstance(value, (list, tuple)) or len(value) > _MAX_DIMENSIONS:
        return False
    return all(isinstance(number, int) and 0 <= number < 1 << 63 for number in value)
