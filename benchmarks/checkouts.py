"""Checkouts of other people's code in this process, on today's Python and PyTorch, with their CUDA kernels in use.

    python -m benchmarks.checkouts [--kernels=NAMES] DIR ...    compile kernels of checkouts and tell what is in use

DIR is a checkout of stylegan2-ada-pytorch, stylegan3 or universome/stylegan-v. Nothing is written into it. Its own
loader compiles its kernels, which takes nvcc, ninja and a C++ compiler; PyTorch keeps the result for the next process.
"""

import argparse
import contextlib
import fcntl
import functools
import importlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import SimpleNamespace

import torch

from benchmarks.common import use_training_settings
from stylegan_v_ext.host.importer import HostLoader

NOTE = "NOTE "
SLOW = "SLOW FALL-BACK, a comparison would be unfair"
_KEEP_FAILURE_SECONDS = 15 * 60
KERNELS = ("bias_act", "upfirdn2d", "filtered_lrelu")
_WEIGHT_GRADIENTS = {  # name of an operator that PyTorch had until 1.10 -> whether the convolution is transposed
    "aten::cudnn_convolution_backward_weight": False,
    "aten::cudnn_convolution_transpose_backward_weight": True,
}


@functools.lru_cache(1)
def enter(folder, kernels=("bias_act", "upfirdn2d")):
    """Import `training`, `torch_utils` and `dnnlib` from a checkout from now on; a process has room for one.

    Args:
        folder: The checkout. The modules of universome/stylegan-v are in its folder `src`.
        kernels: Ops whose CUDA kernels are compiled and checked here, if there is a GPU. An op that the checkout lacks
            is left out. filtered_lrelu takes minutes to compile, and StyleGAN2 does not need it.

    Returns:
        An object with `ops`, a function that imports an op of the checkout by name, and `notes`, which tell in words
        which of its fast paths are in use. Each note goes to stderr as well.
    """
    folder = Path(folder).resolve()
    code = folder / "src" if (folder / "src" / "torch_utils").is_dir() else folder
    if not (code / "torch_utils" / "ops").is_dir():
        raise SystemExit(f"{folder} is no checkout of a StyleGAN: it has no torch_utils/ops")
    if "torch_utils" in sys.modules:
        raise SystemExit(f"another torch_utils is imported already; give {folder} a process of its own")
    prefix = "" if code == folder else "src."
    sys.meta_path.insert(0, _Finder(folder, code))
    use_training_settings()

    def ops(name):
        return importlib.import_module(f"{prefix}torch_utils.ops.{name}")

    notes = []
    if torch.cuda.is_available():
        compiled = _prepare_compiler(folder.name)
        found = [ops(name) for name in kernels if (code / "torch_utils" / "ops" / f"{name}.py").exists()]
        with _alone_in(compiled), contextlib.redirect_stdout(sys.stderr), ThreadPoolExecutor() as threads:
            # The compilers are processes of their own.
            notes = list(threads.map(functools.partial(_kernels_note, compiled=compiled), found))
        notes.append(_convolutions_note(ops("conv2d_gradfix")))
    notes = [f"{folder.name}: {note}" for note in notes or ["no GPU: its ops are plain PyTorch functions"]]
    print("\n".join(NOTE + note for note in notes), file=sys.stderr, flush=True)
    return SimpleNamespace(ops=ops, notes=notes)


