"""CUDA kernels: nvcc, ninja and a host compiler build those of the stock code."""

from patches.patch import Patch

PATCH = Patch(
    name="custom_ops",
    symptom="hanging at 'Setting up PyTorch plugin'; unsupported gpu architecture; ninja is required; "
    "ModuleNotFoundError after cpp_extension.load",
    versions="machines on which the compilers and PyTorch do not fit together",
    reason="our kernels are compiled by NVRTC, which comes with PyTorch, and fall back to PyTorch functions",
    needed=lambda: True,
    replaced_by="torch_utils.custom_ops",
)
