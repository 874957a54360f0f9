"""The CUDA kernels at training shapes: share of the copy bandwidth, beside a checkout's own ops.

    python -m benchmarks.ops [--reference=DIR] [--ops OP ...] [--device=cpu --small]

DIR is a checkout of stylegan2-ada-pytorch or stylegan3, which also has filtered_lrelu. Its kernels are compiled by the
toolchain of the machine; lines that begin with NOTE tell whether they are in use. Each side runs in a process of its
own, in turn; the medians of all rounds count. Without a GPU the ops run as PyTorch functions at small sizes, to try
this script.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 3
_AHEAD_CYCLES = 30_000_000  # of the GPU's clock, over 10 ms: Python is through with its calls by then
OPS = ("bias_act", "upfirdn2d", "filtered_lrelu")


class Shapes:
    """Tensors at training shapes, or a sixteenth of their width, height and channels to try the script."""

    def __init__(self, device, small):
        self.device, self.small = device, small

    def tensor(self, n, channels, height, width, dtype=None, last=True):
        import torch

        dtype = dtype or (torch.float16 if self.device == "cuda" else torch.float32)
        if self.small:
            n, channels, height, width = 2, min(channels, 8), height // 16 + 8, width // 16 + 8
        x = torch.randn((n, channels, height, width), device=self.device).to(dtype)
        return x.contiguous(memory_format=torch.channels_last) if last else x

    def bias(self, x):
        import torch

        return torch.randn(x.shape[1], device=self.device).to(x.dtype)


def cases(shapes, ops=OPS):
    """Yield (name, bytes that must move, function, whether memory bounds it); tensors live until the next one."""
    if not {"bias_act", "upfirdn2d"}.isdisjoint(ops):
        yield from (case for case in memory_cases(shapes) if case[0].startswith(tuple(ops)))
    if "filtered_lrelu" in ops:
        yield from alias_free_cases(shapes)


def _case(name, function, *inputs, bound_by_memory=True):
    return name, _nbytes(*inputs, function()), function, bound_by_memory


def _nbytes(*tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


def _gradient_of(function, x):
    """(result, its gradient, function that makes the gradient of x)."""
    import torch

    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = function(leaf)
    dy = torch.randn_like(y)
    return y, dy, lambda: torch.autograd.grad(y, leaf, dy, retain_graph=True)[0]


def memory_cases(shapes):
    """Passes over features and images, which memory bounds."""
    from torch_utils.ops import bias_act, upfirdn2d

    blur = upfirdn2d.setup_filter([1, 3, 3, 1], device=shapes.device)
    for last, layout in ((True, "channels last"), (False, "contiguous")):
        x = shapes.tensor(48, 128, 257, 257, last=last)
        after = lambda x=x: upfirdn2d.upfirdn2d(x, blur, padding=1, gain=4)  # noqa: E731
        yield _case(f"upfirdn2d blur after upsampling, {layout}", after, x)
        x = shapes.tensor(48, 64, 256, 256, last=last)
        before = lambda x=x: upfirdn2d.upfirdn2d(x, blur, padding=2)  # noqa: E731
        yield _case(f"upfirdn2d blur before downsampling, {layout}", before, x)
        yield _case(f"upfirdn2d down 2, {layout}", lambda x=x: upfirdn2d.downsample2d(x, blur), x)
        x = x[:24]
        yield _case(f"upfirdn2d up 2, {layout}", lambda x=x: upfirdn2d.upsample2d(x, blur), x)
        x = shapes.tensor(48, 128, 256, 256, last=last)
        b = shapes.bias(x)
        act = lambda x, b=b: bias_act.bias_act(x, b, act="lrelu", clamp=256)  # noqa: E731
        yield _case(f"bias_act lrelu, {layout}", lambda x=x, act=act: act(x), x)
        y, dy, backward = _gradient_of(act, x)
        yield _case(f"bias_act lrelu gradient, {layout}", backward, y, dy)
        del x, y, dy, backward, act, after, before
    yield from image_cases(shapes)


def image_cases(shapes):
    """Resampling of images, as RGB outputs and the augmentation need it."""
    import torch

    from torch_utils.ops import upfirdn2d

    blur = upfirdn2d.setup_filter([1, 3, 3, 1], device=shapes.device)
    sym6 = upfirdn2d.setup_filter([0.1] * 12, device=shapes.device)
    x = shapes.tensor(192, 3, 128, 128, dtype=torch.float32, last=False)  # more than the L2 cache holds
    yield _case("upfirdn2d up 2, images float32", lambda: upfirdn2d.upsample2d(x, blur), x)
    wide = shapes.tensor(192, 3, 256, 256, dtype=torch.float32, last=False)
    for name, function in (("up 2", upfirdn2d.upsample2d), ("down 2", upfirdn2d.downsample2d)):
        twelve = f"upfirdn2d {name}, 12 taps in two passes, images float32"
        yield _case(twelve, lambda f=function: f(wide, sym6), wide, bound_by_memory=False)


def alias_free_cases(shapes):
    """The filtered activation of StyleGAN3, which arithmetic bounds, not memory."""
    import torch

    from torch_utils.ops import upfirdn2d

    try:
        from torch_utils.ops import filtered_lrelu
    except ImportError:
        return
    sym6 = upfirdn2d.setup_filter([0.1] * 12, device=shapes.device)
    half = torch.float16 if shapes.device == "cuda" else torch.float32
    for size, dtype in ((148, half), (276, half), (84, torch.float32)):
        x = shapes.tensor(16, 128, size, size, dtype=dtype, last=False)
        arguments = dict(fu=sym6, fd=sym6, b=shapes.bias(x), up=2, down=2, padding=[9, 10, 9, 10], clamp=256)
        name = f"filtered_lrelu {size} px, {str(dtype).removeprefix('torch.')}"
        function = lambda x, a=arguments: filtered_lrelu.filtered_lrelu(x, **a)  # noqa: E731
        yield _case(name, lambda x=x, f=function: f(x), x, bound_by_memory=False)
        _, dy, backward = _gradient_of(function, x)
        yield _case(f"{name}, gradient", backward, dy, bound_by_memory=False)


def milliseconds(function, device, repeats=20):
    """Median time of a call on the device, after some to warm up."""
    import torch

    for _ in range(5):
        function()
    if device != "cuda":
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            function()
            times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times)
    torch.cuda._sleep(_AHEAD_CYCLES)  # so that no call waits for Python
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
    for start, end in events:
        start.record()
        function()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in events)


def work(root, device, small, ops):
    """Measure some ops of one tree and print each case as a line of JSON."""
    sys.path.insert(0, str(ROOT))
    import torch

    if root != ROOT:
        from benchmarks import checkouts

        checkouts.enter(root, tuple(ops))
    shapes = Shapes(device, small)
    x = shapes.tensor(48, 128, 256, 256)
    y = torch.empty_like(x)
    copied = 2 * x.numel() * x.element_size()
    _tell("copy", copied, milliseconds(lambda: y.copy_(x), device), True)
    for name, moved, function, bound_by_memory in cases(shapes, ops):
        _tell(name, moved, milliseconds(function, device), bound_by_memory)


def _tell(name, moved, ms, bound_by_memory):
    print("RESULT " + json.dumps([name, moved, ms, bound_by_memory]), flush=True)


def measure(root, device, small, ops):
    """(name -> [bytes, milliseconds, whether memory bounds it], notes) of one tree, from a process of its own."""
    command = [sys.executable, __file__, "--work", str(root), f"--device={device}", "--ops", *ops]
    command += ["--small"] if small else []
    environment = os.environ | {"PYTHONPATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        sys.exit(f"the ops of {root} do not run:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    notes = [note for note in done.stderr.splitlines() if note.startswith("NOTE ")]
    return {name: values for name, *values in map(json.loads, lines)}, notes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, metavar="DIR", help="checkout with stock torch_utils/ops")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="small sizes, whose times mean nothing")
    parser.add_argument("--ops", nargs="+", choices=OPS, default=list(OPS), metavar="OP",
                        help="default: all; stock filtered_lrelu takes minutes to compile")  # fmt: skip
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work.resolve(), arguments.device, arguments.small, arguments.ops)
        return
    from benchmarks.common import print_table

    roots = [ROOT, *([arguments.reference] if arguments.reference else [])]
    how = arguments.device, arguments.small, arguments.ops
    rounds = [[measure(root, *how) for root in roots] for _ in range(ROUNDS)]
    print("\n".join(dict.fromkeys(note for r in rounds for _, notes in r for note in notes)), file=sys.stderr)
    rounds = [[results for results, _ in r] for r in rounds]
    rows, copy = [], None
    for name, (moved, *_) in rounds[0][0].items():
        times = [
            statistics.median(r[side][name][1] for r in rounds) if name in rounds[0][side] else None
            for side in range(len(roots))
        ]
        bandwidth = moved / times[0] / 1e6
        copy = copy or bandwidth
        row = [name, f"{times[0]:.3f} ms", f"{bandwidth:.0f} GB/s", f"{bandwidth / copy:.0%}"]
        rows.append(row + [f"{times[1]:.3f} ms ({times[0] / times[1]:.2f})" if t else "" for t in times[1:]])
    header = ["", "ours", "bandwidth", "of a copy", "stock (ours / stock)"]
    print_table(header[: 4 + len(roots) - 1], rows)


if __name__ == "__main__":
    main()
