"""Optimizers: Adam wants its betas to be of one type."""

import torch

from patches.patch import Edit, Patch


def _needed() -> bool:
    try:
        torch.optim.Adam([torch.zeros([])], betas=[0, 0.99])  # type: ignore[arg-type]
    except ValueError:
        return True
    return False


PATCH = Patch(
    name="betas",
    symptom="ValueError: betas must be either both floats or both Tensors",
    versions="PyTorch 2.6 and later, for networks without a lazy regulariser",
    reason="the list mixes an int and a float",
    needed=_needed,
    edits=(Edit("*.py", r"\bbetas=\[0,", "betas=[0.0,"),),
)
