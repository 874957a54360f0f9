"""Whether the numbers of a run stay finite, looked at without waiting for the device at every step."""

from collections.abc import Iterable

import torch


class NotFinite(ValueError):
    """A loss or a weight became NaN or infinite; the message names it and the step."""


class Health:
    """Keeps the first step at which a loss was not finite, on the device; `check` fetches it.

    Args:
        device: Device of the losses.
    """

    def __init__(self, device: torch.device) -> None:
        self._first = torch.full([], -1, dtype=torch.int64, device=device)
        self._checks_each_step = device.type == "cpu"  # there is nothing to wait for

    @torch.no_grad()
    def watch(self, step: int, loss: torch.Tensor) -> None:
        """Remember the step of a loss if it is the first loss that is not finite.

        Args:
            step: Number of the step.
            loss: Loss of that step, of any shape.
        """
        bad = ~torch.isfinite(loss.detach()).all() & (self._first < 0)
        self._first = torch.where(bad, torch.full_like(self._first, step), self._first)

    def after_step(self) -> None:
        """Raise `NotFinite` if a loss so far was not finite; on a GPU this would have to wait, and `check` does it."""
        if self._checks_each_step:
            self._check_losses()

    def check(self, networks: Iterable[torch.nn.Module]) -> None:
        """Check all losses so far and all weights now; this waits for the device.

        Args:
            networks: Networks whose weights are checked.

        Raises:
            NotFinite: If one of these numbers is NaN or infinite.
        """
        self._check_losses()
        for network in networks:
            norms = torch.stack(torch._foreach_norm(list(network.parameters())))
            if not torch.isfinite(norms).all():
                names = [name for name, _ in network.named_parameters()]
                first = names[int((~torch.isfinite(norms)).nonzero()[0])]
                raise NotFinite(f"weight {first} of {type(network).__name__} is NaN or infinite")

    def _check_losses(self) -> None:
        if (step := int(self._first)) >= 0:
            raise NotFinite(f"a loss became NaN or infinite at step {step}")
