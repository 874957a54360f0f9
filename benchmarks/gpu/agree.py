"""One of several processes that torchrun starts: gradients of a generator, summed as training sums them.

torchrun --nproc-per-node=2 -m benchmarks.gpu.agree REQUEST
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.distributed

from stylegan_v_ext.distributed import Processes, leave
from stylegan_v_ext.engine.loss import StyleGAN2Loss
from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
from stylegan_v_ext.networks.generator import VideoGenerator

_REPEATS = 5


def main() -> None:
    request = json.loads(sys.argv[1])
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = _join(request, rank)
    sizes = dict(img_resolution=64, img_channels=3, channel_base=4096, channel_max=128)
    latents = {}
    if request["rehearse"]:
        sizes |= dict(img_resolution=16, channel_base=256, channel_max=16)
        latents = dict(z_dim=32, w_dim=32, motion_kwargs=dict(z_dim=32, code_dim=32))
    sizes |= dict(num_fp16_res=0, conv_clamp=None)
    torch.manual_seed(0)  # the same networks in all processes
    G = VideoGenerator(3, **sizes, **latents).requires_grad_(False).to(device)
    D = TimeConditionedDiscriminator(3, **sizes)
    loss = StyleGAN2Loss(device, G, D.requires_grad_(False).to(device))
    torch.manual_seed(1 + rank)  # other latents in each
    loss.generator_step(torch.randn(4, G.z_dim, device=device), torch.tensor([[0.0, 3.0, 5.0]]).expand(4, -1))
    expected = _sum_in_float64(G)
    processes = Processes(rank, max(count, 2))  # a single process goes the same way
    milliseconds = []
    own = [parameter.grad.clone() for parameter in _with_gradients(G)]
    for _ in range(_REPEATS):
        for parameter, gradient in zip(_with_gradients(G), own, strict=True):
            parameter.grad.copy_(gradient)
        _finish(device)
        started = time.perf_counter()
        processes.sum_gradients(G.parameters())
        _finish(device)
        milliseconds.append((time.perf_counter() - started) * 1e3)
    summed = torch.cat([parameter.grad.flatten().double().cpu() for parameter in _with_gradients(G)])
    error = float((summed - expected).abs().max() / expected.abs().max())
    if rank == 0:
        answer = {"error": error, "numbers": len(expected), "ms": statistics.median(milliseconds)}
        Path(request["out"]).write_text(json.dumps(answer), encoding="utf-8")
    leave()


def _join(request: dict, rank: int) -> torch.device:
    """Meet the others; with gloo all processes share the first GPU."""
    if request["backend"] == "gloo":
        torch.distributed.init_process_group("gloo")
        return torch.device(request["device"])
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl", device_id=device)
    return device


def _with_gradients(G: VideoGenerator) -> list[torch.nn.Parameter]:
    return [parameter for parameter in G.parameters() if parameter.grad is not None]


def _sum_in_float64(G: VideoGenerator) -> torch.Tensor:
    """Through gloo on the CPU, one number after another, as a reference."""
    total = torch.cat([parameter.grad.flatten().double().cpu() for parameter in _with_gradients(G)])
    torch.distributed.all_reduce(total)
    return total


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
