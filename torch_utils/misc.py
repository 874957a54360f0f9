"""Constants on a device, shape checks, data order, copying and comparing network states."""

import contextlib
import functools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import dnnlib

nan_to_num = torch.nan_to_num  # under these names stock training loops and networks call them
symbolic_assert = torch._assert


def constant(
    value: Any, shape: Any = None, dtype: Any = None, device: Any = None, memory_format: Any = None
) -> torch.Tensor:
    """A tensor of a fixed value, made once per value, shape, dtype and device, then reused.

    Do not write into the result: every later caller gets the same tensor.
    """
    array = np.asarray(value)
    dtype = dtype or torch.get_default_dtype()
    shape = None if shape is None else tuple(shape)
    device = torch.device(device or "cpu")
    return _constant(array.tobytes(), array.dtype.str, array.shape, shape, dtype, device, memory_format)


@functools.lru_cache(maxsize=1024)
def _constant(data, data_dtype, data_shape, shape, dtype, device, memory_format):  # noqa: ANN001, ANN202
    array = np.frombuffer(data, dtype=data_dtype).reshape(data_shape).copy()
    tensor = torch.as_tensor(array, dtype=dtype, device=device)
    if shape is not None:
        tensor = tensor.broadcast_to(shape)
    return tensor.contiguous(memory_format=memory_format or torch.contiguous_format)


@contextlib.contextmanager
def suppress_tracer_warnings() -> Iterator[None]:
    """Silence the tracer's warnings about values that become constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=torch.jit.TracerWarning)
        yield


def assert_shape(tensor: torch.Tensor, ref_shape: Any) -> None:
    """Raise AssertionError unless the tensor has the given shape; `None` matches any size."""
    with suppress_tracer_warnings():
        shape = tuple(int(size) for size in tensor.shape)
        wanted = tuple(None if size is None else int(size) for size in ref_shape)
    if len(shape) != len(wanted) or any(w is not None and w != s for s, w in zip(shape, wanted, strict=False)):
        raise AssertionError(f"tensor of shape {list(shape)}, expected {list(wanted)}")


def profiled_function(fn: Any) -> Any:
    """Decorator: the function shows under its own name in the PyTorch profiler."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with torch.autograd.profiler.record_function(fn.__name__):
            return fn(*args, **kwargs)

    return wrapper


class InfiniteSampler(torch.utils.data.Sampler):
    """Endless order of data-set indices, reshuffled as it goes, dealt out over `num_replicas` ranks.

    The items are shuffled once; after every draw the item swaps places with a random one among the
    `window_size * len(dataset)` drawn before it, so that no epoch repeats the order of the last.
    """

    def __init__(
        self,
        dataset: Any,
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


# Networks' parameters and buffers.


def params_and_buffers(module: torch.nn.Module) -> list[torch.Tensor]:
    """All parameters, then all buffers."""
    return [tensor for _, tensor in named_params_and_buffers(module)]


def named_params_and_buffers(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """(name, tensor) of all parameters, then of all buffers."""
    return [*module.named_parameters(), *module.named_buffers()]


def copy_params_and_buffers(
    src_module: torch.nn.Module, dst_module: torch.nn.Module, require_all: bool = False
) -> None:
    """Copy every tensor of `dst_module` that `src_module` has under the same name.

    Raises `ValueError` for a name that is missing (with `require_all`) or has another shape.
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
    """Whether a DistributedDataParallel module exchanges gradients inside the block."""
    if sync or not isinstance(module, torch.nn.parallel.DistributedDataParallel):
        yield
    else:
        with module.no_sync():
            yield


def check_ddp_consistency(module: torch.nn.Module, ignore_regex: str | None = None) -> None:
    """Raise RuntimeError if a tensor of the module differs between this rank and rank 0."""
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
    module: torch.nn.Module, inputs: Any, max_nesting: int = 3, skip_redundant: bool = True
) -> Any:
    """Run the module once and print a table of submodules: parameters, buffers, output shapes.

    Returns the outputs of the run. `skip_redundant` leaves out modules with nothing of their own.
    """
    rows: list[dnnlib.EasyDict] = []
    depth = 0

    def enter(mod: torch.nn.Module, args: Any) -> None:
        nonlocal depth
        depth += 1

    def leave(mod: torch.nn.Module, args: Any, outputs: Any) -> None:
        nonlocal depth
        depth -= 1
        if depth <= max_nesting:
            outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
            rows.append(dnnlib.EasyDict(mod=mod, outputs=[o for o in outputs if isinstance(o, torch.Tensor)]))

    hooks = []
    for mod in module.modules():
        hooks += [mod.register_forward_pre_hook(enter), mod.register_forward_hook(leave)]
    try:
        result = module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()

    names = {mod: name for name, mod in module.named_modules()}
    seen: set[int] = set()
    table = [[type(module).__name__, "Parameters", "Buffers", "Output shape", "Datatype"], ["---"] * 5]
    totals = [0, 0]
    for row in rows:
        counts = []
        for tensors in (row.mod.parameters(), row.mod.buffers()):
            own = {id(tensor): tensor.numel() for tensor in tensors if id(tensor) not in seen}
            seen.update(own)
            counts.append(sum(own.values()))
        if skip_redundant and not any(counts) and row.mod is not module:
            continue
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        shapes = [str(list(o.shape)) for o in row.outputs] or ["-"]
        dtypes = [str(o.dtype).removeprefix("torch.") for o in row.outputs] or ["-"]
        table.append([names[row.mod] or "<top-level>", *(str(c) if c else "-" for c in counts), shapes[0], dtypes[0]])
    table += [["---"] * 5, ["Total", str(totals[0]), str(totals[1]), "-", "-"]]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    print()
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print()
    return result
