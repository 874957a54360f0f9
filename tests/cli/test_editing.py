"""Projection, editing, directions and the tools of generation, as commands."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.cli.main import main
from stylegan_v_ext.cli.terminal import Terminal
from stylegan_v_ext.cli.types import LayerSpan, ScheduleType
from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.editing import ProjectRequest
from stylegan_v_ext.editing.project_clip import read_target
from stylegan_v_ext.editing.projection import Projector
from stylegan_v_ext.generate.latents import load_latents
from tests.data.helpers import write_zip

QUICK = ["--steps=6", "--candidates=4", "--chunk=4", "--loss=pixels"]


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.output


def works(*arguments):
    code, output = run(*arguments)
    assert code == 0, output
    return output


def fails(message, *arguments):
    code, output = run(*arguments)
    errors = [line for line in output.splitlines() if line.startswith("Error:")]
    assert code == 2 and len(errors) == 1 and message in errors[0], output


def size_of(path):
    with PIL.Image.open(path) as image:
        return image.size


@pytest.fixture
def generate(trained_path, tmp_path):
    """Frames `[T, H, W, 3]` of `generate` with some options, into one file."""

    def make(*options, name="video.npy"):
        works("generate", f"--network={trained_path}", f"--output={tmp_path / name}", *options)
        frames = np.load(tmp_path / name)
        (tmp_path / name).unlink()
        return frames.astype(int)

    return make


@pytest.fixture(scope="module")
def clip(trained_path, tmp_path_factory):
    """An MP4 of the trained generator, 12 frames."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    works("generate", f"--network={trained_path}", "--seeds=5", "--frames=12", "--quality=98", f"--output={path}")
    return path


@pytest.fixture(scope="module")
def projected(trained_path, clip, tmp_path_factory):
    """Output folder of a short projection, with tuning."""
    folder = tmp_path_factory.mktemp("projected") / "p"
    works("project", f"--network={trained_path}", f"--video={clip}", *QUICK, "--tune=3", f"--output={folder}")
    return folder


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    pytest.importorskip("transformers")
    from tests.editing.tiny_clip import write_tiny_clip

    return write_tiny_clip(tmp_path_factory.mktemp("tiny"))


def test_a_loop_has_no_seam(generate):
    frames = generate("--seeds=3", "--frames=64", "--loop")
    steps = np.abs(np.diff(np.concatenate([frames, frames[:1]]), axis=0)).mean((1, 2, 3))
    assert steps[-1] <= np.quantile(steps[:-1], 0.95) + 0.05 and steps[-1] < np.abs(frames[0] - frames[32]).mean()


def test_the_decomposition_grid_has_a_column_a_content_and_a_row_a_motion(generate):
    grid = generate("--seeds=0-2", "--motion-seeds=4,5", "--decompose", "--frames=3")
    assert grid.shape == (3, 2 * 64, 3 * 64, 3)
    single = generate("--seeds=1", "--motion-seeds=5", "--frames=3")
    assert np.abs(grid[:, 64:, 64:128] - single).max() <= 1


def test_grids_can_have_padding_and_labels(generate):
    grid = generate("--seeds=0-2", "--frames=1", "--grid=2x2", "--padding=4", "--labels")
    assert grid.shape == (1, 2 * (64 + 14 + 4) + 4, 2 * 68 + 4, 3)
    assert not grid[0, :4].any() and grid[0, 4:18, 4:68].max() > 100


def test_interpolation_goes_from_seed_to_seed(generate):
    frames = generate("--seeds=0,5", "--motion-seeds=7", "--interpolate", "--frames=5")
    first, last = (generate(f"--seeds={seed}", "--motion-seeds=7", "--frames=5") for seed in (0, 5))
    assert np.abs(frames[0] - first[0]).max() <= 1 and np.abs(frames[4] - last[4]).max() <= 1


def test_styles_of_another_seed_fade_in(generate):
    fading = generate("--seeds=0", "--motion-seeds=1", "--mix-seed=5", "--mix-weight=0:0,4:1", "--frames=5",
                      "--mix-layers=4-64")  # fmt: skip
    plain, other = (generate(f"--seeds={seed}", "--motion-seeds=1", "--frames=5") for seed in (0, 5))
    assert np.abs(fading[0] - plain[0]).max() <= 1 and np.abs(fading[4] - other[4]).max() <= 1


def test_truncation_can_change_over_time(generate):
    rising = generate("--seeds=2", "--trunc=0:0.3,4:1", "--frames=5")
    low, full = generate("--seeds=2", "--trunc=0.3", "--frames=5"), generate("--seeds=2", "--frames=5")
    assert np.abs(rising[0] - low[0]).max() <= 1 and np.abs(rising[4] - full[4]).max() <= 1
    assert np.abs(low[4] - full[4]).max() > 5


