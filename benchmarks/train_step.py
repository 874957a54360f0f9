"""A training iteration (G, D, R1 at every 16th, EMA) of the video model beside image models on equal frames.

    python -m benchmarks.train_step [--release=DIR] [--reference=DIR] [--fp32] [--compile] [RESOLUTION ...]

--release: a checkout of universome/stylegan-v, the paper's own code. --reference: a checkout of stylegan2-ada-pytorch
or stylegan3. Their own networks, losses and ops do the same work; lines that begin with NOTE tell which of their fast
paths are in use.
--fp32: no mixed precision, which GPUs have and CPUs with AMX. --compile adds the video model through `torch.compile`,
which takes minutes to begin. Time and peak memory; each side has a process to itself, and a
round is 16 iterations of each, in turn.
"""

import argparse
import itertools
import tempfile
from pathlib import Path

from benchmarks.common import CHANNELS, CLIPS, FRAMES, PROCESS, print_table
from benchmarks.sides import Side, compare

ROUND = 16


def trainer(data, cfg, folder, clips=CLIPS, **kwargs):
    """A training run of ours in a folder.

    Args:
        data: Data set.
        cfg: Model; an image model sees as many frames in single pictures.
        folder: Run folder.
        clips: Clips of a batch.
        kwargs: Other options of `TrainOptions`.
    """
    from stylegan_v_ext.config import TrainOptions
    from stylegan_v_ext.engine import Trainer
    from stylegan_v_ext.memory import keep_freed_memory
    from stylegan_v_ext.runs import prepare

    frames = FRAMES if cfg != "stylegan2" else 1
    sizes = {"cbase": CHANNELS["channel_base"], "cmax": CHANNELS["channel_max"]}
    options = {"batch": clips * FRAMES // frames, "num_frames": frames, "aug": "noaug", "workers": 0, **sizes, **kwargs}
    run = Trainer(prepare(TrainOptions(outdir=folder, cfg=cfg, data=data, **options)).config, folder)
    if run.state.device.type == "cpu":
        PROCESS.enter_context(keep_freed_memory())
    return run


def our_step(data, cfg, folder, kwargs):
    """A training iteration of ours. It sees one batch again and again, since the other sides load no data either."""
    run = trainer(data, cfg, folder, **kwargs)
    run.gan_step.batches = itertools.repeat(next(run.gan_step.batches))
    return run.step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("resolutions", type=int, nargs="*", default=[64, 128], metavar="RESOLUTION")
    parser.add_argument("--release", type=Path, metavar="DIR")
    parser.add_argument("--reference", type=Path, metavar="DIR")
    parser.add_argument("--fp32", action="store_true")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    from stylegan_v_ext.data.synthetic import write_demo_dataset

    precision = dict(fp32=options.fp32)
    models = {cfg: (cfg, precision) for cfg in ("stylegan-v", "stylegan2")}
    models |= {"stylegan-v --compile": ("stylegan-v", dict(compile=True, **precision))} if options.compile else {}
    times, memory = [], []
    for resolution in options.resolutions:
        with tempfile.TemporaryDirectory() as folder:
            data = str(Path(folder) / "sky.zip")
            write_demo_dataset(data, resolution=resolution, num_videos=8, num_frames=40)
            sides = {
                name: Side("benchmarks.train_step:our_step", data, cfg, folder, kwargs)
                for name, (cfg, kwargs) in models.items()
            }
            for name, build, checkout in (
                ("the paper's own code", "benchmarks.release:training_step", options.release),
                ("reference's image model", "benchmarks.stock:training_step", options.reference),
            ):
                if checkout:
                    sides[name] = Side(build, str(checkout.resolve()), resolution, options.fp32)
            medians, peaks = compare(sides.values(), calls=ROUND)
        for rows, unit, values in ((times, "ms", medians), (memory, "MB", peaks)):
            ratios = [f"{values[0] / value:.2f}" for value in values[1:]]
            rows.append([f"{resolution} px", *(f"{value:.0f} {unit}" for value in values), *ratios])
    ratios = [f"stylegan-v / {name}" for name in list(sides)[1:]]
    print_table(["", *sides, *ratios], times)
    print_table(["peak memory", *sides, *ratios], memory)


if __name__ == "__main__":
    main()
