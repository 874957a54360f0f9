"""Running an optimisation so that no work is lost: its state goes to a file now and then, and on Ctrl-C."""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from stylegan_v_ext.files import save_tensors
from stylegan_v_ext.interrupts import StoppedBySignal, interruptible

_SECONDS_BETWEEN = 60.0


class Descent(Protocol):
    """What can be run: `Projector`, `Tuner`."""

    history: list[float]

    @property
    def done(self) -> bool: ...
    @property
    def num_steps_in_all(self) -> int: ...
    def step(self) -> float: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def run(descent: Descent, path: Path, purpose: str, progress: Callable[[int], None] = lambda steps: None) -> None:
    """Run to the end, from the state in the file if there is one.

    Args:
        purpose: What the result depends on, of `fingerprint`.
        progress: Called with the steps done since the last call.

    Raises:
        StoppedBySignal: After Ctrl-C, which finishes the step and writes the state, and `ValueError` if the file is of
            another purpose.
    """
    with interruptible() as stopped:
        if path.exists():
            descent.load_state_dict(_load(path, purpose))
            progress(len(descent.history))
        else:
            save(descent, path, purpose)  # says now whether it can be written
        saved = time.monotonic()
        while not descent.done and not stopped.is_set():
            descent.step()
            progress(1)
            if stopped.is_set() or time.monotonic() - saved > _SECONDS_BETWEEN:
                save(descent, path, purpose)
                saved = time.monotonic()
    if stopped.number is not None:
        raise StoppedBySignal(stopped.number, path)


def save(descent: Descent, path: Path, purpose: str) -> None:
    save_tensors({"purpose": purpose, "state": descent.state_dict()}, path)


def _load(path: Path, purpose: str) -> dict[str, Any]:
    remedy = "delete it or name another --output"
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        found = content["purpose"]
    except Exception as error:  # the reader fails in many ways on what is no such file
        raise ValueError(f"{path} is no state of an optimisation ({type(error).__name__}); {remedy}") from None
    if found != purpose:
        raise ValueError(f"{path} belongs to another clip, network or other options; {remedy}")
    return content["state"]


def fingerprint(values: Mapping[str, Any]) -> str:
    """SHA-256 of tensors, arrays and plain values by name."""
    digest = hashlib.sha256()
    for name, value in values.items():
        digest.update(f"{name}:".encode())
        if isinstance(value, torch.nn.Module):
            value = fingerprint(value.state_dict())
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().contiguous().numpy()
        digest.update(value.tobytes() if hasattr(value, "tobytes") else repr(value).encode())
    return digest.hexdigest()
