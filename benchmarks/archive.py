"""Opening a data set of many frames: time and memory, beside Python's zipfile and beside sorting its names.

    python -m benchmarks.archive [--frames=200000]

Each measurement is a process of its own, in turn; medians of 7.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.common import print_table

REPEATS = 7
WORK = """
import json, sys, time
import stylegan_v_ext.data.videos as videos, stylegan_v_ext.data.archive as archive, zipfile

def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

before, start = memory(), time.perf_counter()
if sys.argv[1] == "ours":
    held = archive.open_archive(sys.argv[2])
    found = videos.list_videos(held)
else:
    held = zipfile.ZipFile(sys.argv[2])
    found = held.namelist()
    if sys.argv[1] == "zipfile, names sorted":
        found = sorted(found, key=videos.natural_key)
print(json.dumps([time.perf_counter() - start, memory() - before]))
"""


def measure(kind, path):
    done = subprocess.run([sys.executable, "-c", WORK, kind, str(path)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200_000)
    frames = parser.parse_args().frames
    kinds = ["ours", "zipfile", "zipfile, names sorted"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.zip"
        with zipfile.ZipFile(path, "w") as file:
            for number in range(frames):
                file.writestr(f"videos/clip_{number // 100:06d}/{number % 100:06d}.jpg", b"content")
        runs = [[measure(kind, path) for kind in kinds] for _ in range(REPEATS)]
    medians = [[statistics.median(run[k][what] for run in runs) for what in (0, 1)] for k in range(len(kinds))]
    rows = [
        [kind, f"{seconds:.2f} s", f"{medians[0][0] / seconds:.2f}", f"{mib:.0f} MiB", f"{medians[0][1] / mib:.2f}"]
        for kind, (seconds, mib) in zip(kinds, medians, strict=True)
    ]
    print_table([f"opening {frames} frames", "time", "ours / this", "memory", "ours / this"], rows)


if __name__ == "__main__":
    main()
