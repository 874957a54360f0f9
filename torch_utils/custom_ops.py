"""CUDA kernels without a toolchain: NVRTC compiles the `.cu` files of the ops at their first use.

NVRTC comes with PyTorch's CUDA wheels, and NVIDIA's `cuda-bindings` calls it from Python. So nvcc, ninja and a host
compiler are not needed. A kernel is compiled for exactly the factors, types and sizes of a call, which takes a fraction
of a second. It is kept on disk under a name made of source, options, architecture and compiler version.
"""

import ctypes
import hashlib
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from torch_utils import kernel_cache, self_check
from torch_utils.kernel_cache import cache_dir

__all__ = [
    "Kernel",
    "KernelUnavailable",
    "Variant",
    "cache_dir",
    "compiled",
    "kernel",
    "problem",
    "set_verbosity",
    "state",
    "wanted",
]

VERBOSITIES = ("none", "brief", "full")
verbosity = "brief"  # stock training scripts read and write this

SOURCES = Path(__file__).parent / "ops"
SCALARS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.float64: 3}  # the macro SCALAR
library = torch.library.Library("stylegan_v_ext", "FRAGMENT")  # ops register here, so that torch.compile knows them
enabled = True  # False makes every op use its reference
_LARGEST = 2**31 - 2**28  # elements of an input: kernels count threads in 31 bits, and padding adds some threads


class KernelUnavailable(RuntimeError):
    """A kernel cannot be compiled, loaded or launched here; the message is the reason in one line."""


@dataclass
class OpState:
    """How this process got an op's kernels.

    Attributes:
        compiled: Number of kernels that were compiled.
        cached: Number of kernels that were read from the disk cache.
        seconds: Time spent compiling.
    """

    compiled: int = 0
    cached: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Variant:
    """A kernel for certain types, factors and sizes.

    Attributes:
        name: Name of the `.cu` file and of the kernel in it.
        macros: Names and values of the macros, in alphabetical order.
    """

    name: str
    macros: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, name: str, **macros: int) -> "Variant":
        """Make a variant of a kernel's name and macros."""
        return cls(name, tuple(sorted(macros.items())))

    def __getitem__(self, macro: str) -> int:
        return dict(self.macros)[macro]

    @property
    def options(self) -> list[str]:
        """Return the macros as options of a compiler."""
        return [f"-D{key}={value}" for key, value in self.macros]


@dataclass
class Kernel:
    """A loaded kernel of one device. A launch neither waits nor allocates, so that CUDA graphs can record it.

    Attributes:
        function: The function's handle.
        driver: The driver's Python side, `cuda.bindings.driver`.
    """

    function: Any
    driver: ModuleType = field(repr=False)

    def __call__(
        self, params: ctypes.Structure, blocks: int, threads: int, device: int, shared_nbytes: int = 0
    ) -> None:
        """Launch the kernel on PyTorch's current stream.

        Args:
            params: The parameters of the kernel.
            blocks: Number of blocks.
            threads: Threads of a block.
            device: Index of the CUDA device.
            shared_nbytes: Dynamic shared memory of a block.

        Raises:
            RuntimeError: If the driver refuses the launch.
        """
        if torch.cuda.current_device() != device:
            with torch.cuda.device(device):
                return self(params, blocks, threads, device, shared_nbytes)
        _bind_context(self.driver, device)
        pointer = ctypes.c_void_p(ctypes.addressof(params))
        stream = torch.cuda.current_stream(device).cuda_stream
        (error,) = self.driver.cuLaunchKernel(
            self.function, blocks, 1, 1, threads, 1, 1, shared_nbytes, stream, ctypes.addressof(pointer), 0
        )
        if int(error):
            raise RuntimeError(f"a CUDA kernel could not be launched: {error}")
        return None


_states: dict[str, OpState] = {}
_problems: dict[tuple[int, int], str | None] = {}  # by device, and by the number of checks that were run
_lock = threading.RLock()
_kernels: dict[tuple[Variant, int], Kernel] = {}


