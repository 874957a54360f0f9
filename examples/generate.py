"""Make videos of a network: a content with two motions, slow motion, single frames.

python examples/generate.py [NETWORK]
"""

import argparse
from pathlib import Path

import stylegan_v_ext

SHIPPED = "tests/data/carphone64.safetensors"


def main(network: str = SHIPPED, *, folder: Path = Path("out"), frames: int = 100) -> None:
    """Write three videos into a folder, and print the brightness of the first video.

    Args:
        network: Checkpoint of any format, run folder or URL.
        folder: Folder of the videos.
        frames: Length of each video in frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sampler = stylegan_v_ext.load(network)

    # A content seed and a motion seed name a video. Without a motion seed the motion follows from the content.
    video = sampler.video(seed=3, frames=frames)
    video.write(folder / "video.mp4")
    sampler.video(seed=3, motion_seed=7, frames=frames).write(folder / "other-motion.mp4")

    # Time is continuous: a quarter of a frame a step gives true slow motion. Any start costs the same.
    sampler.video(seed=3, start=1_000_000, speed=0.25, frames=frames).write(folder / "slow.mp4")

    # A video is an iterable of arrays, uint8 [H, W, 3]. They are made while they are read.
    brightness = [frame.mean() for frame in video]
    print(f"{len(video)} frames, brightness {min(brightness):.1f} to {max(brightness):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default=SHIPPED)
    main(parser.parse_args().network)
