"""The CUDA kernels at training shapes: share of the copy bandwidth, beside a checkout's own ops.

    python -m benchmarks.ops [--reference=DIR]

DIR is a checkout of stylegan2-ada-pytorch or stylegan3, which also has filtered_lrelu. Its kernels are compiled by the
toolchain of the machine; lines that begin with NOTE tell whether they are in use. Each side runs in a process of its
own, in turn; the medians of all rounds count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROUNDS = 3


def cases():
    """name -> (bytes that must move, function)."""
    import torch

    from torch_utils.ops import bias_act, upfirdn2d

    def tensor(*shape, dtype=torch.float16, last=True):
        x = torch.randn(shape, device="cuda", dtype=dtype)
        return x.contiguous(memory_format=torch.channels_last) if last else x

    def nbytes(*tensors):
        return sum(t.numel() * t.element_size() for t in tensors)

    blur = upfirdn2d.setup_filter([1, 3, 3, 1], device="cuda")
    sym6 = upfirdn2d.setup_filter([0.1] * 12, device="cuda")
    found = {}

    def add(name, function, *inputs):
        out = function()
        found[name] = nbytes(*inputs, out), function

    for last, layout in ((True, "channels last"), (False, "contiguous")):
        x = tensor(48, 128, 257, 257, last=last)
        add(
            f"upfirdn2d blur after upsampling, {layout}", lambda x=x: upfirdn2d.upfirdn2d(x, blur, padding=1, gain=4), x
        )
        x = tensor(48, 64, 256, 256, last=last)
        add(f"upfirdn2d blur before downsampling, {layout}", lambda x=x: upfirdn2d.upfirdn2d(x, blur, padding=2), x)
        add(f"upfirdn2d down 2, {layout}", lambda x=x: upfirdn2d.downsample2d(x, blur), x)
        add(f"upfirdn2d up 2, {layout}", lambda x=x: upfirdn2d.upsample2d(x[:24], blur), x[:24])
        x, b = tensor(48, 128, 256, 256, last=last), torch.randn(128, device="cuda", dtype=torch.float16)
        add(f"bias_act lrelu, {layout}", lambda x=x, b=b: bias_act.bias_act(x, b, act="lrelu", clamp=256), x)
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = bias_act.bias_act(leaf, b, act="lrelu", clamp=256)
        dy = torch.randn_like(y)

        def backward(y=y, leaf=leaf, dy=dy):
            return torch.autograd.grad(y, leaf, dy, retain_graph=True)[0]

        add(f"bias_act lrelu gradient, {layout}", backward, y, dy)
    x = tensor(48, 3, 128, 128, dtype=torch.float32, last=False)
    add("upfirdn2d up 2, images float32", lambda x=x: upfirdn2d.upsample2d(x, blur), x)
    x = tensor(48, 3, 256, 256, dtype=torch.float32, last=False)
    add("upfirdn2d up 2, 12 taps, images float32", lambda x=x: upfirdn2d.upsample2d(x, sym6), x)
    add("upfirdn2d down 2, 12 taps, images float32", lambda x=x: upfirdn2d.downsample2d(x, sym6), x)
    try:
        from torch_utils.ops import filtered_lrelu
    except ImportError:
        return found
    for size, dtype in ((148, torch.float16), (276, torch.float16), (84, torch.float32)):
        x, b = tensor(16, 128, size, size, dtype=dtype, last=False), torch.randn(128, device="cuda", dtype=dtype)
        arguments = dict(fu=sym6, fd=sym6, b=b, up=2, down=2, padding=[9, 10, 9, 10], clamp=256)
        name = f"filtered_lrelu {size} px, {str(dtype).removeprefix('torch.')}"
        add(name, lambda x=x, a=arguments: filtered_lrelu.filtered_lrelu(x, **a), x)
        leaf = x.clone().requires_grad_()
        y = filtered_lrelu.filtered_lrelu(leaf, **arguments)
        dy = torch.randn_like(y)

        def gradient(y=y, leaf=leaf, dy=dy):
            return torch.autograd.grad(y, leaf, dy, retain_graph=True)[0]

        add(f"{name}, gradient", gradient, dy)
    return found


def milliseconds(function, repeats=20):
    import torch

    for _ in range(5):
        function()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def work(root):
    """Measure the ops of one tree and print them as a line of JSON."""
    sys.path.insert(0, str(ROOT))
    import torch

    if root != ROOT:
        from benchmarks import checkouts

        checkouts.enter(root, checkouts.KERNELS)

    x = torch.randn(48, 128, 256, 256, device="cuda", dtype=torch.float16)
    y = torch.empty_like(x)
    results = {"copy": (2 * x.numel() * x.element_size(), milliseconds(lambda: y.copy_(x)))}
    for name, (moved, function) in cases().items():
        results[name] = moved, milliseconds(function)
    print("RESULT " + json.dumps(results), flush=True)


def measure(root):
    command = [sys.executable, __file__, "--work", str(root)]
    environment = os.environ | {"PYTHONPATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        sys.exit(f"the ops of {root} do not run:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    notes = [note for note in done.stderr.splitlines() if note.startswith("NOTE ")]
    return json.loads(line.removeprefix("RESULT ")), notes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="checkout with stock torch_utils/ops")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work.resolve())
        return
    from benchmarks.common import print_table

    roots = [ROOT, *([arguments.reference] if arguments.reference else [])]
    rounds = [[measure(root) for root in roots] for _ in range(ROUNDS)]
    print("\n".join(dict.fromkeys(note for r in rounds for _, notes in r for note in notes)), file=sys.stderr)
    rounds = [[results for results, _ in r] for r in rounds]
    rows, copy = [], None
    for name, (moved, _) in rounds[0][0].items():
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
