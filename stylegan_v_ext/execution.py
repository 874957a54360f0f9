"""How PyTorch and NumPy compute inside a block: number types, algorithms, random numbers.

These settings belong to the process. A library that sets one of them changes what its caller computes afterwards. Here
they are set for a block alone: when the block ends, however it ends, they are what they were before.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from stylegan_v_ext.networks import precision

__all__ = ["execution"]


@contextmanager
def execution(
    *,
    seed: int | None = None,
    bfloat16_on_cpu: bool | None = None,
    tf32: bool | None = None,
    cudnn_benchmark: bool | None = None,
) -> Iterator[None]:
    """Compute with these settings inside the block, and restore what was set before.

    Blocks may be nested. Other threads see the settings of the block too, since these belong to the process.

    Args:
        seed: Seed of the random generators of PyTorch (all devices) and of NumPy, 0 ... 2**32 - 1. At the end of the
            block they go on as if the block had not been there. None neither seeds nor restores them.
        bfloat16_on_cpu: Whether networks on a CPU compute in bfloat16. None keeps the setting.
        tf32: Whether convolutions and matrix products of float32 may round to TF32 on GPUs. None keeps the setting.
        cudnn_benchmark: Whether cuDNN chooses algorithms by timing them. None keeps the setting.
    """
    with ExitStack() as stack:
        if seed is not None:
            stack.enter_context(_random_states_kept())
            np.random.seed(seed)
            torch.manual_seed(seed)
        if bfloat16_on_cpu is not None:
            stack.enter_context(precision.bfloat16_on_cpu(bfloat16_on_cpu))
        if tf32 is not None:
            for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
                stack.enter_context(_attribute(backend, "allow_tf32", value=tf32))
        if cudnn_benchmark is not None:
            stack.enter_context(_attribute(torch.backends.cudnn, "benchmark", value=cudnn_benchmark))
        yield


@contextmanager
def _attribute(owner: object, name: str, *, value: bool) -> Iterator[None]:
    """Set an attribute inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """Restore the random generators of NumPy and PyTorch after the block."""
    numpy_state, torch_state = np.random.get_state(), torch.get_rng_state()
    restore_device = _device_states()
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        restore_device()


def _device_states() -> Callable[[], None]:
    """Return a function that restores the random generators of the GPUs as they are now."""
    if torch.cuda.is_initialized():
        states = torch.cuda.get_rng_state_all()
        return lambda: torch.cuda.set_rng_state_all(states)
    if torch.backends.mps.is_available():
        state = torch.mps.get_rng_state()
        return lambda: torch.mps.set_rng_state(state)
    return _seed_new_gpus


def _seed_new_gpus() -> None:
    """Seed GPUs that the block was the first to use, as PyTorch would have seeded them outside of the block."""
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(torch.initial_seed())
