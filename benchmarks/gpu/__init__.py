"""Everything about a GPU in one call: `python -m benchmarks.gpu` (docs/gpu.md)."""
