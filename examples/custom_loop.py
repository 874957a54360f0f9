"""A training loop of your own over the steps of the GAN.

    python examples/custom_loop.py

`trainer.run()` is the loop that `train.py` runs. A loop of your own decides when to look, to change something and to
stop.
"""

import argparse
from pathlib import Path

from stylegan_v_ext import TrainOptions, VideoSampler
from stylegan_v_ext.engine import Trainer
from stylegan_v_ext.runs import make_run_dir, prepare

TINY = {"cbase": 512, "cmax": 16, "latent_dim": 32, "motion_z_dim": 32, "batch": 4, "workers": 0}


def main(*, data: str = "demo", folder: Path = Path("runs"), num_steps: int = 200, every: int = 50) -> Path:
    """Train for some steps, with a look at the networks on the way.

    Args:
        data: Data set; "demo" is the built-in sky time-lapse.
        folder: Folder of the run folders.
        num_steps: Steps of training; each is a batch.
        every: Steps between two looks.

    Returns:
        The snapshot at the end.
    """
    plan = prepare(TrainOptions(data=data, outdir=folder, aug="noaug", **TINY))
    run_dir = Path(make_run_dir(folder, plan.config.name))
    trainer = Trainer(plan.config, run_dir)
    state = trainer.state  # networks, optimizers, counters

    for _ in range(num_steps):
        trainer.step()  # generator, discriminator, R1 every 16th step, average of the weights
        if state.num_steps % every == 0:
            clip = VideoSampler(state.G_ema, state.device).video(seed=0, frames=16)
            clip.write(run_dir / f"step{state.num_steps:06d}.mp4")
            # A change on the way: the learning rate of the discriminator falls.
            for group in state.D_opt.param_groups:
                group["lr"] *= 0.9
            print(f"step {state.num_steps}, {state.num_clips} clips")

    return trainer.files.save_snapshot()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    print(main())
