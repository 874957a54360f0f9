"""Train with the loop of a stylegan3 checkout, and use its modules on our clips.

    git clone https://github.com/NVlabs/stylegan3
    python examples/stylegan3_checkout.py stylegan3 clips.zip

The checkout is not edited. What its code needs on today's Python and PyTorch is patched in memory (docs/host.md).
"""

import argparse
from pathlib import Path

import torch

from stylegan_v_ext import SparseVideoDataset, TrainOptions, host, train
from stylegan_v_ext.strip import unpack_strip

TINY = {"cbase": 512, "cmax": 16, "latent_dim": 32, "motion_z_dim": 32, "batch": 4, "workers": 1}


def main(checkout: str, data: str, *, folder: Path = Path("runs"), kimg: float = 0.1) -> Path:
    """Train a tiny model in a checkout, then augment a clip with the checkout's own pipe.

    Args:
        checkout: Folder of stylegan3 or stylegan2-ada-pytorch.
        data: Data set.
        folder: Folder of the run folders.
        kimg: Length of the training in thousand clips.

    Returns:
        The last snapshot.
    """
    options = TrainOptions(data=data, host=checkout, outdir=folder, kimg=kimg, tick=kimg / 2, snap=1, **TINY)
    snapshot = train(options)

    # Inside the block, `training`, `metrics` and `legacy` are modules of the checkout.
    with host.entered(checkout):
        from training.augment import AugmentPipe

        strip, _ = SparseVideoDataset(data)[0]
        frames = unpack_strip(torch.from_numpy(strip)[None] / 127.5 - 1)[0]
        flipped = AugmentPipe(xflip=1)(frames)
        print(f"{len(flipped)} frames through the checkout's AugmentPipe")
    return snapshot


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout")
    parser.add_argument("data")
    print(main(**vars(parser.parse_args())))
