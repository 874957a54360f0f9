"""Unpickling as Python does, which runs the code in the file, for files from a person whom the user trusts."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.reader import read_file
from stylegan_v_ext.checkpoints.records import Record


class _Unpickler(pickle.Unpickler):
    """Python's own unpickler; tensors of any device come to the CPU."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - the signature of Python's class
        """Return the class or function of a name."""
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return lambda data: torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return super().find_class(module, name)


def read_pickle(path: str | Path) -> object:
    """Unpickle a file, which runs the code in it.

    Args:
        path: The file.

    Returns:
        Its content; networks are records.

    Raises:
        CheckpointError: If the file is damaged, or the code in it raises an error.
    """
    with open(path, "rb") as file:
        if file.read(4) == b"PK\x03\x04":  # torch.save wrote it: such a file needs no trust
            return read_file(path)
    try:
        with open(path, "rb") as file:
            content = _Unpickler(file).load()
    except Exception as error:
        raise CheckpointError(f"{path} cannot be unpickled ({type(error).__name__}: {error})") from None
    if isinstance(content, dict):
        return {key: _as_data(value) for key, value in content.items()}
    return _as_data(content)


def _as_data(value: object) -> object:
    if not isinstance(value, torch.nn.Module):
        return value
    state = dict(vars(value))
    state["_modules"] = {name: _as_data(child) for name, child in value._modules.items()}
    return Record(type(value).__name__, getattr(value, "_orig_module_src", ""), state)
