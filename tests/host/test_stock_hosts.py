"""Real checkouts as hosts, where `STYLEGAN_HOSTS` names some.

    STYLEGAN_HOSTS=/path/to/stylegan3:/path/to/stylegan2-ada-pytorch pytest tests/host/test_stock_hosts.py

Everything but the patches is tried on the checkout itself, which has to stay as it is; they are tried on a copy.
"""

import json
import os
import shutil
from pathlib import Path

import PIL.Image
import pytest

from stylegan_v_ext import host
from stylegan_v_ext.checkpoints import load
from tests.host.conftest import ROOT, contents, run_python
from tests.host.stand_in import write_detectors

HOSTS = [Path(path) for path in os.environ.get("STYLEGAN_HOSTS", "").split(os.pathsep) if path]
pytestmark = [
    pytest.mark.skipif(not HOSTS, reason="STYLEGAN_HOSTS names no checkouts"),
    pytest.mark.parametrize("checkout", HOSTS, ids=lambda path: path.name),
]
SMALL = [
    "--batch=20", "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24", "--workers=1", "--kimg=1.2",
    "--tick=0.4", "--snap=1", "--p=0.2", "--ada-kimg=1", "--gamma=1",
]  # fmt: skip
SMALL_FID = """
import importlib, json, sys, torch
from stylegan_v_ext import host
host.enter(sys.argv[1])
from stylegan_v_ext.checkpoints import load
from metrics import frechet_inception_distance as fid, metric_main
@metric_main.register_metric
def fid64(opts):
    opts.dataset_kwargs.update(max_size=None, xflip=False)
    return dict(fid64=fid.compute_fid(opts, max_real=None, num_gen=64))
found = load(sys.argv[2])
result = metric_main.calc_metric(
    metric="fid64", G=found.build_generator().eval(), dataset_kwargs=found.training_set_kwargs,
    device=torch.device("cpu"),
)
print("RESULT " + json.dumps(result["results"]))
"""


@pytest.fixture(scope="module")
def detectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detectors")
    write_detectors(folder)
    return folder


