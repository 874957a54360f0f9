"""Small runs for tests: their configuration, their steps, their numbers."""

import dataclasses

import numpy as np
import torch

from stylegan_v_ext.config import DataFacts, TrainOptions, build_config
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.networks import precision
from torch_utils import training_stats

SMALL = dict(
    cfg="stylegan-v", batch=4, cbase=256, cmax=16, latent_dim=32, motion_z_dim=24, num_frames=3, workers=0, kimg=0.04,
    tick=0.02, snap=1, nobench=True, device="cpu",
)  # fmt: skip


def config_for(data, **kwargs):
    """The configuration of a small run on a data set, with these options."""
    options = TrainOptions(outdir="unused", data=str(data), **{**SMALL, **kwargs})
    dataset = SparseVideoDataset(
        options.data, use_labels=options.cond, xflip=options.mirror, num_frames=options.clip_frames
    )
    facts = DataFacts(
        path=options.data,
        name=dataset.name,
        resolution=dataset.resolution,
        num_classes=dataset.num_classes,
        num_videos=len(dataset),
        motion_distance=dataset.motion_distance,
    )
    return build_config(options, facts, device=options.device, fast_bfloat16=precision.has_fast_bfloat16())


def changed(config, **parts):
    """A configuration with other values: `changed(config, average=dict(kimg=1))`."""
    return dataclasses.replace(
        config, **{name: dataclasses.replace(getattr(config, name), **values) for name, values in parts.items()}
    )


def steps(trainer, count):
    for _ in range(count):
        trainer.step()
    return trainer


def losses_of(trainer, count):
    """Mean loss of G and of D in every step."""
    with trainer.execution():
        collector = training_stats.Collector(regex="Loss/[GD]/loss", keep_previous=False)
    rows = []
    for _ in range(count):
        trainer.step()
        collector.update()
        rows.append((collector["Loss/G/loss"], collector["Loss/D/loss"]))
    return np.array(rows)


def everything(trainer):
    """All tensors that training moves, by name."""
    state = trainer.state
    found = {f"{key}.{k}": v for key, network in state.networks.items() for k, v in network.state_dict().items()}
    for key, optimizer in state.optimizers.items():
        for number, entry in optimizer.state_dict()["state"].items():
            found |= {f"{key}.{number}.{k}": v for k, v in entry.items()}
    return found | {"p": torch.tensor(state.augment_p), "pl_mean": state.loss.pl_mean}


def assert_equal(one, other):
    """Raise `AssertionError` unless two trainers have the same numbers to the bit."""
    one, other = everything(one), everything(other)
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different, different
