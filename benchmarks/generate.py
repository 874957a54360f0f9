"""Time a frame of one long video, early and late, and beside a checkout's image generator.

    python -m benchmarks.generate [--release=DIR] [--reference=DIR] [--bf16] [RESOLUTION ...]

--release: a checkout of universome/stylegan-v, the paper's own code, which makes as long a video, 16 frames at a time.
--reference: a checkout of stylegan2-ada-pytorch or stylegan3, whose image model makes as many frames, likewise.
--bf16: bfloat16, on CPUs with AMX.
"""

import argparse
from pathlib import Path

from benchmarks.common import CHANNELS, PROCESS, precision, print_table, use_training_settings
from benchmarks.sides import Side, compare

FRAMES = 128


def our_video(resolution, start, bf16):
    import torch

    from stylegan_v_ext.device import pick_device
    from stylegan_v_ext.execution import execution
    from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
    from stylegan_v_ext.memory import keep_freed_memory
    from stylegan_v_ext.networks.generator import VideoGenerator

    torch.manual_seed(0)
    use_training_settings()
    sampler = VideoSampler(VideoGenerator(3, resolution, 3, **CHANNELS, **precision()), pick_device("auto"))
    PROCESS.enter_context(keep_freed_memory())
    PROCESS.enter_context(execution(bfloat16_on_cpu=bf16))

    def run():
        for _ in sampler.frames(VideoName(0), frame_times(FRAMES, start=start)):
            pass

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("resolutions", type=int, nargs="*", default=[64, 128], metavar="RESOLUTION")
    parser.add_argument("--release", type=Path, metavar="DIR")
    parser.add_argument("--reference", type=Path, metavar="DIR")
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    rows = []
    for resolution in options.resolutions:
        sides = {
            name: Side("benchmarks.generate:our_video", resolution, start, options.bf16)
            for name, start in (("a frame from t = 0", 0), ("from t = 1e6", 1e6))
        }
        for name, build, checkout in (
            ("the paper's own code", "benchmarks.release:video", options.release),
            ("reference's image model", "benchmarks.stock:video", options.reference),
        ):
            if checkout:
                sides[name] = Side(build, str(checkout.resolve()), resolution, FRAMES)
        times, peaks = compare(sides.values())
        ratios = [f"{times[1] / times[0]:.2f}", *(f"{times[0] / ms:.2f}" for ms in times[2:])]
        cells = [f"{ms / FRAMES:.2f} ms, {mb:.0f} MB" for ms, mb in zip(times, peaks, strict=True)]
        rows.append([f"{resolution} px", *cells, *ratios])
    print_table(["", *sides, "late / early", *(f"ours / {name}" for name in list(sides)[2:])], rows)


if __name__ == "__main__":
    main()
