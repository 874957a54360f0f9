"""Running an optimisation so that no work is lost: its state goes to a file every minute, and on Ctrl-C."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from stylegan_v_ext.files import save_tensors
from stylegan_v_ext.interrupts import StoppedBySignal, interruptible
from stylegan_v_ext.listener import SILENT, Listener

_SECONDS_BETWEEN = 60.0


class Descent(Protocol):
    """An optimisation that can be stopped and go on: `Projector`, `Tuner`, `TextEditor`, `RelevanceMeter`.

    Attributes:
        history: The loss before each step so far.
    """

    history: list[float]

    @property
    def done(self) -> bool:
        """Whether all steps are done."""

    @property
    def num_steps_in_all(self) -> int:
        """Number of steps from the beginning to the end."""

    def step(self) -> float:
        """Do one step; return the loss before it."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that going on needs, as tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


def run(
    descent: Descent, path: Path, purpose: str, label: str = "the optimisation", listener: Listener = SILENT
) -> None:
    """Run an optimisation to its end, from the state in the file if the file exists.

    Args:
        descent: What is run.
        path: File of the state. The caller deletes it when it has written the result.
        purpose: `fingerprint` of all that the result depends on.
        label: Name of the work, for messages.
        listener: Hears the progress, and how to go on after a signal.

    Raises:
        StoppedBySignal: After Ctrl-C or another signal: the step was finished, and the state was written.
        ValueError: If the file is no state, or the state of another purpose.
    """
    goes_on, total = path.exists(), descent.num_steps_in_all
    if goes_on:
        listener.say(f"Going on from {path}")
    with listener.progress(label, total) as advance, interruptible() as stopped:
        if goes_on:
            descent.load_state_dict(_load(path, purpose))
            advance(len(descent.history))
        else:
            save(descent, path, purpose)  # says now whether it can be written
        saved = time.monotonic()
        while not descent.done and not stopped.is_set():
            descent.step()
            advance(1)
            if stopped.is_set() or time.monotonic() - saved > _SECONDS_BETWEEN:
                save(descent, path, purpose)
                saved = time.monotonic()
    if stopped.number is not None:
        done = len(descent.history)
        listener.note(f"Stopped after {done} of {total} steps of {label}; the same command goes on from there")
        raise StoppedBySignal(stopped.number, path)


def save(descent: Descent, path: Path, purpose: str) -> None:
    """Write the state of an optimisation; arguments of `run`."""
    save_tensors({"purpose": purpose, "state": descent.state_dict()}, path)


def _load(path: Path, purpose: str) -> dict[str, Any]:
    remedy = "delete it or name another --output"
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        found = content["purpose"]
    except Exception as error:  # the reader fails in many ways on other files
        raise ValueError(f"{path} is no state of an optimisation ({type(error).__name__}); {remedy}") from None
    if found != purpose:
        raise ValueError(f"{path} belongs to another clip, network or other options; {remedy}")
    return content["state"]


def fingerprint(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of some values.

    Args:
        values: Networks, tensors, arrays and plain values by name. Dataclasses count by their `repr`.
    """
    digest = hashlib.sha256()
    for name, value in values.items():
        digest.update(f"{name}:".encode())
        if isinstance(value, torch.nn.Module):
            value = fingerprint(value.state_dict())
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().contiguous().numpy()
        digest.update(value.tobytes() if hasattr(value, "tobytes") else repr(value).encode())
    return digest.hexdigest()
