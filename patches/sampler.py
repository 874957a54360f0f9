"""Data order: `torch.utils.data.Sampler` takes no arguments."""

import torch

from patches.patch import Edit, Patch


def _needed() -> bool:
    try:
        torch.utils.data.Sampler([0])  # type: ignore[call-arg]
    except TypeError:
        return True
    return False


PATCH = Patch(
    name="sampler",
    symptom="TypeError: object.__init__() takes exactly one argument (the instance to initialize)",
    versions="PyTorch 2.10 and later",
    reason="the data set was passed on to a base class that has no use for it",
    needed=_needed,
    edits=(Edit("torch_utils/misc.py", r"super\(\)\.__init__\(dataset\)", "super().__init__()"),),
    replaced_by="torch_utils.misc",
)
