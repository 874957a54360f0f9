"""The folder of a run: only one run at a time may use it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.files import locked


@contextlib.contextmanager
def held(run_dir: Path, processes: Processes = ALONE) -> Iterator[None]:
    """Hold a run's folder inside the block, so that no other run changes its files meanwhile.

    Args:
        run_dir: An existing folder.
        processes: This process among all. They enter the block together, once the leading process has the lock.

    Raises:
        ValueError: If another run holds the folder.
    """
    with contextlib.ExitStack() as stack:

        def take() -> None:
            try:
                stack.enter_context(locked(run_dir, wait=False))
            except BlockingIOError:
                raise ValueError(f"another process trains in {run_dir}; wait for its end, or stop it") from None

        processes.from_leader(take)
        yield
