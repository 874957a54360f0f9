"""Which device to compute on."""

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, a device's or the machine's."""
    return "out of memory" in str(error) or "can't allocate memory" in str(error)


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" takes CUDA, then MPS, then the CPU. Raises `ValueError`."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name.split(":")[0], False):
        raise ValueError(f"device {name!r} is not available here; use --device=auto or --device=cpu")
    try:
        return torch.device(name)
    except RuntimeError:
        raise ValueError(f"device {name!r} is none; use auto, cpu, cuda, cuda:1, ...") from None
