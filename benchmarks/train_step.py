"""A training iteration (G, D, and R1 every 16th, EMA) of the video model beside an image model on equal frames."""

import sys
import tempfile
from pathlib import Path

from benchmarks.common import median_ms, print_table
from stylegan_v_ext.cli.train import make_config
from stylegan_v_ext.config import TrainOptions
from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.engine.loop import Trainer

CLIPS, FRAMES = 4, 3


def trainer(data, cfg, folder):
    frames = FRAMES if cfg != "stylegan2" else 1
    options = TrainOptions(
        outdir=folder, cfg=cfg, data=data, num_frames=frames, batch=CLIPS * FRAMES // frames, cbase=4096, cmax=128,
        aug="noaug", workers=0, device=str(pick_device("auto")),
    )  # fmt: skip
    return Trainer(make_config(options), folder)


def main(resolutions=(64, 128)):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for resolution in resolutions:
            data = str(Path(folder) / f"sky-{resolution}.zip")
            write_demo_dataset(data, resolution=resolution, num_videos=8, num_frames=40)
            trainers = [trainer(data, cfg, folder) for cfg in ("stylegan-v", "stylegan-v-cvpr", "stylegan2")]
            steps = [lambda t=t: [t.step() for _ in range(4)] for t in trainers]
            times = [ms / 4 for ms in median_ms(steps)]
            rows.append([f"{resolution} px", *(f"{ms:.0f} ms" for ms in times), f"{times[0] / times[2]:.2f}"])
    print_table(["", "stylegan-v", "stylegan-v-cvpr", "stylegan2", "stylegan-v / stylegan2"], rows)


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or (64, 128))
