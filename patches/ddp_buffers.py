"""Several GPUs: DistributedDataParallel no longer makes buffers equal at the start."""

import torch

from patches.patch import Edit, Patch


def synchronise(num_gpus: int, *modules: torch.nn.Module | None) -> None:
    """Give all processes the buffers and parameters of the first process; patched training loops call this function.

    Args:
        num_gpus: Number of processes; 1 does nothing.
        modules: Networks; None stands for a network that the run does not have.
    """
    if num_gpus > 1:
        for module in modules:
            for tensor in [] if module is None else [*module.buffers(), *module.parameters()]:
                torch.distributed.broadcast(tensor.detach(), src=0)


PATCH = Patch(
    name="ddp_buffers",
    symptom="AssertionError in check_ddp_consistency; ranks that start from different buffers",
    versions="PyTorch 1.11 and later, stylegan2-ada-pytorch with more than one GPU",
    reason="with broadcast_buffers=False the wrapper does not synchronise buffers when it is made either",
    needed=lambda: True,
    edits=(
        Edit(
            "training/training_loop.py",
            r"^( *)ddp_modules = dict\(\)",
            r"\1from patches import ddp_buffers; ddp_buffers.synchronise(num_gpus, G, D, G_ema, augment_pipe); "
            r"ddp_modules = dict()",
        ),
    ),
)
