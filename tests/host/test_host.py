"""Training, measuring and generating in a host, with a small one of our own in both layouts."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from stylegan_v_ext import host
from stylegan_v_ext.checkpoints import load
from tests.conftest import relative_error
from tests.host.conftest import MARKS, ROOT, contents, make_host, run_python
from tests.host.stand_in import write_detectors

SMALL = [
    "--batch=4", "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24", "--workers=0", "--kimg=0.24",
    "--tick=0.08", "--p=0.2", "--ada-kimg=0.5", "--gamma=1",
]  # fmt: skip


def train(host_dir, data, outdir, *options, code=0, **environment):
    environment.setdefault("STYLEGAN_HOST", str(host_dir))
    result = run_python(
        ROOT / "train.py", f"--data={data}", f"--outdir={outdir}", *SMALL, *options, **environment, OMP_NUM_THREADS="1"
    )
    assert result.returncode == code, result.stdout + result.stderr
    return sorted(outdir.iterdir())[-1] if code == 0 else result.stderr


def stats(run_dir):
    return [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def detectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detectors")
    write_detectors(folder)
    return folder


@pytest.fixture(scope="session", params=list(MARKS))
def trained(request, sky_zip, detectors, tmp_path_factory):
    """(host, run folder) of a short run with all that a run can have."""
    folder = tmp_path_factory.mktemp(request.param)
    small_host = make_host(folder / request.param, request.param)
    before = contents(small_host)
    run_dir = train(
        small_host, sky_zip, folder / "runs", "--cfg=stylegan-v", "--metrics=brightness,fvd2048_16f",
        STYLEGAN_V_DETECTORS=str(detectors),
    )  # fmt: skip
    assert contents(small_host) == before
    return small_host, run_dir


def test_a_run_in_a_host_trains_both_networks_and_adapts_the_augmentation(trained):
    _, run_dir = trained
    lines = stats(run_dir)
    assert [line["num_clips"] for line in lines] == [4, 84, 164, 240]
    for name in ("Loss/G/loss", "Loss/D/loss", "Loss/r1_penalty"):
        assert all(line[name] == line[name] and abs(line[name]) < 100 for line in lines), name
    assert len({line["p"] for line in lines}) > 1
    assert (run_dir / "training_options.json").exists() and "Engine: " in (run_dir / "log.txt").read_text()
    assert load(run_dir).network("G_ema").class_name == "VideoGenerator"


def test_stock_metrics_see_single_frames_and_ours_see_videos(trained):
    _, run_dir = trained
    lines = [json.loads(line) for line in (run_dir / "metric-brightness.jsonl").read_text().splitlines()]
    assert lines[0]["results"]["frames"] == 6 * 40
    lines = [json.loads(line) for line in (run_dir / "metric-fvd2048_16f.jsonl").read_text().splitlines()]
    assert all(0 < line["results"]["fvd2048_16f"] < 100 for line in lines) and len(lines) == 1


def test_its_snapshots_open_in_our_tools(trained, tmp_path):
    _, run_dir = trained
    target = tmp_path / "a.mp4"
    result = run_python(ROOT / "gen_video.py", f"--network={run_dir}", "--seeds=1", f"--output={target}", "--frames=4")
    assert result.returncode == 0, result.stderr
    assert target.exists()
    assert load(run_dir).build("D").num_frames == 3


def test_our_snapshots_open_in_its_scripts(trained, tmp_path, make_generator, make_discriminator):
    from stylegan_v_ext.checkpoints import save_snapshot

    small_host, _ = trained
    G, D = make_generator().eval(), make_discriminator()
    save_snapshot(tmp_path / "ours.pkl", dict(G=G, D=D, G_ema=G, augment_pipe=None, training_set_kwargs={}))
    result = run_python(
        "-m", "stylegan_v_ext.host", small_host, "gen_images.py", tmp_path / "ours.pkl", tmp_path / "image.png"
    )
    assert result.returncode == 0, result.stderr
    import PIL.Image

    with PIL.Image.open(tmp_path / "image.png") as image:
        assert image.size == (16, 48)


def test_losses_and_gradients_equal_those_of_the_built_in_engine(small_host):
    result = run_python(ROOT / "tests" / "host" / "parity.py", small_host)
    assert result.returncode == 0, result.stderr
    cases = json.loads(result.stdout.split("RESULT ")[1])
    assert len(cases) == 12
    for name, case in cases.items():
        assert case["gradients"] < 1e-4 and case["losses"] < 1e-4, name
        assert case["tensors"] > 20 and case["compared"], name


def test_classes_and_image_models_take_the_same_way(small_host, labelled_zip, tmp_path):
    for options in (["--cfg=stylegan-v", "--cond=1"], ["--cfg=stylegan2", "--cond=1"], ["--cfg=stylegan2"]):
        run_dir = train(small_host, labelled_zip, tmp_path / "runs", *options, "--metrics=brightness", "--kimg=0.1")
        assert stats(run_dir)[-1]["Loss/G/loss"] < 100
        generator = load(run_dir).build_generator()
        assert generator.num_classes == (2 if "--cond=1" in options else 0)


def test_two_processes_keep_equal_networks(small_host, sky_zip, tmp_path):
    run_dir = train(small_host, sky_zip, tmp_path / "runs", "--cfg=stylegan-v", "--gpus=2", "--kimg=0.02")
    assert stats(run_dir)[-1]["num_clips"] == 20


def test_a_run_starts_from_an_image_model_by_way_of_a_video_snapshot(small_host, sky_zip, tmp_path, make_generator):
    from stylegan_v_ext.checkpoints import save_snapshot

    image_model = make_generator(num_frames=1).eval()
    save_snapshot(
        tmp_path / "images.pkl",
        dict(G=image_model, D=torch.nn.Identity(), G_ema=image_model, augment_pipe=None, training_set_kwargs={}),
    )
    run_dir = train(
        small_host, sky_zip, tmp_path / "runs", "--cfg=stylegan-v", f"--resume={tmp_path / 'images.pkl'}",
        "--kimg=0.001", "--aug=noaug",
    )  # fmt: skip
    start, z = load(run_dir / "network-start.pkl").build_generator(), torch.randn(2, 32)
    with torch.no_grad():
        frames = start(z, t=torch.tensor([[0.0, 9.0]] * 2)).reshape(2, 3, 2, 16, 16)
        image = image_model(z, None, noise_mode="const")
    assert all(relative_error(frames[:, :, i], image) < 1e-4 for i in range(2))
    assert "motion channels start at zero" in (run_dir / "log.txt").read_text()


@pytest.mark.parametrize("gpus", [1, 2])
def test_an_interrupt_ends_the_run_with_a_snapshot(tmp_path, sky_zip, gpus):
    small_host = make_host(tmp_path / "stylegan3", "stylegan3")
    command = [
        sys.executable, str(ROOT / "train.py"), f"--host={small_host}", "--cfg=stylegan-v", f"--data={sky_zip}",
        f"--outdir={tmp_path / 'runs'}", f"--gpus={gpus}", *SMALL, "--kimg=1000", "--workers=1",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
    )
    with process:
        for _ in range(2400):
            if list((tmp_path / "runs").glob("*/stats.jsonl")) or process.poll() is not None:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Stopping with a snapshot" in output
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert load(run_dir).network("G_ema").class_name == "VideoGenerator"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host=/nowhere"], "/nowhere is no folder"),
        (["--metrics=fvd"], r"--metrics=fvd is not one of brightness, fvd2048_16f"),
        (["--pl-weight=2"], r"--pl-weight=2 with --host: .*leave --pl-weight out"),
        (["--cfg=stylegan2", "--metrics=fvd2048_16f"], r"--metrics=fvd2048_16f: the model makes images, not videos"),
        (["--style-mixing=0.5"], r"--style-mixing=0.5 with --host"),
        (["--compile=1"], r"--compile=1 with --host"),
        (["--on-bad-frame=skip"], r"--on-bad-frame=skip with --host"),
        (["--device=mps"], r"--device=mps with --host: it computes on"),
    ],
)
def test_what_cannot_work_ends_in_one_line_and_makes_no_folder(small_host, sky_zip, tmp_path, options, message):
    error = train(small_host, sky_zip, tmp_path / "runs", "--cfg=stylegan-v", *options, code=2)
    assert re.search(message, error) and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_without_a_host_its_own_metrics_are_refused(sky_zip, tmp_path):
    option = "--metrics=brightness"
    error = train("", sky_zip, tmp_path / "runs", "--cfg=stylegan-v", option, code=2, STYLEGAN_HOST="")
    assert "--metrics=brightness is not one of fvd2048_16f" in error


def test_a_missing_package_of_the_host_is_named(small_host):
    main = small_host / "metrics" / "metric_main.py"
    main.write_text("import not_to_be_found\n" + main.read_text())
    result = run_python("-m", "stylegan_v_ext.host", small_host, "gen_images.py")
    assert result.returncode == 2 and "needs the package not_to_be_found" in result.stderr


def test_data_loaders_of_a_script_may_spawn_their_workers(small_host):
    (small_host / "loader.py").write_text(
        "import torch\nfrom training import augment\nprint('once')\n"
        "data = torch.utils.data.TensorDataset(torch.arange(4))\n"
        "loader = torch.utils.data.DataLoader(data, num_workers=1, multiprocessing_context='spawn')\n"
        "print(sum(int(x) for x, in loader))\n"
    )
    result = run_python("-m", "stylegan_v_ext.host", small_host, "loader.py")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["once", "6"]


def test_scripts_are_named_where_one_is_missing(small_host):
    result = run_python("-m", "stylegan_v_ext.host", small_host, "make_video.py")
    assert result.returncode == 2 and "has no make_video.py; it has gen_images.py, legacy.py, train.py" in result.stderr
    assert run_python("-m", "stylegan_v_ext.host").returncode == 2


def test_recognition_tells_the_codebases_apart(tmp_path):
    for codebase in MARKS:
        assert host.recognise(make_host(tmp_path / codebase, codebase)).codebase == codebase
    (tmp_path / "stylegan3" / "legacy.py").unlink()
    with pytest.raises(ValueError, match="has no legacy.py"):
        host.recognise(tmp_path / "stylegan3")


ENTERING = """
import sys
{before}
from stylegan_v_ext import host
host.enter(sys.argv[1]); host.enter(sys.argv[1])
import torch_utils, dnnlib, training, metrics.metric_main
from pathlib import Path
root = Path(sys.argv[1]).resolve()
places = [Path(module.__file__).resolve().is_relative_to(root) for module in (torch_utils, dnnlib, training)]
print(places, metrics.metric_main.list_valid_metrics())
"""


def test_our_infrastructure_comes_first_wherever_the_script_lies(small_host, tmp_path):
    script = small_host / "somewhere.py"
    script.write_text(ENTERING.format(before=""))
    result = run_python(script, small_host)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("[False, False, True] ['brightness', 'fvd2048_16f'")
    assert not list(small_host.rglob("__pycache__"))


def test_entering_too_late_or_twice_is_refused(small_host, tmp_path):
    script = small_host / "somewhere.py"
    (small_host / "dnnlib" / "__init__.py").write_text("")
    script.write_text(ENTERING.format(before="import dnnlib"))
    assert "is imported already; enter the host before that" in run_python(script, small_host).stderr
    other = make_host(tmp_path / "other", "stylegan3")
    script.write_text(ENTERING.format(before="") + f"host.enter({str(other)!r})")
    assert "has been entered already" in run_python(script, small_host).stderr