def test_amplitude_scales_movements(generate):
    still, plain, double = (generate("--seeds=2", f"--motion-amplitude={a}", "--frames=16") for a in (0, 1, 2))
    movement = [np.abs(np.diff(frames, axis=0)).mean() for frames in (still, plain, double)]
    assert movement[0] == 0 and movement[1] > 0 and movement[2] > 1.3 * movement[1]


@pytest.mark.parametrize("format", ["webm", "gif", "webp", "png", "jpg", "npy"])
def test_folders_hold_the_format_that_was_asked_for(trained_path, tmp_path, format):
    output = works("generate", f"--network={trained_path}", "--seeds=0-1", "--frames=3", f"--format={format}",
                   f"--output={tmp_path}")  # fmt: skip
    names = {f"seed{seed:04d}" + ("" if format in ("png", "jpg") else f".{format}") for seed in (0, 1)}
    assert set(os.listdir(tmp_path)) == names and all(name in output for name in names)
    if format == "png":
        assert size_of(tmp_path / "seed0000" / "000002.png") == (64, 64)


def test_projection_writes_latents_comparison_and_curve(projected):
    assert set(os.listdir(projected)) == {"projection.npz", "tuned.pkl", "comparison.mp4", "loss.png"}
    latents = load_latents(projected / "projection.npz")
    assert latents.times.tolist() == list(range(12)) and latents.settings["space"] == "w+"
    with np.load(projected / "projection.npz") as file:
        assert file["w"].shape == (1, 10, 64), "as StyleGAN2's tools read it"
    frames = np.stack(list(VideoReader(str(projected / "comparison.mp4"))))
    assert frames.shape[0] == 12 and frames.std() > 10
    assert size_of(projected / "loss.png")[0] > 500


def test_a_projection_can_be_played_slowed_and_continued(generate, projected, trained_path, tmp_path):
    option = f"--projection={projected / 'projection.npz'}"
    plain, slow = generate(option, "--frames=12"), generate(option, "--frames=23", "--speed=0.5")
    assert np.abs(slow[::2] - plain).max() <= 1
    assert np.abs(generate(option, "--frames=40")[:12] - plain).max() <= 1
    moved = generate("--seeds=1", f"--motion-from={projected / 'projection.npz'}", "--frames=12")
    assert not np.array_equal(moved, generate("--seeds=1", "--frames=12"))
    works("generate", f"--network={projected / 'tuned.pkl'}", option, "--frames=2", f"--output={tmp_path}")
    assert os.listdir(tmp_path) == ["projection.mp4"]


def test_frames_in_a_folder_are_a_clip_too(trained_path, generate, tmp_path):
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(generate("--seeds=1", "--frames=6")):
        PIL.Image.fromarray(frame.astype(np.uint8)).save(tmp_path / "frames" / f"{number}.png")
    works("project", f"--network={trained_path}", f"--images={tmp_path / 'frames'}", "--skip=2", "--space=w", *QUICK,
          f"--output={tmp_path / 'p'}")  # fmt: skip
    assert len(load_latents(tmp_path / "p" / "projection.npz").times) == 4


def test_a_clip_is_read_as_data_convert_reads_it(tmp_path, clip, capsys):
    archive = write_zip(tmp_path / "clips.zip", {"sub/clip.mp4": clip.read_bytes(), "readme.txt": b"x"})
    frames, fps = read_target(archive, ProjectRequest(skip=1), 16, Terminal())
    plain, _ = read_target(clip, ProjectRequest(skip=1), 16)
    assert frames.shape == (11, 16, 16, 3) and np.array_equal(frames, plain) and fps > 0
    assert "Note: 1 file left out" in capsys.readouterr().err
    half, rate = read_target(archive, ProjectRequest(skip=1, fps=fps / 2), 16)
    assert len(half) == 5 and rate == fps / 2
    several = write_zip(tmp_path / "several.zip", {f"{number}.mp4": clip.read_bytes() for number in range(2)})
    with pytest.raises(ValueError, match=r"holds 2 videos \(0.mp4, 1.mp4\); name one"):
        read_target(several, ProjectRequest(skip=1), 16)


def test_an_interrupted_projection_goes_on_and_ends_as_if_it_had_not_been(trained_path, clip, tmp_path, monkeypatch):
    def project(folder):
        return run("project", f"--network={trained_path}", f"--video={clip}", *QUICK[1:], "--steps=20",
                   f"--output={tmp_path / folder}")  # fmt: skip

    step, steps = Projector.step, []

    def interrupted(self):
        steps.append(len(self.history))
        if len(steps) == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    monkeypatch.setattr(Projector, "step", interrupted)
    code, output = project("a")
    assert code == 130 and "Stopped after 9 of 22 steps of projection; the same command goes on" in output, output
    assert os.listdir(tmp_path / "a") == ["state.pt"]
    code, output = project("a")
    assert code == 0 and "Going on from" in output and steps == list(range(22)), "no step is done twice or left out"
    monkeypatch.undo()
    assert project("b")[0] == 0
    one, other = (load_latents(tmp_path / name / "projection.npz") for name in "ab")
    assert one.w.equal(other.w) and one.motion.equal(other.motion)


