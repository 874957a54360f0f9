"""The type of the context that PyTorch passes to a `torch.autograd.Function`."""

from typing import Any, Protocol

import torch


class Context(Protocol):
    """The object that carries values from `forward` to `backward`; for annotations only.

    Attributes:
        saved_tensors: The arguments of `save_for_backward`: tensors, and None for a tensor that was not given.
        needs_input_grad: Whether the gradient of each argument of `forward` is wanted.
        settings: The arguments of `forward` that are not tensors.
    """

    saved_tensors: tuple[Any, ...]
    needs_input_grad: tuple[bool, ...]
    settings: tuple[Any, ...]

    def save_for_backward(self, *tensors: torch.Tensor | None) -> None:
        """Keep tensors for the backward pass."""

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether `backward` gets zeros in place of None for a gradient that is zero."""
