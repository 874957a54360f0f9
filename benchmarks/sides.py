"""Programs to compare, each in a process of its own: other code keeps its own modules, and memory can be told apart."""

import importlib
import json
import re
import statistics
import subprocess
import sys
import time

import torch

ANSWER = "ANSWER "


class Side:
    """A process with one callable. build: "module:function", which makes it there from the arguments."""

    def __init__(self, build, *arguments):
        command = [sys.executable, "-m", "benchmarks.sides", build, json.dumps(arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._answer()

    def run(self):
        """Milliseconds of one call."""
        return self._ask("run")

    def close(self):
        """End the process and return its peak memory in MB, of the GPU where there is one."""
        with self.process:
            return self._ask("end")

    def _ask(self, what):
        print(what, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self):
        for line in self.process.stdout:
            if line.startswith(ANSWER):
                return float(line.removeprefix(ANSWER))
        raise SystemExit("a side of the comparison ended; its error is above")


def compare(sides, calls=1, repeats=7):
    """(median milliseconds of a call of each side, peak megabytes of each).

    A round is that many calls of each side, in turn, so that drifts of the machine hit all alike.
    """
    sides = list(sides)
    for side in sides:
        side.run()
    times = [[] for _ in sides]
    for _ in range(repeats):
        totals = [0.0 for _ in sides]
        for _ in range(calls):
            for number, side in enumerate(sides):
                totals[number] += side.run()
        for total, row in zip(totals, times, strict=True):
            row.append(total / calls)
    return [statistics.median(row) for row in times], [side.close() for side in sides]


def _serve(build, arguments):
    module, name = build.split(":")
    function = getattr(importlib.import_module(module), name)(*arguments)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    print(ANSWER + "0", flush=True)
    while input() == "run":
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        print(f"{ANSWER}{(time.perf_counter() - start) * 1e3}", flush=True)
    print(f"{ANSWER}{_peak()}", flush=True)


def _peak():
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    with open("/proc/self/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) * 1024 / 1e6


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
