"""A training iteration (G, D, and R1 every 16th, EMA) of the video model beside an image model on equal frames.

    python -m benchmarks.train_step [--compile] [RESOLUTION ...]

--compile adds the video model through `torch.compile`, which takes minutes to begin.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.common import median_ms, print_table
from stylegan_v_ext.cli.common import device_to_use
from stylegan_v_ext.cli.train import make_config
from stylegan_v_ext.config import TrainOptions
from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.engine.loop import Trainer

CLIPS, FRAMES = 4, 3


def trainer(data, cfg, folder, **kwargs):
    frames = FRAMES if cfg != "stylegan2" else 1
    options = TrainOptions(
        outdir=folder, cfg=cfg, data=data, num_frames=frames, batch=CLIPS * FRAMES // frames, cbase=4096, cmax=128,
        aug="noaug", workers=0, **{"device": str(device_to_use("auto")), **kwargs},
    )  # fmt: skip
    return Trainer(make_config(options), folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("resolutions", type=int, nargs="*", default=[64, 128], metavar="RESOLUTION")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    models = [("stylegan-v", {}), ("stylegan-v-cvpr", {}), ("stylegan2", {})]
    models += [("stylegan-v", dict(compile=True))] if options.compile else []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for resolution in options.resolutions:
            data = str(Path(folder) / f"sky-{resolution}.zip")
            write_demo_dataset(data, resolution=resolution, num_videos=8, num_frames=40)
            trainers = [trainer(data, cfg, folder, **kwargs) for cfg, kwargs in models]
            steps = [lambda t=t: [t.step() for _ in range(4)] for t in trainers]
            times = [ms / 4 for ms in median_ms(steps)]
            ratios = [times[0] / times[2], *(ms / times[0] for ms in times[3:])]
            rows.append([f"{resolution} px", *(f"{ms:.0f} ms" for ms in times), *(f"{ratio:.2f}" for ratio in ratios)])
    columns = [cfg + " --compile" * bool(kwargs) for cfg, kwargs in models]
    last = ["--compile / without"] if options.compile else []
    print_table(["", *columns, "stylegan-v / stylegan2", *last], rows)


if __name__ == "__main__":
    main()