class _Finder:
    """Finds modules in a checkout before anywhere else, and loads them with the patches that are needed here."""

    def __init__(self, folder, code):
        self.roots, self.code = [str(code), str(folder)], code

    def find_spec(self, name, path=None, target=None):
        if path is not None and not any(Path(entry).is_relative_to(self.roots[1]) for entry in path):
            return None
        spec = PathFinder.find_spec(name, self.roots if path is None else path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = HostLoader(name, spec.origin, self.code)
        return spec


def _prepare_compiler(name):
    """Make `torch.utils.cpp_extension.load` do for the loaders of the checkouts what it did when they were written.

    It leaves what it loads among the imported modules, where the loaders look for it. It finds headers that came with
    PyTorch if the toolkit lacks them. Each checkout gets a folder of its own for what is compiled, since all call their
    kernels the same.

    Args:
        name: That folder's name.

    Returns:
        The folder.
    """
    from torch.utils import cpp_extension

    root = os.environ.get("TORCH_EXTENSIONS_DIR") or cpp_extension.get_default_build_root()
    compiled = Path(root) / "checkouts" / name
    os.environ["TORCH_EXTENSIONS_DIR"] = str(compiled)
    toolkits = [Path(cpp_extension.CUDA_HOME or "/"), Path("/usr/local/cuda")]
    toolkit = next((path for path in toolkits if (path / "include" / "cuda_runtime.h").exists()), toolkits[0])
    cpp_extension.CUDA_HOME = str(toolkit)  # PyTorch takes the place of nvcc, which may be a script elsewhere
    headers = [str(header.parent) for header in Path(torch.__file__).parents[1].glob("nvidia/*/include/cusparse.h")]
    if not (toolkit / "include" / "cusparse.h").exists():
        os.environ["CPLUS_INCLUDE_PATH"] = os.pathsep.join(headers)
    load = cpp_extension.load

    def load_and_register(name, *arguments, **keywords):
        sys.modules[name] = load(name, *arguments, **keywords)
        return sys.modules[name]

    cpp_extension.load = load_and_register
    return compiled


@contextlib.contextmanager
def _alone_in(folder):
    """Wait until no other process compiles into a folder. PyTorch would wait forever for one that was killed."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "in_use", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # ends with the process
        for lock in folder.glob("**/lock"):
            lock.unlink()
        yield


def _kernels_note(op, compiled):
    """Compile the kernels of an op, compare them with its plain twin, and tell in words whether they are in use.

    A failure is kept in the folder for a while, so that the next processes do not wait for the same one.

    Args:
        compiled: Folder for what is compiled.
    """
    name = op.__name__.rpartition(".")[2]
    failure = compiled / f"{name}.failed"
    try:
        if failure.exists() and time.time() - failure.stat().st_mtime < _KEEP_FAILURE_SECONDS:
            raise RuntimeError(failure.read_text(encoding="utf-8"))
        failure.unlink(missing_ok=True)
        if not op._init():
            raise RuntimeError("its loader failed; the warning above tells why")
        _compare_with_plain(name, op)
    except Exception as error:
        op._init = lambda: False  # or it would compile again at each call
        reason = f"{type(error).__name__}: {str(error).strip()[:300]}"
        if not failure.exists():
            failure.write_text(reason, encoding="utf-8")
        return f"{name}: {SLOW} ({reason})"
    return f"{name}: its own CUDA kernels"


def _compare_with_plain(name, op):
    """Compare the kernels of an op with its plain twin on small tensors. Raises `AssertionError`."""
    x, b = torch.randn([2, 4, 16, 16], device="cuda"), torch.randn([4], device="cuda")
    f = torch.rand([4], device="cuda")
    call = {
        "bias_act": lambda impl: op.bias_act(x, b, act="lrelu", clamp=1, impl=impl),
        "upfirdn2d": lambda impl: op.upfirdn2d(x, f, up=2, padding=[2, 1, 2, 1], impl=impl),
        "filtered_lrelu": lambda impl: op.filtered_lrelu(x, f, f, b, up=2, down=2, padding=3, clamp=1, impl=impl),
    }[name]
    torch.testing.assert_close(call("cuda"), call("ref"), rtol=1e-3, atol=1e-3)


def _convolutions_note(gradfix):
    """Put the checkout's own derivatives of convolutions in use, compare, and tell in words.

    Its list of PyTorch versions ends at 1.10, where two operators for gradients of weights were removed. Under their
    names it gets `aten::convolution_backward`, which calls the same cuDNN functions.
    """
    gradfix.enabled = True
    plain = gradfix._should_use_custom_op
    gradfix._should_use_custom_op = lambda input: torch.backends.cudnn.enabled and input.is_cuda
    stock = torch._C._jit_get_operation

    def get_operation(name):
        return _weight_gradient(_WEIGHT_GRADIENTS[name]) if name in _WEIGHT_GRADIENTS else stock(name)

    torch._C._jit_get_operation = get_operation
    try:
        compare_convolutions(gradfix, "cuda")
    except Exception as error:
        gradfix._should_use_custom_op, torch._C._jit_get_operation = plain, stock
        reason = f"{type(error).__name__}: {str(error).strip()[:300]}"
        return f"conv2d_gradfix: PyTorch's derivatives, R1 may be slower than with its own ({reason})"
    return "conv2d_gradfix: its own derivatives, weight gradients by aten::convolution_backward"


def _weight_gradient(transposed):
    """Function with the arguments of the removed operators: the gradient of a convolution's weight."""

    def gradient(shape, dy, x, padding, stride, dilation, groups, *flags):
        weight = dy.new_empty([1]).expand(shape)  # only its shape counts
        wanted = False, True, False
        return torch.ops.aten.convolution_backward(
            dy, x, weight, None, stride, padding, dilation, transposed, [0, 0], groups, wanted
        )[1]

    return gradient


def compare_convolutions(gradfix, device):
    """Compare the penalty of R1 and its gradients with PyTorch's, for both kinds of convolution."""
    from torch.nn import functional

    for transposed in (False, True):
        x = torch.randn([2, 4, 8, 8], device=device, requires_grad=True)
        w = torch.randn([4, 4, 3, 3], device=device, requires_grad=True)
        keywords = dict(stride=2, padding=1, **(dict(output_padding=1) if transposed else {}))
        found = []
        for module in (gradfix, functional):
            y = (module.conv_transpose2d if transposed else module.conv2d)(x, w, **keywords)
            if module is gradfix and type(y.grad_fn).__name__ == "ConvolutionBackward0":
                raise RuntimeError("the checkout does not use its own derivatives")
            with gradfix.no_weight_gradients():
                (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
            found.append([y, dx, *torch.autograd.grad(dx.square().sum(), [x, w])])
        torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--kernels", default=",".join(KERNELS), metavar="NAMES", help="default: %(default)s")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        enter(options.folders[0], tuple(options.kernels.split(",")))
        return
    command = [sys.executable, "-m", "benchmarks.checkouts", "--here", f"--kernels={options.kernels}"]
    processes = [subprocess.Popen([*command, str(folder)]) for folder in options.folders]
    sys.exit(max(process.wait() for process in processes))


if __name__ == "__main__":
    main()
