"""Freed memory is used again."""

import platform
import subprocess
import sys

import pytest

WORK = """
import resource, sys, torch
from stylegan_v_ext.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def work():  # tensors of 64 MB, of which two live at a time
    x = torch.ones(2**24)
    for _ in range(20):
        x = x + 1
    return float(x[0])
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
assert work() == 21
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_large_tensors_reuse_pages():
    def faults(mode):
        command = [sys.executable, "-c", WORK, mode]
        return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)

    assert faults("kept") < faults("default") / 20


def test_without_glibc_nothing_happens(monkeypatch):
    from stylegan_v_ext import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("called"))
    memory.keep_freed_memory.__wrapped__()
