"""CUDA kernels without a toolchain: the `.cu` text beside the ops is compiled at first use, by NVRTC.

NVRTC comes with PyTorch's CUDA wheels, and NVIDIA's `cuda-bindings` reaches it from Python: no nvcc,
ninja or host compiler. A kernel is compiled for exactly the factors, types and sizes it is called
with, which takes a fraction of a second, and kept on disk by source, options, architecture and
compiler version.
"""

import ctypes
import hashlib
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

import dnnlib
from dnnlib.files import atomic_path

VERBOSITIES = ("none", "brief", "full")
verbosity = "brief"  # read and written by stock training scripts

SOURCES = Path(__file__).parent / "ops"
SCALARS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2, torch.float64: 3}  # the macro SCALAR
library = torch.library.Library("stylegan_v_ext", "FRAGMENT")  # where ops register, for torch.compile
enabled = True  # False: references only, everywhere
_LARGEST = 2**31 - 2**28  # elements of an input; kernels count threads in 31 bits, and padding adds some


class KernelUnavailable(RuntimeError):
    """A kernel cannot be compiled, loaded or launched here; the message is the reason in one line."""


@dataclass
class OpState:
    """How an op's kernels came about in this process.

    Attributes:
        seconds: Spent compiling.
    """

    compiled: int = 0
    cached: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Variant:
    """A kernel for certain types, factors and sizes: the `.cu` file of that name with these macros."""

    name: str
    macros: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, name: str, **macros: int) -> "Variant":
        return cls(name, tuple(sorted(macros.items())))

    def __getitem__(self, macro: str) -> int:
        return dict(self.macros)[macro]

    @property
    def options(self) -> list[str]:
        return [f"-D{key}={value}" for key, value in self.macros]


class Divisor(ctypes.Structure):
    """Division by d as a multiplication and a shift, exact below 2^31 (`Divisor` in common.cuh)."""

    _fields_ = [("d", ctypes.c_uint32), ("multiplier", ctypes.c_uint32), ("shift", ctypes.c_uint32)]