def test_projection_refuses_what_it_cannot_do(trained_path, clip, projected, tmp_path):
    network = f"--network={trained_path}"
    fails("--video=FILE or with --images=DIR", "project", network)
    fails("exists already", "project", network, f"--video={clip}", f"--output={projected}")
    fails("leaves fewer than the 2", "project", network, f"--video={clip}", "--skip=11", f"--output={tmp_path}/p")
    fails("none.mp4", "project", network, f"--video={tmp_path}/none.mp4", f"--output={tmp_path}/p")
    fails("of another clip, network or other options", "project", network, f"--video={clip}", *QUICK, "--seed=9",
          "--tune=3", f"--output={(tmp_path / 'q')}") if _copy(projected, tmp_path / "q") else None  # fmt: skip
    assert not (tmp_path / "p").exists()
    own = tmp_path / "comparison.mp4"
    own.write_bytes(b"mine")
    fails("is read here, and would be replaced", "project", network, f"--video={own}", f"--output={tmp_path}")
    assert own.read_bytes() == b"mine"


def _copy(source, target):
    target.mkdir()
    (target / "projection.npz").write_bytes((source / "projection.npz").read_bytes())
    return True


def test_text_edits_write_pairs_and_latents(trained_path, clip_model, projected, tmp_path):
    projection = f"--projection={projected / 'projection.npz'}"
    output = works("edit", f"--network={trained_path}", "--seeds=0", projection, f"--clip={clip_model}", "--steps=4",
                   "--prompt=A red, red Sun!", "--frames=4", f"--output={tmp_path}")  # fmt: skip
    assert set(os.listdir(tmp_path)) == {
        f"{source}-a-red-red-sun.{kind}" for source in ("seed0000", "projection") for kind in ("npz", "mp4")
    }
    for line in output.splitlines():
        if "similarity" in line:
            before, _, after = line.rpartition(" similarity ")[2].partition(" -> ")
            assert float(after) > float(before)
    edited = load_latents(tmp_path / "projection-a-red-red-sun.npz")
    assert edited.motion.equal(load_latents(projected / "projection.npz").motion)
    works("generate", f"--network={trained_path}", f"--projection={tmp_path / 'seed0000-a-red-red-sun.npz'}",
          "--frames=2", f"--output={tmp_path / 'x.npy'}")  # fmt: skip


def test_global_edits_come_from_a_file_of_prompts(trained_path, clip_model, tmp_path, monkeypatch):
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "edits.yaml").write_text(
        "- prompt: a sunset\n  neutral: the sky\n  name: Dusk\n  strength: 8\n- a storm"
    )
    options = ["edit", f"--network={trained_path}", "--seeds=0", f"--clip={clip_model}", "--method=global",
               f"--prompts={tmp_path / 'edits.yaml'}", "--relevance-images=1", "--frames=3"]  # fmt: skip
    output = works(*options, "--save-network", f"--output={tmp_path / 'out'}")
    assert set(os.listdir(tmp_path / "out")) == {"seed0000-dusk.mp4", "seed0000-a-storm.mp4", "dusk.pkl", "a-storm.pkl"}
    assert output.count("similarity") == 2 and len(list((tmp_path / "cache" / "relevance").iterdir())) == 1
    frames = []
    for network in (trained_path, tmp_path / "out" / "dusk.pkl"):
        works("generate", f"--network={network}", "--seeds=0", "--frames=1", f"--output={tmp_path / 'y.npy'}")
        frames.append(np.load(tmp_path / "y.npy").astype(int))
    assert np.abs(frames[0] - frames[1]).max() > 5, "the edit is in the saved network"
    assert load(tmp_path / "out" / "dusk.pkl").format == "stylegan_v_ext snapshot"
    (tmp_path / "out" / "mine.mp4").write_text("mine")
    assert works(*options, f"--output={tmp_path / 'out'}").count("mp4 (replaced the file that was there)") == 2
    assert (tmp_path / "out" / "mine.mp4").read_text() == "mine"


