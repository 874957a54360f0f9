"""Several trainings, and samplers beside them, in one process: each computes what it computes alone."""

import signal

import numpy as np
import pytest
import torch

from stylegan_v_ext.engine import Trainer, load_state, train
from stylegan_v_ext.execution import execution
from stylegan_v_ext.generate import VideoName, VideoSampler, load
from stylegan_v_ext.metrics import measure_generator, parse_metric
from stylegan_v_ext.networks import precision
from tests.engine.small_runs import assert_equal, changed, config_for, steps
from torch_utils import training_stats

CPU = torch.device("cpu")
FULL = dict(aug="ada", p=0.5, ada_kimg=0.05, pl_weight=2.0, style_mixing=0.9)
HALF = dict(aug="ada", p=0.1, ada_kimg=0.1, target=0.1, seed=5, tf32=True, nobench=False)
COUNT = 9  # steps; p moves twice


def configs(data, monkeypatch):
    """Two runs: in float32 and in bfloat16, with augmentations that move apart."""
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: True)
    return config_for(data, fp32=True, **FULL), config_for(data, **HALF)


@pytest.fixture(scope="module")
def alone(sky_zip):
    """Both trainers after all steps, each without company."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return [steps(Trainer(config, "unused"), COUNT) for config in configs(sky_zip, monkeypatch)]


def state_of_the_process():
    return {
        "NumPy": np.random.get_state()[1].tolist(),
        "PyTorch": torch.get_rng_state().tolist(),
        "type": precision.working_dtype(CPU, use_fp16=False),
        "TF32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "cuDNN": torch.backends.cudnn.benchmark,
        "statistics": training_stats.Collector().names(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "gradients": torch.is_grad_enabled(),
    }


def test_the_two_runs_differ_in_every_setting(alone):
    kinds = [trainer.config.machine for trainer in alone]
    for name in ("allow_bf16", "allow_tf32", "cudnn_benchmark", "random_seed"):
        assert getattr(kinds[0], name) != getattr(kinds[1], name), name
    moved = [trainer.state.augment_p - trainer.config.ada.p for trainer in alone]
    assert all(moved) and alone[0].state.augment_p != alone[1].state.augment_p, "p has moved in both"


def test_trainings_whose_steps_alternate_are_equal_to_each_alone(sky_zip, alone, monkeypatch):
    first, second = (Trainer(config, "unused") for config in configs(sky_zip, monkeypatch))
    for _ in range(COUNT):
        first.step()
        second.step()
    assert_equal(first, alone[0])
    assert_equal(second, alone[1])


@pytest.mark.parametrize("number", [0, 1], ids=["float32", "bfloat16"])
def test_a_training_with_a_sampler_between_its_steps_is_equal_to_it_alone(sky_zip, alone, monkeypatch, number):
    """And the sampler makes the same frames as before the training, in its own precision."""
    other = VideoSampler(alone[1 - number].state.G_ema, CPU)
    frames = [frame.copy() for frame in other.frames(VideoName(3), [0.0, 7.5])]
    trainer = Trainer(configs(sky_zip, monkeypatch)[number], "unused")
    for _ in range(COUNT):
        trainer.step()
        np.random.rand()
        torch.rand([])
        for one, before in zip(other.frames(VideoName(3), [0.0, 7.5]), frames, strict=True):
            assert np.array_equal(one, before)
        with execution(bfloat16_on_cpu=number == 0, seed=9):
            list(VideoSampler(trainer.state.G_ema, CPU).frames(VideoName(1), [2.0]))
    assert_equal(trainer, alone[number])


def test_measurements_and_videos_between_the_steps_of_a_training_change_nothing(sky_zip, alone, monkeypatch):
    trainer = Trainer(configs(sky_zip, monkeypatch)[0], "unused")
    figures = []
    for number in range(COUNT):
        trainer.step()
        if number in (2, 5):
            generator, metric = alone[0].state.G_ema, parse_metric("rfvd4_16f")
            result = measure_generator(metric, generator, dict(path=sky_zip), CPU, use_cache=False)
            figures.append(result.values)
            list(VideoSampler(trainer.state.G_ema, CPU).video(seed=3, frames=2))
    assert_equal(trainer, alone[0])
    assert figures[0] == figures[1]


def test_a_second_training_in_a_process_has_the_numbers_of_the_first(sky_zip, tmp_path):
    config = config_for(sky_zip, fp32=True, kimg=0.008, seed=3, **FULL)
    snapshots = [train(config, tmp_path / "first")]
    list(load(snapshots[0], device="cpu").video(seed=1, frames=2))
    snapshots.append(train(config, tmp_path / "second"))
    first, second = (load_state(snapshot.parent)["networks"] for snapshot in snapshots)
    different = [name for name in first for key, value in first[name].items() if not value.equal(second[name][key])]
    assert not different


@pytest.mark.parametrize("workers", [0, 1])
def test_a_training_leaves_the_process_as_it_found_it(sky_zip, tmp_path, monkeypatch, workers):
    config = configs(sky_zip, monkeypatch)[1]
    loader = dict(num_workers=workers, prefetch_factor=2 if workers else None)
    config = changed(config, loader=loader, schedule=dict(total_kimg=0.008))
    before = state_of_the_process()
    train(config, tmp_path / "run")
    assert state_of_the_process() == before
    steps(Trainer(config, "unused"), 2)
    assert state_of_the_process() == before
