"""Constants on a device, checks of shapes, the order of the data, copying and comparing networks."""

import contextlib
import functools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike

__all__ = [
    "InfiniteSampler",
    "assert_shape",
    "check_ddp_consistency",
    "constant",
    "copy_params_and_buffers",
    "ddp_sync",
    "named_params_and_buffers",
    "nan_to_num",
    "params_and_buffers",
    "print_module_summary",
    "profiled_function",
    "suppress_tracer_warnings",
    "symbolic_assert",
]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

nan_to_num = torch.nan_to_num  # stock training loops and networks use these two names
symbolic_assert = torch._assert


def constant(
    value: ArrayLike,
    shape: Sequence[int] | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    memory_format: torch.memory_format | None = None,
) -> torch.Tensor:
    """Return a tensor of a fixed value. It is made once for each combination of arguments and then reused.

    Do not write into the result: every later caller gets the same tensor.

    Args:
        value: A number, a nested list of numbers or an array.
        shape: Shape that the value is broadcast to; None keeps the value's own shape.
        dtype: Type of the result; None is PyTorch's default type.
        device: Device of the result; None is the CPU.
        memory_format: Layout of the result; None is contiguous.

    Returns:
        The tensor.
    """
    array = np.asarray(value)
    dtype = dtype or torch.get_default_dtype()
    shape = None if shape is None else tuple(shape)
    device = torch.device(device or "cpu")
    return _constant(array.tobytes(), array.dtype.str, array.shape, shape, dtype, device, memory_format)


@functools.lru_cache(maxsize=1024)
def _constant(
    data: bytes,
    data_dtype: str,
    data_shape: tuple[int, ...],
    shape: tuple[int, ...] | None,
    dtype: torch.dtype,
    device: torch.device,
    memory_format: torch.memory_format | None,
) -> torch.Tensor:
    array = np.frombuffer(data, dtype=data_dtype).reshape(data_shape).copy()
    tensor = torch.as_tensor(array, dtype=dtype, device=device)
    if shape is not None:
        tensor = tensor.broadcast_to(shape)
    return tensor.contiguous(memory_format=memory_format or torch.contiguous_format)


@contextlib.contextmanager
def suppress_tracer_warnings() -> Iterator[None]:
    """Silence the tracer's warnings about values that become constants, inside the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=torch.jit.TracerWarning)
        yield


def assert_shape(tensor: torch.Tensor, ref_shape: Sequence[int | None]) -> None:
    """Check the shape of a tensor.

    Args:
        tensor: The tensor.
        ref_shape: The expected shape; None in it matches any size.

    Raises:
        AssertionError: If the tensor has another shape.
    """
    with suppress_tracer_warnings():
        shape = tuple(int(size) for size in tensor.shape)
        wanted = tuple(None if size is None else int(size) for size in ref_shape)
    if len(shape) != len(wanted) or any(w is not None and w != s for s, w in zip(shape, wanted, strict=False)):
        raise AssertionError(f"tensor of shape {list(shape)}, expected {list(wanted)}")


def profiled_function(fn: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate a function so that PyTorch's profiler shows it under its own name.

    Args:
        fn: The function.

    Returns:
        A function that does the same.
    """

    @functools.wraps(fn)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with torch.autograd.profiler.record_function(fn.__name__):
            return fn(*args, **kwargs)

    return wrapper


class InfiniteSampler(torch.utils.data.Sampler):
    """Yield indices of a data set without end. All processes together go through one order; each takes its share.

    The items are shuffled once. After every draw the item swaps places with a random one among the
    `window_size * len(dataset)` items before it, so that no epoch repeats the order of the epoch before.

    Args:
        dataset: The data set; only its length is used.
        rank: Index of this process.
        num_replicas: Number of processes.
        shuffle: False yields the items in their own order.
        seed: Seed of the order.
        window_size: Fraction of the data set, 0 to 1, that an item may move back.

    Raises:
        ValueError: If the data set is empty, or an argument is out of range.
    """

    def __init__(
        self,
        dataset: Sized,
        rank: int = 0,
        num_replicas: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        window_size: float = 0.5,
    ) -> None:
        if len(dataset) < 1:
            raise ValueError("cannot sample from an empty data set")
        if not (num_replicas > 0 and 0 <= rank < num_replicas and 0 <= window_size <= 1):
            raise ValueError(f"rank {rank} of {num_replicas} with window {window_size} is out of range")
        super().__init__()
        self.dataset = dataset
        self.rank = rank
        self.num_replicas = num_replicas
        self.shuffle = shuffle
        self.seed = seed
        self.window_size = window_size

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = np.arange(size)
        rng = np.random.RandomState(self.seed)
        if self.shuffle:
            rng.shuffle(order)
        window = int(np.rint(size * self.window_size))
        for position in _count():
            here = position % size
            if position % self.num_replicas == self.rank:
                yield int(order[here])
            if self.shuffle and window >= 2:
                there = (here - rng.randint(window)) % size
                order[[here, there]] = order[[there, here]]


def _count() -> Iterator[int]:
    position = 0
    while True:
        yield position
        position += 1


def params_and_buffers(module: torch.nn.Module) -> list[torch.Tensor]:
    """Return all parameters of a module, then all its buffers."""
    return [tensor for _, tensor in named_params_and_buffers(module)]


