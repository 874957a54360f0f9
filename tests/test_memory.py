"""Freed memory is used again inside a block, and given back after it."""

import platform
import subprocess
import sys

import pytest

WORK = """
import resource, sys, torch
from stylegan_v_ext.memory import keep_freed_memory

def work():  # tensors of 64 MB, of which two live at a time
    x = torch.ones(2**24)
    for _ in range(20):
        x = x + 1
    return float(x[0])

def faults():
    work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert work() == 21
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20

before = faults(), resident_mb()
with keep_freed_memory():
    with keep_freed_memory():
        pass
    inside = faults(), resident_mb()
after = faults(), resident_mb()
print(*before, *inside, *after)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_large_tensors_reuse_pages_inside_the_block_alone():
    result = subprocess.run([sys.executable, "-c", WORK], stdout=subprocess.PIPE, text=True, check=True)
    faults, size, faults_inside, size_inside, faults_after, size_after = map(int, result.stdout.split())
    assert faults_inside < faults / 20 and faults_after > faults / 2
    assert size_inside > size + 100 and size_after < size + 50, "in MB; two tensors have 128"


def test_without_glibc_nothing_happens(monkeypatch):
    from stylegan_v_ext import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("called"))
    with memory.keep_freed_memory():
        pass
