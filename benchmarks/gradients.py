"""Summing gradients over processes: one flat message after the backward pass, or buckets that overlap it.

    python -m benchmarks.gradients [--processes=2] [--resolution=64]

The generator's step of a training run, in each of several processes on this machine (NCCL with as many GPUs, gloo on
CPUs, whose cores are dealt out). Medians of 7, in turn; the slowest process counts.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.multiprocessing

from benchmarks.common import print_table
from benchmarks.train_step import trainer
from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.distributed import Processes

REPEATS = 7
BUCKET = 4 * 2**20  # elements: PyTorch's DistributedDataParallel has 25 MiB buckets, which is near it


class Buckets:
    """Messages that leave as soon as the gradients of a bucket are there, last layers first."""

    def __init__(self, parameters):
        self.buckets, full = [[]], 0
        for parameter in reversed(list(parameters)):
            if full and full + parameter.numel() > BUCKET:
                self.buckets.append([])
                full = 0
            self.buckets[-1].append(parameter)
            full += parameter.numel()
        self.place = {parameter: bucket for bucket in self.buckets for parameter in bucket}
        for parameter in self.place:
            parameter.requires_grad_(True).register_post_accumulate_grad_hook(self._arrived)
        self.begin()

    def begin(self):
        self.waiting = {id(bucket): len(bucket) for bucket in self.buckets}
        self.sent = []

    def _arrived(self, parameter):
        bucket = self.place[parameter]
        self.waiting[id(bucket)] -= 1
        if not self.waiting[id(bucket)]:
            flat = torch.cat([parameter.grad.flatten() for parameter in bucket])
            self.sent.append((bucket, flat, torch.distributed.all_reduce(flat, async_op=True)))

    def finish(self):
        for bucket, flat, message in self.sent:
            message.wait()
            for parameter, total in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
                parameter.grad.copy_(total.view_as(parameter))
        self.begin()


def work(rank, options, folder):
    cuda = torch.cuda.device_count() >= options.processes
    torch.set_num_threads(max(torch.get_num_threads() // options.processes, 1))
    torch.distributed.init_process_group(
        "nccl" if cuda else "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=options.processes
    )
    data = str(Path(folder) / "sky.zip")
    device = f"cuda:{rank}" if cuda else "cpu"
    networks = [trainer(data, "stylegan-v", folder, device=device) for _ in range(2)]
    processes = Processes(rank=rank, count=options.processes)
    states = [network.state for network in networks]
    buckets = Buckets(states[1].G.parameters())
    latents = networks[0].gan_step._latents()

    def alone(state):
        state.G.zero_grad(set_to_none=True)
        state.loss.generator_step(*latents)

    def flat():
        alone(states[0])
        processes.sum_gradients(states[0].G.parameters())

    def overlapping():
        alone(states[1])
        buckets.finish()

    steps = {"without a message": lambda: alone(states[0]), "one message": flat, "overlapping buckets": overlapping}
    for step in steps.values():
        step()
    times = {name: [] for name in steps}
    for _ in range(REPEATS):
        for name, step in steps.items():
            torch.distributed.barrier()
            start = time.perf_counter()
            step()
            if cuda:
                torch.cuda.synchronize()
            slowest = torch.tensor(time.perf_counter() - start, device=device)
            torch.distributed.all_reduce(slowest, op=torch.distributed.ReduceOp.MAX)
            times[name].append(float(slowest) * 1e3)
    if rank == 0:
        medians = {name: statistics.median(row) for name, row in times.items()}
        rows = [[name, f"{ms:.0f} ms", f"{ms / medians['one message']:.2f}"] for name, ms in medians.items()]
        print_table([f"{options.processes} processes, {options.resolution} px", "", "ratio"], rows)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--resolution", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "sky.zip")
        write_demo_dataset(data, resolution=options.resolution, num_videos=8, num_frames=40)
        torch.multiprocessing.spawn(work, args=(options, folder), nprocs=options.processes)


if __name__ == "__main__":
    main()