@lru_cache(4096)
def divisor(d: int) -> Divisor:
    """The multiplier and shift that divide by d, 1 <= d < 2^31 (Granlund and Montgomery 1994, section 4)."""
    shift = (d - 1).bit_length()
    return Divisor(d, ((1 << 32) * ((1 << shift) - d)) // d + 1, shift)


@dataclass
class Kernel:
    """A loaded kernel of one device. Launching neither waits nor allocates, so that CUDA graphs can record it."""

    function: Any
    driver: Any = field(repr=False)

    def __call__(
        self, params: ctypes.Structure, blocks: int, threads: int, device: int, shared_nbytes: int = 0
    ) -> None:
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
_problems: dict[int, str | None] = {}
_lock = threading.RLock()
_kernels: dict[tuple[Variant, int], Kernel] = {}


def set_verbosity(level: str) -> None:
    """Set how much is printed while ops are prepared; raises `ValueError` for an unknown level."""
    global verbosity
    if level not in VERBOSITIES:
        raise ValueError(f"verbosity {level!r} is not one of {', '.join(VERBOSITIES)}")
    verbosity = level


def state(name: str) -> OpState:
    """How the kernels of an op came about so far."""
    return _states.setdefault(name, OpState())


def wanted(x: torch.Tensor) -> bool:
    """Whether an op on x has a kernel: a CUDA tensor of a type and size that kernels take, and they work here."""
    fits = enabled and x.is_cuda and x.dtype in SCALARS and x.numel() <= _LARGEST
    return fits and problem(x.device.index) is None


def problem(device: int) -> str | None:
    """Why kernels cannot be had on a CUDA device, `None` where they can. Tried once, by comparing results."""
    if device not in _problems:
        from torch_utils.ops import self_check

        with _lock:
            try:
                _problems[device] = self_check.problem(torch.device("cuda", device))
            except KernelUnavailable as error:
                _problems[device] = str(error)
            except Exception as error:  # whatever is wrong with drivers and bindings, the references work
                _problems[device] = (
                    f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
                )
            if _problems[device]:
                warnings.warn(f"ops run without CUDA kernels, several times slower: {_problems[device]}", stacklevel=2)
    return _problems[device]


# What torch.compiler.assume_constant_result sets; that function itself imports the whole compiler.
problem._dynamo_marked_constant = True  # type: ignore[attr-defined]


def kernel(variant: Variant, device: int, shared_nbytes: int = 0) -> Kernel:
    """The kernel of a variant on a CUDA device: from memory, from the disk cache, or compiled now.

    Args:
        shared_nbytes: Dynamic shared memory that its launches use.

    Raises:
        KernelUnavailable: .
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


def _bind_context(driver: Any, device: int) -> None:
    """Give this thread PyTorch's context of a device, where it has none yet: threads of autograd start without."""
    if not int(_call(driver.cuCtxGetCurrent)):
        handle = _call(driver.cuDeviceGet, device)
        _call(driver.cuCtxSetCurrent, _call(driver.cuDevicePrimaryCtxRetain, handle))


def compiled(variant: Variant, arch: int) -> bytes:
    """Machine code for compute capability `arch` (90 is 9.0), from the disk cache or NVRTC; needs no GPU.

    For an architecture newer than NVRTC it is PTX, which the driver translates. Raises `KernelUnavailable`.
    """
    sources = sources_of(variant)
    nvrtc = _bindings()[1]
    contents = sorted(sources.items()), variant.options, arch, nvrtc_version()
    path = cache_dir() / f"{variant.name}-sm{arch}-{hashlib.sha256(repr(contents).encode()).hexdigest()[:24]}.bin"
    op = state(variant.name)
    with _cache_lock(path):
        code = _read_cached(path)
        if code is not None:
            op.cached += 1
            return code
        started = time.perf_counter()
        if verbosity == "full":
            print(f"Compiling {variant.name} {' '.join(variant.options)} ...", flush=True)
        code = _compile(nvrtc, variant, sources, arch)
        op.compiled, op.seconds = op.compiled + 1, op.seconds + time.perf_counter() - started
        _write_cached(path, code)
    return code


def nvrtc_version() -> str:
    """Such as "13.0". Raises `KernelUnavailable`."""
    return ".".join(map(str, _call(_bindings()[1].nvrtcVersion)))


def cache_dir() -> Path:
    """Where compiled kernels are kept."""
    return Path(dnnlib.make_cache_dir_path("kernels"))


def sources_of(variant: Variant) -> dict[str, bytes]:
    """The text of a variant's kernel and of what it includes, by file name."""
    return {path.name: path.read_bytes() for path in (SOURCES / f"{variant.name}.cu", SOURCES / "common.cuh")}


def _compile(nvrtc: Any, variant: Variant, sources: dict[str, bytes], arch: int) -> bytes:
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
def _bindings() -> tuple[Any, Any]:
    """The driver's and NVRTC's Python side."""
    try:
        from cuda.bindings import driver, nvrtc

        nvrtc.nvrtcVersion()
    except ImportError:
        major = (torch.version.cuda or "13").split(".")[0]
        raise KernelUnavailable(f'cuda-bindings is not installed: pip install "cuda-bindings=={major}.*"') from None
    except RuntimeError as error:
        raise KernelUnavailable(f"NVRTC is not found: {str(error).splitlines()[0]}") from None
    return driver, nvrtc


def _call(function: Any, *arguments: Any) -> Any:
    """What a function of the bindings gives beside its error code; `None` for nothing."""
    error, *values = function(*arguments)
    if int(error):
        raise KernelUnavailable(f"{function.__name__}: {error}")
    return (values[0] if values else None) if len(values) < 2 else tuple(values)


def _read_cached(path: Path) -> bytes | None:
    """Code behind its checksum; `None` for a file that is not there or not whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    code = content[32:]
    return code if hashlib.sha256(code).digest() == content[:32] and code else None


def _write_cached(path: Path, code: bytes) -> None:
    with suppress(OSError), atomic_path(path) as temporary:  # a cache that cannot be written costs time, nothing else
        temporary.write_bytes(hashlib.sha256(code).digest() + code)


@contextmanager
def _cache_lock(path: Path) -> Iterator[None]:
    """One process compiles, the others wait. The system drops the lock with its process, however that ends."""
    try:
        import fcntl

        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.with_suffix(".lock").open("w")
    except (ImportError, OSError):
        yield
        return
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
