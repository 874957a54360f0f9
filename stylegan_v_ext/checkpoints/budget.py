"""A bound on the cost of reading one file.

A pickle can use a value again and again, so a few bytes of a file can stand for a very large object.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from stylegan_v_ext.checkpoints.errors import CheckpointError

MAX_STEPS = 1_000_000  # a snapshot of three networks of 1024 pixels takes some 170,000
_MAX_REUSE = 4  # times that the bytes of a file may be used; tied weights need little
_MAX_NESTED = 4  # levels of pickles inside pickles; the bytes of a storage are a pickle
_NESTED_STEPS = 40  # cost of a pickle inside a pickle before its first instruction


class Budget:
    """The steps and bytes that are left for reading one file and the pickles inside it.

    Args:
        file_size: Size of the file in bytes; texts and arrays may use each byte a few times.
        steps: Instructions, elements and entries that may be looked at.
    """

    def __init__(self, file_size: int, steps: int = MAX_STEPS) -> None:
        self._limit = self.steps = steps
        self.copied_bytes = _MAX_REUSE * file_size + (1 << 20)
        self._nested = 0

    def spend_steps(self, count: int) -> None:
        """Pay for `count` steps. Raises `CheckpointError` if too few are left."""
        self.steps -= count
        if self.steps < 0:
            raise CheckpointError(f"more than {self._limit} steps of reading; networks need far fewer")

    def spend_bytes(self, count: int) -> None:
        """Pay for `count` bytes of the file. Raises `CheckpointError` if too few are left."""
        self.copied_bytes -= count
        if self.copied_bytes < 0:
            raise CheckpointError("the same bytes stand for many values; networks use their bytes once")

    def spend_key(self, key: object, size: int) -> None:
        """Pay for a key in a container that holds `size` keys.

        Numbers can be chosen so that each number is compared with all numbers before it. Text cannot: Python's hashes
        of text are random.
        """
        self.spend_steps(1 if isinstance(key, (str, bytes)) else 1 + size // 16)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Pay for a pickle inside a pickle. Raises `CheckpointError` if they are too deep."""
        self.spend_steps(_NESTED_STEPS)
        self._nested += 1
        if self._nested > _MAX_NESTED:
            raise CheckpointError(f"pickles are nested more than {_MAX_NESTED} deep")
        try:
            yield
        finally:
            self._nested -= 1
