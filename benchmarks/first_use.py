"""What waits before the first result: commands that print their help, and CUDA kernels compiled at first use.

    python -m benchmarks.first_use [--arch=90]

Kernels: those that a training iteration in mixed precision with augmentation asks for, G, D, R1 and path lengths, and
those of `filtered_lrelu` in StyleGAN3 layers, compiled by NVRTC with an empty cache. The iteration itself is not
computed, so that no GPU is needed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import torch

from benchmarks.common import print_table
from stylegan_v_ext.config.augmentations import AUGMENTATIONS
from stylegan_v_ext.engine.augment import AugmentPipe
from stylegan_v_ext.engine.loss import StyleGAN2Loss
from stylegan_v_ext.networks import discriminator, discriminator_blocks, generator, synthesis
from torch_utils import custom_ops
from torch_utils.ops import bias_act_cuda, filtered_lrelu, upfirdn2d

ROOT = Path(__file__).parents[1]
COMMANDS = ("train.py --help", "gen_video.py --help", "-m stylegan_v_ext.cli.main --help")
KERNELS = {
    "upfirdn2d": upfirdn2d._kernel,
    "bias_act": bias_act_cuda._kernel,
    "bias_act_grad": bias_act_cuda._gradient_kernel,
    "bias_act_grad_sums": bias_act_cuda._summing_kernel,
    "bias_act_curve": bias_act_cuda._curve_kernel,
    "filtered_lrelu": filtered_lrelu._kernel,
    "filtered_lrelu_masked": filtered_lrelu._masked_kernel,
}


def seconds_of(command, repeats=7):
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command.split()], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def variants(*works):
    """The kernels that the works ask for, in their order. works: some of this module's; all without any."""
    asked = {}

    def note(variant, device, shared=0):
        asked[variant] = None
        return lambda *arguments: None

    def half(device, use_fp16, force_fp32=False):
        return torch.float16 if use_fp16 and not force_fp32 else torch.float32

    library = torch.library.Library("stylegan_v_ext", "IMPL")
    for name, function in KERNELS.items():
        library.impl(name, function, "CPU")
    with (
        mock.patch.object(custom_ops, "wanted", lambda x: True), mock.patch.object(custom_ops, "kernel", note),
        mock.patch.object(synthesis, "working_dtype", half),
        mock.patch.object(discriminator_blocks, "working_dtype", half),
    ):  # fmt: skip
        for work in works or (train, stylegan3_layers):
            work()
    library._destroy()
    return list(asked)


def train():
    sizes = dict(img_resolution=64, img_channels=3, channel_base=1024, channel_max=32)
    G = generator.VideoGenerator(3, **sizes).requires_grad_(False)
    D = discriminator.TimeConditionedDiscriminator(3, **sizes).requires_grad_(False)
    loss = StyleGAN2Loss(torch.device("cpu"), G, D, AugmentPipe(**AUGMENTATIONS["bgc"]), pl_weight=2)
    loss.augment_p = 1.0
    z, c, real = torch.randn(4, 512), torch.tensor([[0.0, 3.0, 5.0]]).expand(4, -1), torch.zeros(4, 3, 192, 64)
    loss.generator_step(z, c)
    loss.discriminator_step(real, c, z, c)
    loss.r1_step(real, c)
    loss.path_length_step(z, c)


def stylegan3_layers():
    f = torch.ones(12) / 12
    for dtype in (torch.float16, torch.float32):
        x = torch.zeros(2, 32, 52, 52, dtype=dtype, requires_grad=True)
        b = torch.zeros(32, dtype=dtype)
        y = filtered_lrelu.filtered_lrelu(x, fu=f, fd=f, b=b, up=2, down=2, padding=[9, 10, 9, 10], clamp=256)
        y.sum().backward()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", type=int, default=90, help="compute capability, 90 is 9.0")
    options = parser.parse_args()
    print_table(["command", "time"], [[f"python {c}", f"{seconds_of(c):.2f} s"] for c in COMMANDS])
    asked = variants()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DNNLIB_CACHE_DIR"] = folder
        start = time.perf_counter()
        for variant in asked:
            custom_ops.compiled(variant, options.arch)
        total = time.perf_counter() - start
    states = {name: custom_ops.state(name) for name in ("upfirdn2d", "bias_act", "filtered_lrelu")}
    rows = [[name, state.compiled, f"{state.seconds:.2f} s"] for name, state in states.items()]
    title = f"first use on sm_{options.arch}, NVRTC {custom_ops.nvrtc_version()}"
    print_table([title, "kernels", "time"], [*rows, ["all", len(asked), f"{total:.2f} s"]])


if __name__ == "__main__":
    main()