def set_verbosity(level: str) -> None:
    """Set how much is printed while kernels are compiled.

    Args:
        level: One of `VERBOSITIES`.

    Raises:
        ValueError: If the level is unknown.
    """
    global verbosity
    if level not in VERBOSITIES:
        raise ValueError(f"verbosity {level!r} is not one of {', '.join(VERBOSITIES)}")
    verbosity = level


def state(name: str) -> OpState:
    """Return how this process got the kernels of an op so far.

    Args:
        name: Name of the op.

    Returns:
        The counts, which later calls change.
    """
    return _states.setdefault(name, OpState())


def wanted(x: torch.Tensor) -> bool:
    """Return whether an op uses its kernel for a tensor.

    Args:
        x: The input of the op.

    Returns:
        True if x is a CUDA tensor of a type and size that kernels take, and kernels work on its device.
    """
    fits = enabled and x.is_cuda and x.dtype in SCALARS and x.numel() <= _LARGEST
    return fits and problem(x.device.index) is None


def problem(device: int) -> str | None:
    """Return why kernels cannot be used on a CUDA device; None if they can.

    The registered checks run at the first call, and again after an op has registered another check.

    Args:
        device: Index of the device.

    Returns:
        The reason in one line.
    """
    key = device, len(self_check.CHECKS)
    if key not in _problems:
        with _lock:
            _problems[key] = _run_checks(device)
            if _problems[key]:
                warnings.warn(f"ops run without CUDA kernels, several times slower: {_problems[key]}", stacklevel=2)
    return _problems[key]


def _run_checks(device: int) -> str | None:
    try:
        return self_check.problem(torch.device("cuda", device))
    except KernelUnavailable as error:
        return str(error)
    except Exception as error:  # drivers and bindings may fail in any way, and the references still work
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


# What torch.compiler.assume_constant_result sets; that function itself imports the whole compiler.
problem._dynamo_marked_constant = True  # type: ignore[attr-defined]


def kernel(variant: Variant, device: int, shared_nbytes: int = 0) -> Kernel:
    """Return the kernel of a variant: from memory, from the disk cache, or compiled now.

    Args:
        variant: The kernel's name and macros.
        device: Index of the CUDA device.
        shared_nbytes: Dynamic shared memory that the launches use.

    Returns:
        The kernel, ready to launch.

    Raises:
        KernelUnavailable: If the kernel cannot be compiled or loaded.
    """
    found = _kernels.get((variant, device))
    if found is not None:
        return found
    with _lock:
        if (variant, device) not in _kernels:
            _kernels[variant, device] = _load(variant, device, shared_nbytes)
        return _kernels[variant, device]


def _load(variant: Variant, device: int, shared_nbytes: int) -> Kernel:
    driver = _bindings()[0]
    major, minor = torch.cuda.get_device_capability(device)
    code = compiled(variant, major * 10 + minor)
    with torch.cuda.device(device):
        _bind_context(driver, device)
        module = _call(driver.cuModuleLoadData, code)
        function = _call(driver.cuModuleGetFunction, module, variant.name.encode())
        if shared_nbytes > 48 * 1024:
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _call(driver.cuFuncSetAttribute, function, attribute, shared_nbytes)
    return Kernel(function, driver)


def _bind_context(driver: ModuleType, device: int) -> None:
    """Give this thread PyTorch's context of a device if it has no context yet: threads of autograd start without it."""
    if not int(_call(driver.cuCtxGetCurrent)):
        handle = _call(driver.cuDeviceGet, device)
        _call(driver.cuCtxSetCurrent, _call(driver.cuDevicePrimaryCtxRetain, handle))


