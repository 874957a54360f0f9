"""Time a frame of one long video, and a late start beside an early one."""

import torch

from benchmarks.common import median_ms, print_table
from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.networks.generator import VideoGenerator

FRAMES = 128


def main():
    rows = []
    for resolution in (64, 128):
        generator = VideoGenerator(3, resolution, 3, channel_base=4096, channel_max=128)
        sampler = VideoSampler(generator, device_to_use("auto"))

        def run(start, sampler=sampler):
            for _ in sampler.frames(VideoName(0), frame_times(FRAMES, start=start)):
                pass

        early, late = median_ms([lambda: run(0), lambda: run(1e6)])
        rows.append([f"{resolution} px", f"{early / FRAMES:.2f} ms", f"{late / FRAMES:.2f} ms", f"{late / early:.2f}"])
    print_table(["", "a frame from t = 0", "a frame from t = 1e6", "ratio"], rows)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
