"""Several processes train as one would; what happens to one of them harms no run."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.engine import Trainer, load_state
from tests.engine.small_runs import config_for, losses_of

PROGRAM = """
import json, sys
import numpy as np
from stylegan_v_ext.distributed import join
from stylegan_v_ext.engine import Trainer
from torch_utils import misc
from tests.engine.small_runs import config_for, losses_of

processes, device = join("cpu")
data, options, target = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
trainer = Trainer(config_for(data, **options), "unused", None, processes)
losses = losses_of(trainer, 20)
for network in trainer.state.networks.values():
    misc.check_ddp_consistency(network)
if processes.leads:
    json.dump({"losses": losses.tolist(), "p": trainer.state.augment_p}, open(target, "w"))
processes.leave()
"""
ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
COMMAND = [
    "--cfg=stylegan-v", "--batch=4", "--batch-gpu=2", "--mbstd-group=2", "--cbase=256", "--cmax=16", "--latent-dim=32",
    "--motion-z-dim=24", "--workers=0", "--tick=0.02", "--snap=1", "--snap-state=0", "--p=0.3",
    "--glr=2e-5", "--dlr=2e-5",
]  # fmt: skip


def torchrun(count, *arguments, **kwargs):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, cwd=ROOT, **kwargs)


# Small learning rates: rounding differs by the order of sums, and steps of Adam magnify it. In bfloat16 it is larger.
RATES = dict(glr=2e-5, dlr=2e-5, fp32=True)


@pytest.mark.parametrize(
    "options",
    [
        dict(batch=4, batch_gpu=2, mbstd_group=2, aug="ada", p=0.3, ada_kimg=0.2),
        pytest.param(
            dict(batch=8, batch_gpu=2, mbstd_group=2, aug="fixed", p=0.5, workers=1), marks=pytest.mark.nightly
        ),
        dict(cfg="stylegan2", num_frames=1, batch=8, batch_gpu=4, aug="noaug"),
    ],
    ids=["two rounds", "accumulating", "images"],
)
def test_two_processes_have_the_losses_of_one(sky_zip, tmp_path, options):
    options = {**options, **RATES}
    alone = Trainer(config_for(sky_zip, **options), "unused")
    expected = losses_of(alone, 20)
    (tmp_path / "program.py").write_text(PROGRAM)
    result = torchrun(2, tmp_path / "program.py", sky_zip, json.dumps(options), str(tmp_path / "losses.json"))
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads((tmp_path / "losses.json").read_text())
    assert np.abs(np.array(found["losses"]) - expected).max() < 1e-5
    assert found["p"] == pytest.approx(alone.state.augment_p)


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], env={**ENVIRONMENT, **environment}, text=True, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_for(process, folder):
    """The run folder, once the first tick has been written to it."""
    deadline = time.monotonic() + 120
    while not (found := [path for path in Path(folder).glob("*/stats.jsonl") if path.stat().st_size]):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.05)
    return found[0].parent


def workers_of(process):
    """Processes that train, of a torchrun or of a command that started one."""
    found = psutil.Process(process.pid).children(recursive=True)
    return [child for child in found if not child.children() and "torch.distributed.run" not in child.cmdline()]


def finish(process):
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


def test_a_signal_saves_and_one_process_can_go_on(sky_zip, tmp_path):
    """--gpus=2 starts torchrun; what it leaves does not depend on the number of processes."""
    data = f"--data={sky_zip}"
    process = start("train.py", *COMMAND, data, "--gpus=2", f"--outdir={tmp_path / 'two'}", "--kimg=0.12")
    run_dir = wait_for(process, tmp_path / "two")
    process.send_signal(signal.SIGTERM)
    code, output = finish(process)
    assert code == 128 + signal.SIGTERM and "Go on with --resume=" in output, output
    stopped = load_state(run_dir)["num_steps"]
    assert 0 < stopped < 30
    code, output = finish(start("train.py", f"--resume={run_dir}"))
    assert code == 0, output
    code, output = finish(start("train.py", *COMMAND, data, f"--outdir={tmp_path / 'one'}", "--kimg=0.12"))
    assert code == 0, output
    two, one = load_state(run_dir), load_state(next((tmp_path / "one").iterdir()))
    assert two["num_steps"] == one["num_steps"] == 30
    for name in ("G", "D", "G_ema"):
        for key, tensor in one["networks"][name].items():
            near = 0.1 if key == "mapping.w_avg" else 1e-4  # the order of updates counts there
            assert torch.allclose(tensor, two["networks"][name][key], rtol=1e-3, atol=near), key
    assert len(list((tmp_path / "two").iterdir())) == 1
    assert (run_dir / "log.txt").read_text().count("Total ") == 2, "one process writes"


def test_a_process_that_dies_ends_the_others_and_a_restart_goes_on(sky_zip, tmp_path):
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1", "train.py",
               *COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=0.2"]  # fmt: skip
    process = start(*command)
    run_dir = wait_for(process, tmp_path)
    workers_of(process)[1].kill()
    code, output = finish(process)
    assert code == 0 and "Going on exactly from kimg" in output, output
    assert load_state(run_dir)["num_steps"] == 50 and [path.name for path in tmp_path.iterdir()] == [run_dir.name]


@pytest.mark.nightly
def test_a_machine_that_is_lost_can_be_replaced(sky_zip, tmp_path):
    """Two torchrun agents in place of two machines; one is killed with its process, and a new one comes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    agent = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d",
             f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=test", "--max-restarts=3",
             "--local-addr=127.0.0.1"]  # fmt: skip
    command = [*agent, "train.py", *COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=0.4"]
    apart = dict(TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")  # as docs/scaling.md says
    first = start(*command, **apart)
    time.sleep(1)  # the first one holds the rendezvous
    second = start(*command, **apart)
    run_dir = wait_for(first, tmp_path)
    for process in [*psutil.Process(second.pid).children(recursive=True), psutil.Process(second.pid)]:
        process.kill()
    second.communicate()
    third = start(*command, **apart)
    code, output = finish(first)
    other_code, other_output = finish(third)
    assert code == 0 and other_code == 0, output + other_output
    assert "Going on exactly from kimg" in output + other_output
    assert load_state(run_dir)["num_steps"] == 100 and [path.name for path in tmp_path.iterdir()] == [run_dir.name]


def test_a_process_that_dies_ends_the_run_with_a_message(sky_zip, tmp_path):
    process = start("train.py", *COMMAND, f"--data={sky_zip}", "--gpus=2", f"--outdir={tmp_path}", "--kimg=100")
    run_dir = wait_for(process, tmp_path)
    killed = time.monotonic()
    workers_of(process)[0].kill()
    code, output = finish(process)
    assert code != 0 and time.monotonic() - killed < 60
    assert "Signal 9 (SIGKILL)" in output and "rank" in output, output[-2000:]
    assert load_state(run_dir)["num_steps"] > 0, "the last state is whole"


@pytest.mark.nightly
@pytest.mark.parametrize("killed", ["command", "torchrun"])
def test_processes_whose_launcher_is_killed_save_and_end(sky_zip, tmp_path, killed):
    options = [*COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--kimg=100", "--snap-state=60"]
    launcher = (
        ["train.py"] if killed == "command" else ["-m", "torch.distributed.run", "--nproc-per-node=2", "train.py"]
    )
    process = start(*launcher, *options, *(["--gpus=2"] if killed == "command" else []))
    run_dir = wait_for(process, tmp_path)
    others = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _, alive = psutil.wait_procs(others, timeout=30)
    assert not alive
    assert load_state(run_dir)["num_steps"] > 0 and not list(run_dir.glob(".*"))
    process.communicate()


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_at_any_moment_of_the_start_ends_all_processes(sky_zip, tmp_path, number):
    for seconds in (0.5, 2, 4, 6):
        process = start("train.py", *COMMAND, f"--data={sky_zip}", "--gpus=2", f"--outdir={tmp_path}", "--kimg=100")
        time.sleep(seconds)
        others = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        code, output = finish(process)
        assert abs(code) % 128 == number, output
        assert not psutil.wait_procs(others, timeout=30)[1]


def test_processes_deal_out_the_videos_to_make(trained_path, tmp_path):
    options = [f"--network={trained_path}", "--seeds=0-4", "--frames=3", "--format=npy", "--device=cpu"]
    result = torchrun(2, "gen_video.py", *options, f"--output={tmp_path / 'two'}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("seed0") == 5, "each once"
    code, output = finish(start("gen_video.py", *options, f"--output={tmp_path / 'one'}"))
    assert code == 0, output
    for seed in range(5):
        two, one = (np.load(tmp_path / name / f"seed{seed:04d}.npy") for name in ("two", "one"))
        assert np.abs(two.astype(int) - one).max() <= 1


def test_numbers_of_processes_that_do_not_fit_are_named(sky_zip, tmp_path):
    result = torchrun(2, "train.py", *COMMAND, f"--data={sky_zip}", f"--outdir={tmp_path}", "--gpus=3")
    assert result.returncode != 0 and "--gpus=3: torchrun has started 2 processes" in result.stderr
    with pytest.raises(ValueError, match="does not divide among 3 processes; use a --batch-gpu that does, such as 2"):
        Trainer(config_for(sky_zip, batch=6, batch_gpu=6, mbstd_group=3), tmp_path, None, Processes(0, 3))


def test_one_process_sends_nothing():
    alone = Processes()
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.full([2], 3.0)
    alone.sum_gradients([parameter])
    alone.join_averages(torch.zeros(2), parameter.data, 0.9, 3)
    assert alone.any([True, False]) == [True, False] and alone.from_leader(lambda: 5) == 5 and alone.leads
    assert parameter.grad.tolist() == [3, 3] and parameter.tolist() == [1, 1]
    alone.leave()
