"""Train a tiny model from Python, go on with the run, make a video.

    python examples/train_tiny.py

It shows the calls. A model that is good to look at needs days on a GPU.
"""

import argparse
from pathlib import Path

from stylegan_v_ext import TrainOptions, load, resume, train

TINY = {"cbase": 512, "cmax": 16, "latent_dim": 32, "motion_z_dim": 32, "batch": 4, "workers": 0}


def main(*, data: str = "demo", folder: Path = Path("runs"), kimg: float = 1.0, frames: int = 64) -> Path:
    """Train, go on, and make a video.

    Args:
        data: Data set; "demo" is the built-in sky time-lapse.
        folder: Folder of the run folders.
        kimg: Length of each half of the training, in thousand clips.
        frames: Length of the video in frames.

    Returns:
        The video, in the run folder.
    """
    options = TrainOptions(data=data, outdir=folder, kimg=kimg, tick=kimg / 2, snap=1, aug="noaug", **TINY)
    snapshot = train(options)
    snapshot = resume(snapshot.parent, kimg=2 * kimg)
    return load(snapshot).video(seed=0, frames=frames).write(snapshot.parent / "video.mp4")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    print(main())