def in_host(checkout, detectors, script, *arguments):
    return run_python(
        "-m", "stylegan_v_ext.host", checkout, script, *arguments, STYLEGAN_V_DETECTORS=str(detectors),
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(labelled_zip, sky_zip, detectors, tmp_path_factory):
    """`runs(checkout, cfg, cond)`: the folder of 60 steps, made once."""
    made = {}

    def make(checkout, cfg, cond):
        if (checkout, cfg, cond) not in made:
            before = contents(checkout)
            outdir = tmp_path_factory.mktemp("runs")
            options = [f"--cfg={cfg}", f"--data={labelled_zip if cond else sky_zip}", f"--cond={int(cond)}"]
            result = run_python(
                ROOT / "train.py", f"--host={checkout}", f"--outdir={outdir}", *SMALL, *options,
                STYLEGAN_V_DETECTORS=str(detectors),
            )  # fmt: skip
            assert result.returncode == 0, result.stdout + result.stderr
            assert contents(checkout) == before
            (made[checkout, cfg, cond],) = outdir.iterdir()
        return made[checkout, cfg, cond]

    return make


@pytest.mark.parametrize("cond", [False, True])
@pytest.mark.parametrize("cfg", ["stylegan-v", "stylegan2"])
def test_sixty_steps_with_augmentation(checkout, cfg, cond, runs):
    run_dir = runs(checkout, cfg, cond)
    lines = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    for name in ("Loss/G/loss", "Loss/D/loss", "Loss/r1_penalty"):
        assert all(abs(line[name]["mean"]) < 1000 for line in lines if line[name]["num"]), name
    assert len({line["Progress/augment"]["mean"] for line in lines}) > 1
    names = sorted(path.name for path in run_dir.glob("network-snapshot-*.pkl"))
    assert names == ["network-snapshot-000000.pkl", "network-snapshot-000001.pkl"]
    assert load(run_dir).build_generator().num_classes == (2 if cond else 0)


def test_its_own_metrics_measure_single_frames(checkout, runs, detectors):
    run_dir = runs(checkout, "stylegan-v", True)
    result = run_python("-c", SMALL_FID, checkout, run_dir, STYLEGAN_V_DETECTORS=str(detectors))
    assert result.returncode == 0, result.stderr
    assert 0 < json.loads(result.stdout.split("RESULT ")[1])["fid64"] < 100


def test_losses_and_gradients_equal_those_of_the_built_in_engine(checkout):
    result = run_python(ROOT / "tests" / "host" / "parity.py", checkout)
    assert result.returncode == 0, result.stderr
    for name, case in json.loads(result.stdout.split("RESULT ")[1]).items():
        assert case["gradients"] < 1e-4 and case["losses"] < 1e-4, name
        assert case["compared"], name


AUGMENT = """
import sys, torch
from stylegan_v_ext import host
host.enter(sys.argv[1])
from stylegan_v_ext.host.augment import ClipAugmentPipe
names = "xflip rotate90 xint scale rotate aniso xfrac brightness contrast lumaflip hue saturation".split()
names += ["imgfilter", "noise", "cutout"]
pipe = ClipAugmentPipe(pipe_class="training.augment.AugmentPipe", **dict.fromkeys(names, 1))
pipe.p.copy_(torch.as_tensor(0.8))
still = torch.rand(4, 3, 1, 32, 32).repeat(1, 1, 3, 1, 1).reshape(4, 3, 96, 32).requires_grad_()
frames = pipe(still).reshape(4, 3, 3, 32, 32)
assert torch.equal(frames[:, :, 0], frames[:, :, 1]) and torch.equal(frames[:, :, 0], frames[:, :, 2])
same = pipe(still.detach()[:1].repeat(4, 1, 1, 1))
assert all((same[i] - same[j]).abs().max() > 0.01 for i in range(4) for j in range(i))

def by_frame(strip):  # the pipe on each frame, from the same random state
    state, frames = torch.get_rng_state(), []
    for frame in strip.reshape(4, 3, 3, 32, 32).unbind(2):
        torch.set_rng_state(state)
        frames.append(pipe.pipe(frame))
    return torch.stack(frames, 2).reshape(4, 3, 96, 32)

strip, filters = torch.rand(4, 3, 96, 32), torch.randn(8, 3, 5, 5) / 9

def r1(augment, weight):
    torch.manual_seed(11)
    x = strip.clone().requires_grad_()
    logits = torch.nn.functional.conv2d(augment(x), filters).tanh().mean([2, 3]) @ weight
    (gradient,) = torch.autograd.grad(logits.tanh().sum(), x, create_graph=True)
    return gradient.square().sum() * 1000

weight = torch.randn(8, requires_grad=True)
(found,) = torch.autograd.grad(r1(pipe, weight), weight)
(expected,) = torch.autograd.grad(r1(by_frame, weight), weight)
assert found.norm() > 0 and torch.allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.norm()))
with torch.enable_grad():  # and the slope of the penalty itself
    step = found.detach() / found.norm() * 1e-2
    slope = (r1(pipe, weight.detach() + step) - r1(pipe, weight.detach() - step)) / 2e-2
assert abs(float(slope) - float(found.norm())) < 0.02 * float(found.norm()), (slope, found.norm())
"""


def test_its_augmentation_keeps_clips_together_and_r1_goes_through_it(checkout):
    result = run_python("-c", AUGMENT, checkout)
    assert result.returncode == 0, result.stderr


def test_its_scripts_take_our_snapshots(checkout, runs, detectors, tmp_path):
    network = runs(checkout, "stylegan-v", True) / "network-snapshot-000001.pkl"
    name = "gen_images.py" if (checkout / "gen_images.py").exists() else "generate.py"
    result = in_host(
        checkout, detectors, name, f"--network={network}", "--seeds=0-1", "--class=1", f"--outdir={tmp_path}"
    )
    if name == "gen_images.py":
        assert result.returncode == 0, result.stderr
        with PIL.Image.open(tmp_path / "seed0001.png") as image:
            assert image.size == (16, 48)
    if (checkout / "style_mixing.py").exists():
        options = ["--rows=0,1", "--cols=2,3", "--styles=0-1", f"--outdir={tmp_path / 'mixed'}"]
        result = in_host(checkout, detectors, "style_mixing.py", f"--network={network}", *options)
        assert result.returncode == 0, result.stderr
        with PIL.Image.open(tmp_path / "mixed" / "0-2.png") as image:
            assert image.size == (16, 16)


def test_patches_can_be_written_used_and_taken_out(checkout, sky_zip, tmp_path):
    copy = tmp_path / "checkout"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    before = contents(copy)
    for _ in range(2):
        result = run_python("-m", "patches", "apply", copy, "--yes")
        assert result.returncode == 0, result.stderr
    options = [
        "--cfg=stylegan-v", f"--data={sky_zip}", f"--outdir={tmp_path / 'runs'}", "--gpus=1", "--batch=4", "--gamma=1",
        "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24", "--kimg=0.02", "--workers=1",
    ]  # fmt: skip
    result = run_python("train.py", *options, cwd=copy)
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "runs").glob("*/network-snapshot-000000.pkl"))
    for _ in range(2):
        assert run_python("-m", "patches", "revert", copy).returncode == 0
    assert {name: data for name, data in contents(copy).items() if "__pycache__" not in name} == before


def test_two_processes_train(checkout, sky_zip, tmp_path):
    result = run_python(
        ROOT / "train.py", f"--host={checkout}", f"--outdir={tmp_path}", "--cfg=stylegan-v", f"--data={sky_zip}",
        "--gpus=2", *SMALL, "--batch=16", "--kimg=0.1", OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert host.recognise(checkout).codebase in (next(tmp_path.iterdir()) / "log.txt").read_text()