def test_edits_refuse_what_they_cannot_do(trained_path, clip_model, tmp_path):
    base = ["edit", f"--network={trained_path}", f"--clip={clip_model}", f"--output={tmp_path}/out"]
    (tmp_path / "bad.yaml").write_text("- prompt: 3")
    (tmp_path / "worse.yaml").write_text("a: [")
    (tmp_path / "twins.yaml").write_text("- a cat\n- A cat!")
    fails("--prompt=TEXT or --prompts=FILE", *base, "--seeds=0")
    fails("say which videos to edit", *base, "--prompt=x")
    fails("a prompt is empty", *base, "--seeds=0", "--prompt= ")
    fails("entry 1 is not a text, or a prompt", *base, "--seeds=0", f"--prompts={tmp_path}/bad.yaml")
    fails("is no YAML", *base, "--seeds=0", f"--prompts={tmp_path}/worse.yaml")
    fails("two edits have one name", *base, "--seeds=0", f"--prompts={tmp_path}/twins.yaml")
    fails("none.yaml", *base, "--seeds=0", f"--prompts={tmp_path}/none.yaml")
    fails("could not be opened", *base[:2], "--seeds=0", "--prompt=x", f"--clip={tmp_path}/none")
    fails("say the same", *base, "--seeds=0", "--prompt=x", "--neutral=x", "--method=global", "--relevance-images=1",
          f"--relevance={tmp_path}/r.safetensors")  # fmt: skip


@pytest.mark.parametrize("method", ["sefa", "pca", "motion"])
def test_directions_have_a_strip_and_can_be_followed(trained_path, generate, tmp_path, method):
    works("directions", f"--network={trained_path}", f"--method={method}", "--count=2", f"--output={tmp_path}/d.npz")
    assert size_of(tmp_path / "d.png") == (7 * 66 + 2, 2 * 80 + 2)
    plain, along = (
        generate("--seeds=0", "--frames=2"),
        generate("--seeds=0", "--frames=2", f"--direction={tmp_path}/d.npz:1"),
    )
    assert not np.array_equal(plain, along)
    fails("exists already", "directions", f"--network={trained_path}", f"--output={tmp_path}/d.npz")


GENERATE_FAULTS = {
    "no content": ([], "Missing option '--seeds'"),
    "two motions": (["--seeds=0", "--motion-seeds=0", "--motion-from=x.npz"], "use one of them"),
    "interpolating one": (["--seeds=0", "--interpolate"], "needs two contents"),
    "interpolating motions": (["--seeds=0-1", "--interpolate", "--motion-seeds=0-1"], "2 motions for one video"),
    "two ways at once": (["--seeds=0-1", "--interpolate", "--decompose"], "use one of them"),
    "layers of nobody": (["--seeds=0", "--mix-layers=8-16"], "--mix-seed whose"),
    "layers that are none": (["--seeds=0", "--mix-seed=1", "--mix-layers=12"], "the powers of two from 4 to 64"),
    "layers above the network": (["--seeds=0", "--mix-seed=1", "--mix-layers=128"], "none of this network's"),
    "padding of one": (["--seeds=0", "--padding=2"], "are for grids"),
    "two formats": (["--seeds=0", "--format=gif", "--output=a.mp4"], "differ; leave one out"),
    "a codec for another": (["--seeds=0", "--format=gif", "--codec=h264"], "leave the codec out"),
    "a schedule that goes back": (["--seeds=0", "--trunc=5:1,3:0"], "the frames have to ascend"),
    "a schedule that is none": (["--seeds=0", "--trunc=a:b"], "neither a number nor FRAME:NUMBER"),
    "a direction that is none": (["--seeds=0", "--direction=d.npz"], "is not FILE:NUMBER"),
    "a projection that is none": (["--projection=none.npz"], "does not exist"),
    "the same twice": (["--seeds=0,0"], "two contents have one name"),
}


@pytest.mark.parametrize("name", list(GENERATE_FAULTS))
def test_generation_refuses_bad_options(trained_path, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    options, message = GENERATE_FAULTS[name]
    fails(message, "generate", f"--network={trained_path}", *options)
    assert not os.listdir(tmp_path)


def test_help_of_every_command_has_examples():
    for command in ("project", "edit", "directions", "view", "generate"):
        assert "Examples:" in works(command, "--help")


def test_help_and_bad_options_do_not_import_pytorch():
    code = "import sys; from stylegan_v_ext.cli.main import main; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_schedules_and_layers_are_parsed():
    schedule, layers = ScheduleType(), LayerSpan()
    assert schedule.convert("0.7", None, None) == [(0.0, 0.7)]
    assert schedule.convert("0:-1,8:2.5", None, None) == [(0.0, -1.0), (8.0, 2.5)]
    assert layers.convert("8", None, None) == (8, 8) and layers.convert("8-32", None, None) == (8, 32)


def test_settings_of_a_projection_are_plain_json(projected):
    with np.load(projected / "projection.npz") as file:
        settings = json.loads(str(file["settings"]))
    assert settings["steps_done"] == 6 and settings["clip"].endswith("clip.mp4")
