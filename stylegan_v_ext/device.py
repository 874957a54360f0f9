"""Which device to compute on."""

import torch

__all__ = ["is_out_of_memory", "pick_device"]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on a device or on the machine.

    Args:
        error: Error of PyTorch.
    """
    return "out of memory" in str(error) or "can't allocate memory" in str(error)


def pick_device(name: str | torch.device) -> torch.device:
    """Choose a device; nothing is set for the process.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps", or "auto" for CUDA if it is there, then MPS, then the CPU; or a device.

    Returns:
        The device.

    Raises:
        ValueError: If the name is unknown or the device is not there.
    """
    available = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    name = str(name)
    if name == "auto":
        name = next(kind for kind, count in available.items() if count)
    if not available.get(name.split(":")[0], 0):
        raise ValueError(f"device {name!r} is not available here; use --device=auto or --device=cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device {name!r} is unknown; use auto, cpu, cuda, cuda:1, ...") from None
    if (device.index or 0) >= available[device.type]:
        last = available[device.type] - 1
        raise ValueError(f"device {name!r} is not available here; the last one is {device.type}:{last}")
    return device
