"""Programs to compare, each in a process of its own: other code keeps its own modules, and memory can be told apart."""

import contextlib
import importlib
import json
import os
import re
import select
import statistics
import subprocess
import sys
import time

ANSWER = "ANSWER "


class SideEnded(SystemExit):
    """A side ended or did not answer in time; what it printed tells why."""


class Side:
    """A process with one callable.

    Args:
        build: "module:function", which makes the callable in that process.
        arguments: Plain values for `build`.
        seconds: Longest wait for an answer; None waits without end.
        keywords: Plain values for `build`, by name.

    Raises:
        SideEnded: The process ended, or an answer took longer than `seconds`. The process is gone then.
    """

    def __init__(self, build, *arguments, seconds=None, **keywords):
        command = [sys.executable, "-m", "benchmarks.sides", build, json.dumps([arguments, keywords])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seconds, self._read = seconds, b""
        self._answer()

    def run(self, calls=1):
        """Milliseconds of a call, the mean of some in a row; a GPU is waited for after the last one only."""
        return self._ask(f"run {calls}")

    def peak(self):
        """Peak memory so far in MB: of the GPU if there is one, else of the process."""
        return self._ask("peak")

    def close(self):
        """End the process and return its peak memory, as `peak`."""
        with self.process:
            return self._ask("end")

    def forget_peak(self):
        """Let the peak of a GPU's memory begin anew, after first calls that try several algorithms."""
        return self._ask("forget")

    def kill(self):
        """End the process at once."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # it may hold a question that nobody reads any more
                pipe.close()
        self.process.wait()

    def _ask(self, what):
        try:
            self.process.stdin.write(f"{what}\n".encode())
            self.process.stdin.flush()
        except OSError:
            raise SideEnded("a side of the comparison ended; its error is above") from None
        return self._answer()

    def _answer(self):
        deadline = None if self.seconds is None else time.monotonic() + self.seconds
        while True:
            line, found, rest = self._read.partition(b"\n")
            if found:
                self._read = rest
                if line.startswith(ANSWER.encode()):
                    return float(line[len(ANSWER) :])
                continue
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not select.select([self.process.stdout], [], [], left)[0]:
                self.kill()
                raise SideEnded(f"a side of the comparison gave no answer in {self.seconds:.0f} s")
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise SideEnded("a side of the comparison ended; its error is above")
            self._read += chunk


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


def _serve(build, arguments, keywords):
    import torch  # here, so that whoever compares does without

    module, name = build.split(":")
    function = getattr(importlib.import_module(module), name)(*arguments, **keywords)
    print(f"{ANSWER}{_forget_peak()}", flush=True)
    while (request := input().split())[0] != "end":
        if request[0] in ("peak", "forget"):
            print(f"{ANSWER}{_peak() if request[0] == 'peak' else _forget_peak()}", flush=True)
            continue
        calls = int(request[1])
        start = time.perf_counter()
        for _ in range(calls):
            function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        print(f"{ANSWER}{(time.perf_counter() - start) * 1e3 / calls}", flush=True)
    print(f"{ANSWER}{_peak()}", flush=True)


def _forget_peak():
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    return 0


def _peak():
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    with open("/proc/self/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) * 1024 / 1e6


if __name__ == "__main__":
    _serve(sys.argv[1], *json.loads(sys.argv[2]))
