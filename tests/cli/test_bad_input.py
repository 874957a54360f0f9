"""Whatever is wrong with data, options or machine: one clear line and exit code 2, never a traceback."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from stylegan_v_ext.checkpoints import save_snapshot
from stylegan_v_ext.cli.main import main
from tests.data.helpers import image_bytes, video_files, write_folder, write_zip


def run(*arguments):
    """(exit code, what was printed) of a `stylegan-v` call."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def assert_one_line_error(output, message):
    errors = [line for line in output.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1 and message in errors[0], output
    assert "Traceback" not in output


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write_zip(tmp_path_factory.mktemp("sound") / "sound.zip", video_files(3, 6))


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """Snapshots of a video generator, a conditional one and an image generator."""
    from stylegan_v_ext.networks.generator import VideoGenerator
    from tests.conftest import SMALL_G, SMALL_MOTION

    folder = tmp_path_factory.mktemp("snapshots")
    for name, classes, frames in (("video", 0, 3), ("classes", 2, 3), ("image", 0, 1)):
        motion = {"motion_kwargs": SMALL_MOTION} if frames > 1 else {}
        generator = VideoGenerator(classes + frames, num_frames=frames, **SMALL_G, **motion)
        content = dict(G=generator, D=None, G_ema=generator, augment_pipe=None, training_set_kwargs={})
        save_snapshot(folder / f"{name}.pkl", content)
    return folder


def broken_jpeg():
    buffer = io.BytesIO()
    noise = np.random.RandomState(0).randint(0, 255, (16, 16, 3)).astype(np.uint8)
    PIL.Image.fromarray(noise).save(buffer, format="JPEG")
    return buffer.getvalue()[:-80]


def truncated_zip(folder):
    path = Path(write_zip(folder / "cut.zip", video_files(2, 5)))
    path.write_bytes(path.read_bytes()[:-60])
    return path


def changed(name, data):
    return lambda folder: write_zip(folder / "bad.zip", {**video_files(2, 5), name: data})


def empty_folder(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


DATA_FAULTS = {
    "truncated zip": (truncated_zip, "is not a sound zip archive"),
    "one broken JPEG": (changed("v1/3.jpg", broken_jpeg()), "v1/3.jpg is truncated or damaged"),
    "mixed sizes": (changed("v1/2.png", image_bytes(size=(32, 32))), "v1/2.png is 32x32, expected 16x16"),
    "grayscale frame": (changed("v1/2.png", image_bytes(mode="L")), "v1/2.png has colour mode L"),
    "RGBA frame": (changed("v1/2.png", image_bytes(mode="RGBA")), "v1/2.png has colour mode RGBA"),
    "empty folder": (empty_folder, "holds no frames"),
    "one-frame videos": (lambda f: write_zip(f / "one.zip", video_files(3, 1)), "v0 has 1 frame, a clip needs 3"),
    "broken dataset.json": (changed("dataset.json", b"{"), "dataset.json is not valid JSON"),
    "not square": (
        lambda f: write_zip(f / "wide.zip", video_files(2, 5, size=(32, 16))),
        "all 10 frames are 32x16, expected a square",
    ),
    "not a power of two": (lambda f: write_zip(f / "odd.zip", video_files(2, 5, size=(24, 24))), "not a power of two"),
    "no such path": (lambda f: f / "nothing.zip", "does not exist"),
    "not an archive": (lambda f: write_folder(f, {"a.zip": b"hello"}) + "/a.zip", "is not a sound zip archive"),
}  # fmt: skip


LABEL_FAULTS = {
    "label of a missing video": ([["v0", 0], ["v1", 1], ["gone", 0]], "label for gone, which is not in the data", True),
    "video without label": ([["v0", 0]], "v1 has no label", True),
    "two classes for a video": ([["v0", 0], ["v1", 1], ["v1", 0]], "v1 has the classes 0 and 1 in dataset.json", True),
    "vector": ([["v0", 0], ["v1", [0.1, 0.2]]], "v1 is labelled with a vector of 2 numbers", False),
    "files": ([["v0", 0], ["v1/1.png", 0], ["v1/2.png", 1]], "v1 has files of the classes 0 and 1", False),
}  # fmt: skip


@pytest.mark.parametrize("name", list(LABEL_FAULTS))
def test_faults_of_labels_stop_training_with_classes_alone(tmp_path, name):
    labels, message, mistake = LABEL_FAULTS[name]
    path = write_zip(tmp_path / "l.zip", video_files(2, 5, metadata={"labels": labels}))
    train = ["train", "--cfg=stylegan-v", f"--data={path}", f"--outdir={tmp_path}/runs", "-n"]
    code, output = run(*train)
    assert code == 0 and f"Note: --cond would stop at labels, which are not used now: {message}" in output
    code, output = run(*train, "--cond=1")
    assert code == 2
    assert_one_line_error(output, message)
    assert "or train with --skip-bad, or train without --cond" in output
    code, output = run(*train, "--cond=1", "--skip-bad")
    assert code == 0 and ("Left out: v1" in output) == (name != "label of a missing video")
    assert '"use_labels": true' in output and "Classes:            " in output
    code, output = run("data", "check", path)
    assert (code == 2) == mistake and message in output and ("Error:" in output) == mistake


def test_classes_are_named_with_their_sizes(tmp_path):
    metadata = {"labels": [["v0", 0], ["v1", 1], ["v2", 1]], "classes": ["Apply", "Bow"]}
    path = write_zip(tmp_path / "named.zip", video_files(3, 5, metadata=metadata))
    assert "Classes: 2 (Apply 1, Bow 2)" in run("data", "check", path)[1]
    code, output = run("train", "--cfg=stylegan-v", f"--data={path}", f"--outdir={tmp_path}/runs", "-n", "--cond=1")
    assert code == 0 and "Classes:            2 (Apply 1, Bow 2)" in output


@pytest.mark.parametrize("name", list(DATA_FAULTS))
def test_training_refuses_bad_data(tmp_path, name):
    make, message = DATA_FAULTS[name]
    code, output = run("train", "--cfg=stylegan-v", f"--data={make(tmp_path)}", f"--outdir={tmp_path}/runs", "-n")
    assert code == 2
    assert_one_line_error(output, message)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", list(DATA_FAULTS))
def test_data_check_lists_what_is_wrong(tmp_path, name):
    make, message = DATA_FAULTS[name]
    code, output = run("data", "check", make(tmp_path))
    assert code == 2 and message in output and "Traceback" not in output
    assert output.count("Error:") == 1


def test_skip_bad_names_what_it_leaves_out(tmp_path):
    path = write_zip(tmp_path / "bad.zip", {**video_files(3, 5), "v1/2.png": image_bytes(mode="L")})
    code, output = run("train", "--cfg=stylegan-v", f"--data={path}", "--skip-bad", "-n")
    assert code == 0 and "Left out: v1" in output and '"exclude": [' in output


TRAIN_FAULTS = {
    "batch not divisible": (["--batch=10", "--batch-gpu=4"], "use 8 or 12"),
    "group not divisible": (["--batch=6"], "--mbstd-group=2"),
    "unknown preset": (["--cfg=stylegan-x"], "stylegan-x"),
    "more frozen layers than there are": (
        ["--freezed=99"],
        "a discriminator of 16 px has 7 layers to freeze; use 0 to 7",
    ),
    "negative gamma": (["--gamma=-1"], "-1"),
    "labels asked for, none there": (["--cond=1"], "has no labels"),
    "unknown transforms": (["--augpipe=xyz"], "--augpipe=xyz is not one of"),
    "unknown device": (["--device=tpu"], "--device=auto or --device=cpu"),
    "resume from nothing": (["--resume=none.pkl"], "none.pkl does not exist"),
    "one frame": (["--num-frames=1"], "--num-frames=1"),
    "too many frames": (["--num-frames=7"], "a clip needs 7"),
    "no room for frames": (["--num-frames=5", "--max-dist=2"], "has no room for 5 frames"),
    "odd latent": (["--latent-dim=33"], "odd"),
}


@pytest.mark.parametrize("name", list(TRAIN_FAULTS))
def test_training_refuses_bad_options(tmp_path, sound, name):
    options, message = TRAIN_FAULTS[name]
    options = ["--cfg=stylegan-v", f"--data={sound}", f"--outdir={tmp_path}/runs", "--workers=0", *options]
    code, output = run("train", *options)
    assert code == 2
    assert_one_line_error(output, message)


def test_resume_from_a_file_that_is_no_snapshot(tmp_path, sound):
    (tmp_path / "fake.pkl").write_bytes(b"nothing")
    code, output = run("train", "--cfg=stylegan-v", f"--data={sound}", f"--resume={tmp_path}/fake.pkl")
    assert code == 2
    assert_one_line_error(output, "not a network snapshot")


def test_output_that_cannot_be_written(tmp_path, sound, snapshots):
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, output = run("train", "--cfg=stylegan-v", f"--data={sound}", f"--outdir={blocked}/runs")
    assert code == 2
    assert_one_line_error(output, "name another path")
    code, output = run("generate", f"--network={snapshots}/video.pkl", "--seeds=0", f"--output={blocked}/out")
    assert code == 2
    assert_one_line_error(output, "name another path")
    code, output = run("data", "convert", sound, f"{blocked}/out.zip")
    assert code == 2
    assert_one_line_error(output, "name another destination")


GENERATE_FAULTS = {
    "backward seeds": (["--seeds=7-0"], "write 0-7"),
    "seeds that are none": (["--seeds=a"], "is not a seed"),
    "seed too large": (["--seeds=4294967296"], "4294967295"),
    "both lengths": (["--seeds=0", "--frames=3", "--duration=2"], "use one of them"),
    "no frames": (["--seeds=0", "--frames=0"], "0"),
    "standing still": (["--seeds=0", "--speed=0"], "0"),
    "grid too small": (["--seeds=0-7", "--grid=2x2"], "holds 4 videos, 8 were asked for"),
    "grid that is none": (["--seeds=0", "--grid=4by2"], "such as 4x2"),
    "format that is none": (["--seeds=0", "--output=clip.avi"], "clip.avi ends in .avi; use .mp4, .mov, .mkv"),
    "ending and format": (["--seeds=0", "--output=a.mov", "--format=mp4"], "differ; leave one out"),
    "codec of another container": (["--seeds=0", "--output=a.mov", "--codec=vp9"], "use h264 or h265"),
    "rate of another container": (["--seeds=0", "--format=webm", "--fps=1200"], "use 0.001 to 1000"),
    "layers backwards": (["--seeds=0", "--mix-seed=1", "--mix-layers=16-8"], "write 8-16"),
    "layers above the network's": (["--seeds=0", "--mix-seed=1", "--mix-layers=64"], "powers of two from 4 to 16"),
    "endless grid": (["--seeds=0", "--grid=99999x1"], "1,599,984 x 16 pixels; 16,000 a side are the most"),
    "one file for many": (["--seeds=0-1", "--output=a.mp4"], "one file for 2 videos"),
    "motion seeds that do not match": (["--seeds=0-2", "--motion-seeds=0-1"], "2 --motion-seeds for 3 contents"),
    "class of a model without": (["--seeds=0", "--class=1"], "no classes; leave --class out"),
    "time that is none": (["--seeds=0", "--start=nan"], "nan is not a finite number"),
}


@pytest.mark.parametrize("name", list(GENERATE_FAULTS))
def test_generation_refuses_bad_options(snapshots, tmp_path, name):
    options, message = GENERATE_FAULTS[name]
    code, output = run("generate", f"--network={snapshots}/video.pkl", f"--output={tmp_path}/out", *options)
    assert code == 2
    assert_one_line_error(output, message)
    assert not (tmp_path / "out").exists()


def test_generation_never_replaces_its_network(snapshots, tmp_path):
    network = tmp_path / "net.mp4"
    network.hardlink_to(snapshots / "video.pkl")
    code, output = run("generate", f"--network={network}", "--seeds=0", "--frames=1", f"--output={network}")
    assert code == 2
    assert_one_line_error(output, "net.mp4 is read here, and would be replaced; name another --output")
    assert network.samefile(snapshots / "video.pkl")


def test_generation_refuses_networks_it_cannot_use(snapshots, tmp_path):
    (tmp_path / "fake.pkl").write_bytes(b"PK\x03\x04")
    cases = {
        f"--network={tmp_path}/none.pkl": "does not exist",
        f"--network={tmp_path}/fake.pkl": "a zip file that is cut short or damaged; fetch it again",
        f"--network={tmp_path}": "holds no network-snapshot",
        f"--network={snapshots}/image.pkl": "makes images, not videos",
        f"--network={snapshots}/classes.pkl": "choose one with --class=0 ... --class=1",
    }
    for network, message in cases.items():
        code, output = run("generate", network, "--seeds=0", f"--output={tmp_path}/out")
        assert code == 2
        assert_one_line_error(output, message)
    code, output = run("generate", f"--network={snapshots}/classes.pkl", "--seeds=0", "--class=2")
    assert code == 2
    assert_one_line_error(output, "classes 0 to 1")


def test_missing_ffmpeg_and_missing_decoder(snapshots, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-ffmpeg"))
    code, output = run("generate", f"--network={snapshots}/video.pkl", "--seeds=0", f"--output={tmp_path}/out")
    assert code == 2
    assert_one_line_error(output, "ffmpeg was not found")
    (tmp_path / "in.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    code, output = run("data", "convert", tmp_path / "in.mp4", tmp_path / "out.zip")
    assert code == 2
    assert_one_line_error(output, "PyAV, which decodes videos, was not found")
    assert not (tmp_path / "out.zip").exists()


CONVERT_FAULTS = {
    "odd size": (["--resolution=100"], "not a power of two"),
    "size that is none": (["--resolution=big"], "is not a size"),
    "wide without asking for it": (["--resolution=64x32"], "--transform=center-crop-wide"),
    "stride alone": (["--clip-stride=4"], "needs --clip-frames"),
    "quality": (["--quality=101"], "101"),
    "colour that is none": (["--background=grey"], "'grey' is not a colour, such as #ff8000, black or white"),
    "rate of pictures without a rate": (["--fps=5"], "leave --fps out"),
    "classes of a flat folder": (["--labels"], "lies in no sub-folder"),
}


@pytest.mark.parametrize("name", list(CONVERT_FAULTS))
def test_conversion_refuses_bad_options(tmp_path, sound, name):
    options, message = CONVERT_FAULTS[name]
    code, output = run("data", "convert", sound, tmp_path / "out.zip", *options)
    assert code == 2
    assert_one_line_error(output, message)
    assert list(tmp_path.iterdir()) == []


def test_conversion_of_a_misspelt_folder(tmp_path):
    code, output = run("data", "convert", tmp_path / "vidoes", tmp_path / "out.zip")
    assert code == 2
    assert_one_line_error(output, f"{tmp_path / 'vidoes'} does not exist; name a video, or a folder of videos")
    assert "zip" not in output.replace("out.zip", "")


def test_conversion_of_nothing(tmp_path):
    code, output = run("data", "convert", empty_folder(tmp_path), tmp_path / "out.zip")
    assert code == 2
    assert_one_line_error(output, "holds neither videos")


def test_options_are_saved_as_json_and_read_back(sound):
    code, output = run("train", "--cfg=stylegan-v", f"--data={sound}", "--batch=8", "-n")
    assert code == 0
    start = output.index("{")
    config, _ = json.JSONDecoder().raw_decode(output[start:])
    assert config["batch_size"] == 8 and config["training_set_kwargs"]["path"] == sound