def compiled(variant: Variant, arch: int) -> bytes:
    """Return a variant's machine code from the disk cache or from NVRTC; this needs no GPU.

    Args:
        variant: The kernel's name and macros.
        arch: Compute capability; 90 means 9.0.

    Returns:
        A cubin, or PTX for an architecture that is newer than NVRTC; the driver translates PTX.

    Raises:
        KernelUnavailable: If NVRTC is missing or the kernel does not compile.
    """
    sources = sources_of(variant)
    nvrtc = _bindings()[1]
    contents = sorted(sources.items()), variant.options, arch, nvrtc_version()
    path = cache_dir() / f"{variant.name}-sm{arch}-{hashlib.sha256(repr(contents).encode()).hexdigest()[:24]}.bin"
    op = state(variant.name)
    with kernel_cache.lock(path):
        code = kernel_cache.read(path)
        if code is not None:
            op.cached += 1
            return code
        started = time.perf_counter()
        if verbosity == "full":
            print(f"Compiling {variant.name} {' '.join(variant.options)} ...", flush=True)
        code = _compile(nvrtc, variant, sources, arch)
        op.compiled, op.seconds = op.compiled + 1, op.seconds + time.perf_counter() - started
        kernel_cache.write(path, code)
    return code


def nvrtc_version() -> str:
    """Return NVRTC's version, such as "13.0".

    Raises:
        KernelUnavailable: If NVRTC is missing.
    """
    return ".".join(map(str, _call(_bindings()[1].nvrtcVersion)))


def sources_of(variant: Variant) -> dict[str, bytes]:
    """Return the text of a variant's kernel and of the file that it includes, by file name."""
    return {path.name: path.read_bytes() for path in (SOURCES / f"{variant.name}.cu", SOURCES / "common.cuh")}


def _compile(nvrtc: ModuleType, variant: Variant, sources: dict[str, bytes], arch: int) -> bytes:
    supported = _call(nvrtc.nvrtcGetSupportedArchs)
    native = arch in supported
    if not native and arch < max(supported):
        raise KernelUnavailable(f"this NVRTC knows compute capabilities {supported}, not {arch}")
    target = f"sm_{arch}" if native else f"compute_{max(supported)}"
    name = f"{variant.name}.cu"
    program = _call(nvrtc.nvrtcCreateProgram, sources[name], name.encode(), 1, [sources["common.cuh"]], [b"common.cuh"])
    options = [option.encode() for option in [f"--gpu-architecture={target}", "--std=c++17", *variant.options]]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if int(error):
        log = b" " * _call(nvrtc.nvrtcGetProgramLogSize, program)
        _call(nvrtc.nvrtcGetProgramLog, program, log)
        lines = log.decode(errors="replace").strip("\0 \n").splitlines()
        raise KernelUnavailable(f"{name} does not compile for {target}: {lines[0] if lines else error}")
    size, get = (nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN) if native else (nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
    code = b" " * _call(size, program)
    _call(get, program, code)
    _call(nvrtc.nvrtcDestroyProgram, program)
    return code


@lru_cache(1)
def _bindings() -> tuple[ModuleType, ModuleType]:
    """Return the Python modules of the driver and of NVRTC."""
    try:
        from cuda.bindings import driver, nvrtc

        nvrtc.nvrtcVersion()
    except ImportError:
        major = (torch.version.cuda or "13").split(".")[0]
        raise KernelUnavailable(f'cuda-bindings is not installed: pip install "cuda-bindings=={major}.*"') from None
    except RuntimeError as error:
        raise KernelUnavailable(f"NVRTC is not found: {str(error).splitlines()[0]}") from None
    return driver, nvrtc


def _call(function: Callable[..., tuple[Any, ...]], *arguments: object) -> Any:  # noqa: ANN401
    """Call a function of the bindings; return its results without the error code, None if there are no results."""
    error, *values = function(*arguments)
    if int(error):
        raise KernelUnavailable(f"{function.__name__}: {error}")
    return (values[0] if values else None) if len(values) < 2 else tuple(values)
