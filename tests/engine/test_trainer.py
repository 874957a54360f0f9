"""Training runs: the files they leave, their numbers, what stops them."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.checkpoints.reader import read_file
from stylegan_v_ext.config import PRESETS
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.engine import Trainer, load_state, train
from stylegan_v_ext.engine.samples import SampleSheets
from stylegan_v_ext.interrupts import StoppedBySignal
from stylegan_v_ext.networks import precision
from tests.data.helpers import video_files, write_folder, write_zip
from tests.engine.small_runs import changed, config_for, losses_of, steps
from torch_utils import training_stats


def test_golden_run(sky_zip, tmp_path):
    """30 seeded steps give the losses that are checked in, so that a change of numbers is seen."""
    losses = losses_of(Trainer(config_for(sky_zip, aug="fixed"), tmp_path), 30)
    path = Path(__file__).parent / "golden_run.json"
    if os.environ.get("STYLEGAN_V_WRITE_GOLDEN"):
        path.write_text(json.dumps({"G_D_losses": losses.round(5).tolist()}, indent=0) + "\n")
    golden = np.array(json.loads(path.read_text())["G_D_losses"])
    assert np.isfinite(losses).all()
    # Convolutions sum in an order that depends on the processor, and training magnifies the difference.
    assert np.abs(losses[:5] - golden[:5]).max() < 1e-3
    assert np.abs(losses - golden).max() < 0.05


def test_two_seeded_runs_are_equal_to_the_bit(sky_zip, tmp_path):
    weights = []
    for _ in range(2):
        trainer = steps(Trainer(config_for(sky_zip, aug="fixed"), tmp_path), 3)
        weights.append(trainer.state.G_ema.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.fixture(scope="module")
def finished_run(sky_zip, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "00000-test"
    last = train(config_for(sky_zip), run_dir)
    return run_dir, last


def test_run_folder_has_its_files(finished_run):
    run_dir, last = finished_run
    names = {path.name for path in run_dir.iterdir() if not path.name.startswith("events.out")}
    assert names == {
        "log.txt", "training_options.json", "stats.jsonl", "reals.png", "fakes_init.png", "fakes_init.mp4",
        "training-state-latest.pt",
        "fakes000000.png", "fakes000000.mp4", "network-snapshot-000000.pkl",
    }  # fmt: skip
    assert last == run_dir / "network-snapshot-000000.pkl"
    assert any(path.name.startswith("events.out") for path in run_dir.iterdir())


def test_statistics_are_a_line_a_tick(finished_run):
    run_dir, _ = finished_run
    rows = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    assert [row["Progress/kimg"]["mean"] for row in rows] == [0.02, 0.04]
    assert all(np.isfinite(row["Loss/G/loss"]["mean"]) and row["Loss/D/loss"]["num"] == 20 for row in rows)
    log = (run_dir / "log.txt").read_text()
    assert "tick 1" in log and "kimg 0.0" in log and "sec/kimg" in log and "Traceback" not in log
    options = json.loads((run_dir / "training_options.json").read_text())
    assert options["G_kwargs"]["class_name"].endswith("VideoGenerator")


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else []
    return [tensor for entry in values for tensor in tensors_in(entry)]


@pytest.mark.quick
def test_files_of_a_device_open_without_it(sky_zip, tmp_path, device):
    trainer = Trainer(config_for(sky_zip, device=str(device), aug="fixed"), tmp_path)
    trainer.step()
    path = trainer.files.save_snapshot()
    assert b"cuda:" not in path.read_bytes()
    network = load(path).build("G_ema")
    for name, tensor in trainer.state.G_ema.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor.cpu()), name
    trainer.files.save_state()
    assert {tensor.device.type for tensor in tensors_in(load_state(tmp_path))} == {"cpu"}


def test_snapshot_has_the_stock_keys_and_opens(finished_run):
    _, last = finished_run
    snapshot = load(last)
    assert list(read_file(last)) == ["G", "D", "G_ema", "augment_pipe", "training_set_kwargs"]
    assert list(snapshot.records) == ["G", "D", "G_ema", "augment_pipe"]
    assert snapshot.training_set_kwargs["num_frames"] == 3
    for key in ("G", "D", "G_ema"):
        assert not any(p.requires_grad for p in snapshot.build(key).parameters())


def test_both_networks_move_and_stay_finite(sky_zip, tmp_path):
    trainer = Trainer(config_for(sky_zip), tmp_path)
    before = {key: [p.clone() for p in network.parameters()] for key, network in trainer.state.networks.items()}
    steps(trainer, 4)
    for key, old in before.items():
        new = list(trainer.state.networks[key].parameters())
        assert all(torch.isfinite(p).all() for p in new)
        assert sum(bool((p != q).any()) for p, q in zip(new, old, strict=True)) > 0.9 * len(new)


def test_average_generator_has_the_asked_half_life(sky_zip, tmp_path):
    trainer = Trainer(changed(config_for(sky_zip), average=dict(rampup=None, kimg=0.004)), tmp_path)
    G, G_ema = trainer.state.G, trainer.state.G_ema
    start = G_ema.synthesis.b8.conv0.weight.clone()
    trainer.step()
    expected = (start + G.synthesis.b8.conv0.weight) / 2
    assert torch.allclose(G_ema.synthesis.b8.conv0.weight, expected, atol=1e-6)


def test_adaptive_augmentation_follows_the_signs(sky_zip, tmp_path):
    assert float(Trainer(config_for(sky_zip, aug="fixed", p=0.25), tmp_path).state.augment_pipe.p) == 0.25
    trainer = Trainer(config_for(sky_zip, aug="ada"), tmp_path)
    state, ada = trainer.state, trainer.gan_step.ada
    assert float(state.augment_pipe.p) == 0
    assert [number for number in range(1, 10) if ada.is_due(number)] == [4, 8]
    for sign, expected in ((1.0, 4 * 4 / 500e3), (1.0, 8 * 4 / 500e3), (-1.0, 4 * 4 / 500e3), (-1.0, 0), (-1.0, 0)):
        with trainer.execution():
            training_stats.report("Loss/signs/real", torch.full([4], sign))
            state.augment_p = ada.next_p(state.augment_p, state.ada_stats)
        assert state.loss.augment_p == pytest.approx(expected)
        assert float(state.augment_pipe.p) == pytest.approx(expected)


def test_lazy_regularisation_corrects_the_optimizer(sky_zip, tmp_path):
    trainer = Trainer(config_for(sky_zip), tmp_path)
    d, g = trainer.state.D_opt.param_groups[0], trainer.state.G_opt.param_groups[0]
    assert d["lr"] == pytest.approx(0.0025 * 16 / 17) and d["betas"] == pytest.approx((0, 0.99 ** (16 / 17)))
    assert g["lr"] == pytest.approx(0.002) and g["betas"] == pytest.approx((0, 0.99**0.8))
    with_path_length = config_for(sky_zip, pl_weight=2.0)
    assert with_path_length.generator_optimizer.lr == 0.0025 and with_path_length.generator_optimizer.reg_interval == 4
    assert all(type(beta) is float for group in (d, g) for beta in group["betas"])


def test_tf32_is_off_unless_asked_for(sky_zip, tmp_path):
    for wanted in (True, False):
        with Trainer(config_for(sky_zip, tf32=wanted), tmp_path).execution():
            assert torch.backends.cuda.matmul.allow_tf32 is wanted and torch.backends.cudnn.allow_tf32 is wanted


def test_bfloat16_where_the_cpu_is_made_for_it(sky_zip, tmp_path, monkeypatch):
    cpu = torch.device("cpu")
    assert not config_for(sky_zip).machine.allow_bf16
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: True)
    config = config_for(sky_zip)
    assert config.machine.allow_bf16 and config.generator.num_fp16_res == 0  # of the run, not of the networks
    assert not config_for(sky_zip, fp32=True).machine.allow_bf16
    assert not config_for(sky_zip, device="cuda").machine.allow_bf16
    trainer = Trainer(config, tmp_path)
    with trainer.execution():
        assert precision.working_dtype(cpu, use_fp16=False) == torch.bfloat16
    assert np.isfinite(losses_of(trainer, 17)).all()
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: False)  # the run goes on elsewhere
    with Trainer(config, tmp_path).execution():
        assert precision.working_dtype(cpu, use_fp16=False) == torch.float32


@pytest.mark.parametrize(
    "kwargs",
    [
        *(dict(cfg=cfg, num_frames=1 if cfg == "stylegan2" else 3) for cfg in PRESETS),
        dict(num_frames=2, mirror=True, style_mixing=0.9, pl_weight=2.0),
        dict(batch=8, batch_gpu=4, aug="fixed", augpipe="bgcfnc", p=1.0),
        dict(freezed=4, workers=2),
    ],
)
def test_whole_runs_with_options(sky_zip, tmp_path, device, kwargs):
    config = config_for(sky_zip, device=str(device), **{"kimg": 0.02, **kwargs})
    last = train(config, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    losses = [row[f"Loss/{network}/loss"]["mean"] for row in rows for network in "GD"]
    assert len(losses) >= 2 and np.isfinite(losses).all()
    assert all(tensor.isfinite().all() for tensor in load(last).build("G_ema").state_dict().values())

    before, state = Trainer(config, tmp_path / "before").state, load_state(tmp_path / "run")
    assert state["num_items"] == (12 if kwargs.get("mirror") else 6)
    assert all(row["Progress/augment"]["mean"] == kwargs["p"] for row in rows if "p" in kwargs)
    assert any(row.get("Loss/pl_penalty", {"num": 0})["num"] for row in rows) == ("pl_weight" in kwargs)
    learned = {name for name, _ in before.D.named_parameters()}
    frozen = {name for name in state["networks"]["D"] if name.endswith((".weight", ".bias"))} - learned
    assert bool(frozen) == ("freezed" in kwargs)
    after = state["networks"]["D"]
    same = {name for name, tensor in before.D.state_dict().items() if torch.equal(tensor.cpu(), after[name])}
    assert frozen <= same and not same & learned


def test_labelled_data_trains_and_draws_its_sheets(tmp_path):
    metadata = {"labels": [[f"v{i}", i % 2] for i in range(4)]}
    path = write_zip(tmp_path / "set.zip", video_files(4, 12, metadata=metadata))
    config = config_for(path, cond=True, kimg=0.008)
    last = train(config, tmp_path / "run")
    assert load(last).build("G_ema").num_classes == 2


def test_resume_starts_from_the_snapshot(finished_run, sky_zip, tmp_path):
    _, last = finished_run
    trainer = Trainer(config_for(sky_zip, resume=str(last)), tmp_path)
    theirs = load(last).build("G_ema").state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in trainer.state.G_ema.state_dict().items())
    assert trainer.config.ada.kimg == 100 and trainer.config.average.rampup is None


def test_first_interrupt_finishes_the_step_and_saves(sky_zip, tmp_path, capsys):
    config = config_for(sky_zip, kimg=100, tick=100)
    before = signal.getsignal(signal.SIGINT)  # ignored where the tests run in the background

    def interrupt():
        while not list(tmp_path.glob("run/stats.jsonl")):
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(StoppedBySignal) as stopped:
        train(config, tmp_path / "run")
    last = stopped.value.result
    thread.join()
    assert stopped.value.exit_code == 130 and "--resume=" in capsys.readouterr().out
    assert load(last).build("G_ema") is not None
    assert (tmp_path / "run/stats.jsonl").read_text().count("\n") == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_time_limit_stops_and_saves(sky_zip, tmp_path):
    last = train(config_for(sky_zip, kimg=100, max_hours=1e-9), tmp_path / "run")
    state, snapshot = load_state(tmp_path / "run"), load(last).build("G_ema").state_dict()
    assert state["num_steps"] == 1 and "Stopped early" in (tmp_path / "run" / "log.txt").read_text()
    assert all(torch.equal(tensor, snapshot[name]) for name, tensor in state["networks"]["G_ema"].items())


def test_a_frame_that_rots_during_training_saves_first(tmp_path, capsys, monkeypatch):
    path = Path(write_folder(tmp_path / "set", video_files(2, 5)))
    config = config_for(str(path), kimg=1)
    sound = {frame: frame.read_bytes() for frame in path.glob("*/*.png")}

    def rot(self):
        """All frames but the first, after the sheet of real videos was drawn."""
        for frame in sound.keys() - {path / "v0" / "1.png"}:
            frame.write_bytes(b"rotten")

    monkeypatch.setattr(SampleSheets, "save_reals", rot)
    with pytest.raises(DataError, match="is not a readable image"):
        train(config, tmp_path / "run")
    assert "Saved before stopping" in capsys.readouterr().out
    assert load(tmp_path / "run" / "network-snapshot-000000.pkl").build("G_ema") is not None


def test_devices_are_checked():
    assert pick_device("cpu").type == "cpu" and pick_device("auto").type in ("cpu", "cuda", "mps")
    for name, message in (("tpu", "not available"), ("cpu:first", "is none")):
        with pytest.raises(ValueError, match=message):
            pick_device(name)


def test_config_uses_the_paper_numbers(sky_zip):
    config = config_for(sky_zip, batch=None, cbase=None)
    assert config.batch.size == 32 and config.generator.channel_base == 16384
    assert config.loss.r1_gamma * 3 == pytest.approx(0.0002 * 16**2 / 32)
    assert config.average.kimg == 10 and config.schedule.total_kimg == 0.04
    assert config.discriminator_optimizer.reg_interval == 16
    assert config.generator.motion.distance == 32 and config.generator.motion.amplitude
    assert config_for(sky_zip, motion_distance=8).generator.motion.min_period == 8
    cvpr = config_for(sky_zip, cfg="stylegan-v-cvpr")
    assert cvpr.discriminator.time_conditioning == "project" and not cvpr.generator.motion.amplitude