def named_params_and_buffers(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Return (name, tensor) of all parameters of a module, then of all its buffers."""
    return [*module.named_parameters(), *module.named_buffers()]


def copy_params_and_buffers(
    src_module: torch.nn.Module, dst_module: torch.nn.Module, require_all: bool = False
) -> None:
    """Copy every tensor of one module to the tensor of the same name in another module.

    Args:
        src_module: The module to copy from.
        dst_module: The module to copy to.
        require_all: Whether every tensor of `dst_module` must exist in `src_module`.

    Raises:
        ValueError: If a tensor has another shape, or is missing although `require_all` is true.
    """
    source = dict(named_params_and_buffers(src_module))
    for name, tensor in named_params_and_buffers(dst_module):
        if name in source:
            if source[name].shape != tensor.shape:
                raise ValueError(
                    f"{name} has shape {list(source[name].shape)} there and {list(tensor.shape)} here; "
                    "the two networks were made with different options"
                )
            tensor.data.copy_(source[name].detach())
        elif require_all:
            raise ValueError(f"{name} is missing in the source network")


@contextlib.contextmanager
def ddp_sync(module: torch.nn.Module, sync: bool) -> Iterator[None]:
    """Choose whether a module of `DistributedDataParallel` exchanges gradients inside the block.

    Args:
        module: The module; modules of other classes are left alone.
        sync: Whether to exchange gradients.

    Yields:
        Nothing.
    """
    if sync or not isinstance(module, torch.nn.parallel.DistributedDataParallel):
        yield
    else:
        with module.no_sync():
            yield


def check_ddp_consistency(module: torch.nn.Module, ignore_regex: str | None = None) -> None:
    """Check that a module has the same tensors in all processes.

    Args:
        module: The module.
        ignore_regex: Pattern of names `Class.tensor` to leave out; None checks all tensors.

    Raises:
        RuntimeError: If a tensor differs between this process and rank 0.
    """
    for name, tensor in named_params_and_buffers(module):
        full_name = f"{type(module).__name__}.{name}"
        if ignore_regex is not None and re.fullmatch(ignore_regex, full_name):
            continue
        mine = tensor.detach()
        if mine.is_floating_point():
            mine = torch.nan_to_num(mine)
        rank0 = mine.clone()
        torch.distributed.broadcast(tensor=rank0, src=0)
        if not torch.equal(mine, rank0):
            raise RuntimeError(f"{full_name} differs between rank 0 and rank {torch.distributed.get_rank()}")


def print_module_summary(
    module: torch.nn.Module, inputs: Sequence[object], max_nesting: int = 3, skip_redundant: bool = True
) -> torch.Tensor:
    """Run a module once and print a table of its submodules: parameters, buffers and output shapes.

    Args:
        module: The module.
        inputs: Arguments of the run.
        max_nesting: Depth of the deepest submodules in the table.
        skip_redundant: Whether to leave out submodules without parameters and buffers of their own.

    Returns:
        The output of the run.
    """
    rows, result = _run_and_record(module, inputs, max_nesting)
    names = {submodule: name or "<top-level>" for name, submodule in module.named_modules()}
    seen: set[int] = set()
    table = [[type(module).__name__, "Parameters", "Buffers", "Output shape", "Datatype"], ["---"] * 5]
    totals = [0, 0]
    for submodule, outputs in rows:
        counts = [_count_unseen(tensors, seen) for tensors in (submodule.parameters(), submodule.buffers())]
        if skip_redundant and not any(counts) and submodule is not module:
            continue
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        shape = str(list(outputs[0].shape)) if outputs else "-"
        dtype = str(outputs[0].dtype).removeprefix("torch.") if outputs else "-"
        table.append([names[submodule], *(str(count) if count else "-" for count in counts), shape, dtype])
    table += [["---"] * 5, ["Total", str(totals[0]), str(totals[1]), "-", "-"]]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    print()
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()
    return result


def _run_and_record(
    module: torch.nn.Module, inputs: Sequence[object], max_nesting: int
) -> tuple[list[tuple[torch.nn.Module, list[torch.Tensor]]], torch.Tensor]:
    """Run a module; return (submodule, its output tensors) in the order in which they finish, and the output."""
    rows: list[tuple[torch.nn.Module, list[torch.Tensor]]] = []
    depth = 0

    def enter(submodule: torch.nn.Module, arguments: object) -> None:
        nonlocal depth
        depth += 1

    def leave(submodule: torch.nn.Module, arguments: object, outputs: object) -> None:
        nonlocal depth
        depth -= 1
        if depth <= max_nesting:
            parts = outputs if isinstance(outputs, (tuple, list)) else [outputs]
            rows.append((submodule, [part for part in parts if isinstance(part, torch.Tensor)]))

    hooks = []
    for submodule in module.modules():
        hooks += [submodule.register_forward_pre_hook(enter), submodule.register_forward_hook(leave)]
    try:
        return rows, module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()


def _count_unseen(tensors: Iterator[torch.Tensor], seen: set[int]) -> int:
    """Count the elements of the tensors that were not seen before, and mark these tensors as seen."""
    own = {id(tensor): tensor.numel() for tensor in tensors if id(tensor) not in seen}
    seen.update(own)
    return sum(own.values())
