"""Callables for the tests of `benchmarks.sides`."""

import os
import time


def counted(good_calls, then):
    """A function that does its first calls well, then crashes or hangs."""
    calls = 0

    def run():
        nonlocal calls
        calls += 1
        if calls > good_calls:
            os._exit(3) if then == "crash" else time.sleep(60)

    return run
