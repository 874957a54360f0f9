"""Values of a file as plain Python."""

from typing import Any

from stylegan_v_ext.checkpoints import arrays, tensors
from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.values import Instance

MAX_SETTINGS = 400_000  # values in settings; the settings of a data set may list the videos to leave out
PLAIN = (str, int, float, bool, type(None))
_MAX_DEPTH = 64  # levels of lists in lists
_MAX_VALUES = 20_000  # values in arguments; the largest files have some hundred


def plain(value: object, most: int = _MAX_VALUES) -> Any:  # noqa: ANN401 - the type is whatever the file holds
    """Copy a value of a file; arrays and OmegaConf nodes become plain Python, other objects stay as they are.

    Args:
        value: Containers, numbers, text, tensors, or any other value of the file.
        most: How many values may be in it; a value that is shared counts every time.

    Returns:
        The copy.

    Raises:
        CheckpointError: If there are more values, or if few bytes of the file become very many.
    """
    return _Copier(most).copy(value, 0)


class _Copier:
    """Copies values of a file and pays for them: a value that is shared counts every time."""

    def __init__(self, most: int) -> None:
        self._most, self._budget = most, Budget(0, most)
        self._sources: set[int] = set()

    def copy(self, value: object, depth: int) -> object:
        """Return the value as plain Python; it lies `depth` containers deep."""
        if depth > _MAX_DEPTH:
            raise CheckpointError(f"values are nested more than {_MAX_DEPTH} deep")
        self._count(1)
        if isinstance(value, (str, bytes)):
            self._budget.spend_bytes(len(value))
        elif isinstance(value, dict):
            return self._copy_dict(value, depth)
        elif isinstance(value, (list, tuple)):
            self._count(len(value))
            return type(value)(self.copy(item, depth + 1) for item in value)
        elif isinstance(value, memoryview):
            self._pay(value, value.nbytes)
            return bytes(value)
        elif isinstance(value, tensors.StoredTensor):
            self._pay(value.storage, value.nbytes)
            return value.load()
        elif isinstance(value, Instance):
            return self._copy_instance(value, depth)
        return value

    def _copy_dict(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        self._count(len(value))
        result: dict[Any, Any] = {}
        for key, item in value.items():
            self._budget.spend_key(key, len(result))
            self._budget.spend_bytes(len(key) if isinstance(key, (str, bytes)) else 0)
            result[key] = self.copy(item, depth + 1)
        return result

    def _copy_instance(self, value: Instance, depth: int) -> object:
        if (value.module, value.name) == ("numpy", "ndarray"):
            raw = arrays.array_bytes(value)
            self._pay(raw, len(raw))
            return arrays.as_array(value)
        if value.module.startswith("omegaconf") and isinstance(value.state, dict):
            return self.copy(value.state.get("_content", value.state.get("_val")), depth + 1)
        return value

    def _count(self, values: int) -> None:
        if values > self._budget.steps:
            raise CheckpointError(f"more than {self._most} values")
        self._budget.spend_steps(values)

    def _pay(self, source: object, nbytes: int) -> None:
        """Pay for bytes; the bytes of a source may be copied only a few times.

        Args:
            source: The object that holds the bytes in the file; it lives as long as the copier.
            nbytes: How many bytes are copied.
        """
        if id(source) not in self._sources:
            self._sources.add(id(source))
            self._budget.copied_bytes += nbytes
        self._budget.spend_bytes(nbytes // 4)
