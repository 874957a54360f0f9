"""The kernels' per-thread functions, built by the host compiler and run one thread after another."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from torch_utils.custom_ops import SOURCES, Variant

COMPILER = shutil.which("g++") or shutil.which("clang++")

_SHELLS = {
    "upfirdn2d": "void run(const UpfirdnParams* p, unsigned) { "
    "for (unsigned i = 0; i < (p->total + THREADS - 1) / THREADS * THREADS; i++) upfirdn2d_thread(*p, i); }",
    "bias_act": """
#if SUMS
void run(const BiasActParams* p, unsigned blocks) {
  static BiasActSums shared;
  for (unsigned b = 0; b < blocks; b++) {
    __builtin_memset(&shared, 0xff, sizeof(shared));
    for (int t = 0; t < THREADS; t++) bias_act_sum(*p, shared, b, t);
    for (int t = 0; t < THREADS; t++) bias_act_add_up(*p, shared, b, t);
  }
}
#else
void run(const BiasActParams* p, unsigned) {
  for (unsigned i = 0; i < (p->packs + THREADS - 1) / THREADS * THREADS; i++) bias_act_thread(*p, i);
}
#endif""",
    "filtered_lrelu": """void run(const FilteredLreluParams* p, unsigned blocks) {
  static Tile tile;
  for (unsigned b = 0; b < blocks; b++) {
    const Place at = filtered_lrelu_place(*p, b);
    __builtin_memset(&tile, 0xff, sizeof(tile));
    for (int t = 0; t < THREADS; t++) load_input(*p, at, tile, t);
    for (int t = 0; t < THREADS; t++) upsample_x(*p, tile, t);
    for (int t = 0; t < THREADS; t++) upsample_y_and_activate(*p, at, tile, t);
    for (int t = 0; t < THREADS; t++) downsample_x(*p, at, tile, t);
    for (int t = 0; t < THREADS; t++) downsample_y(*p, at, tile, t);
  }
}
unsigned nbytes() { return sizeof(Tile); }""",
}


@lru_cache(1)
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()


@lru_cache(None)
def library(variant: Variant) -> ctypes.CDLL:
    """`run(params*, blocks)` of a variant as a shared library."""
    stem = Path(_folder().name) / f"{variant.name}-{abs(hash(variant))}"
    source = f'#include <math.h>\n#include "{variant.name}.cu"\nextern "C" {{\n{_SHELLS[variant.name]}\n}}\n'
    subprocess.run(
        [COMPILER, "-O1", "-std=c++17", "-shared", "-fPIC", "-w", f"-I{SOURCES}", *variant.options, "-x", "c++", "-",
         "-o", f"{stem}.so"],
        input=source, text=True, check=True,
    )  # fmt: skip
    return ctypes.CDLL(f"{stem}.so")


class HostKernel:
    """Stands in for `custom_ops.Kernel`: every thread of every block, on tensors in the host's memory."""

    def __init__(self, variant: Variant):
        self.variant = variant

    def __call__(
        self, params: ctypes.Structure, blocks: int, threads: int, device: int | None, shared_nbytes: int = 0
    ) -> None:
        library(self.variant).run(ctypes.byref(params), blocks)
