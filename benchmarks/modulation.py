"""Modulated convolution, forward and backward: scaled activations beside a folded weight for each clip."""

import torch

from benchmarks.common import median_ms, print_table
from stylegan_v_ext.networks import modulation
from torch_utils.ops.upfirdn2d import setup_filter

CLIPS, FRAMES = 4, 3
SHAPES = ((128, 128, 8, 1), (128, 128, 16, 1), (128, 64, 32, 2), (64, 64, 64, 1), (32, 32, 128, 1))


def step(x, weight, styles, bias, up, folded):
    modulation._LARGE_IMAGE = 0 if folded else float("inf")
    y = modulation.modulated_conv2d(x, weight, styles, up, 1, setup_filter([1, 3, 3, 1]), bias, act="lrelu", gain=1.4)
    torch.autograd.grad(y.square().sum(), (x, weight, styles, bias))


def main():
    rows = []
    for c_in, c_out, size, up in SHAPES:
        x = torch.randn(CLIPS * FRAMES, c_in, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
        tensors = [torch.rand(shape, requires_grad=True) for shape in ([c_out, c_in, 3, 3], [CLIPS, c_in], [c_out])]
        times = median_ms([lambda f=f, x=x, t=tensors, up=up: step(x, *t, up, f) for f in (False, True)])
        name = f"{c_in} -> {c_out} channels, {size} -> {size * up} px"
        rows.append([name, *(f"{ms:.1f} ms" for ms in times), f"{times[1] / times[0]:.2f}"])
    print_table([f"{CLIPS} clips of {FRAMES} frames", "scaled", "folded", "ratio"], rows)


if __name__ == "__main__":
    main()
