"""Each script in `examples/` runs with small sizes and leaves what it says."""

import importlib.util

import pytest

from stylegan_v_ext import load
from stylegan_v_ext.data.synthetic import write_demo_dataset
from tests.host.conftest import make_host
from tests.public_names import ROOT

SHIPPED = str(ROOT / "tests/data/carphone64.safetensors")


def example(name):
    """The module of an example, which no package holds."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Data set of four videos of 16 frames at 16 px."""
    path = tmp_path_factory.mktemp("clips") / "clips.zip"
    write_demo_dataset(str(path), 16, 4, 16)
    return str(path)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Folder of three videos of the network of the tests."""
    folder = tmp_path_factory.mktemp("videos")
    for seed in range(3):
        load(SHIPPED).video(seed=seed, frames=16).write(folder / f"seed{seed}.mp4")
    return folder


def test_every_example_is_tested_and_listed():
    page = (ROOT / "examples/README.md").read_text(encoding="utf-8")
    for path in (ROOT / "examples").glob("*.py"):
        assert f"test_{path.stem}_" in "".join(globals()) and f"({path.name})" in page


def test_generate_writes_three_videos(tmp_path, capsys):
    example("generate").main(SHIPPED, folder=tmp_path, frames=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other-motion.mp4", "slow.mp4", "video.mp4"]
    assert capsys.readouterr().out.startswith("4 frames, brightness ")


def test_train_tiny_trains_goes_on_and_makes_a_video(clips, tmp_path):
    video = example("train_tiny").main(data=clips, folder=tmp_path, kimg=0.008, frames=4)
    assert video.stat().st_size > 500
    assert "Stopped early" not in (video.parent / "log.txt").read_text()


def test_custom_loop_looks_at_the_networks_and_saves(clips, tmp_path):
    snapshot = example("custom_loop").main(data=clips, folder=tmp_path, num_steps=2, every=2)
    assert (snapshot.parent / "step000002.mp4").exists()
    assert len(load(snapshot).video(frames=3)) == 3


def test_stylegan3_checkout_trains_and_lends_its_augmentation(clips, tmp_path, capsys):
    checkout = make_host(tmp_path / "stylegan3", "stylegan3")
    snapshot = example("stylegan3_checkout").main(str(checkout), clips, folder=tmp_path / "runs", kimg=0.008)
    assert snapshot.exists() and "frames through the checkout's AugmentPipe" in capsys.readouterr().out


def test_project_and_edit_finds_a_clip_and_lets_it_go_on(videos, tmp_path, capsys):
    script = example("project_and_edit")
    small = script.ProjectRequest(frames=4, steps=4, candidates=2, chunk=2, loss="pixels")
    script.main(SHIPPED, str(videos / "seed0.mp4"), folder=tmp_path, request=small, frames=4)
    assert {"goes-on.mp4", "slow.mp4", "projection.npz"} <= {path.name for path in tmp_path.iterdir()}
    assert "16 frames of another content" in capsys.readouterr().out


def test_measure_folders_prints_figures_of_each_metric(videos, capsys):
    figures = example("measure_folders").main(str(videos), str(videos), metrics=("rfvd8_8f", "motion8_8f"))
    assert set(figures) == {"rfvd8_8f", "motion8_8f"}
    assert "motion8_8f_speed" in capsys.readouterr().out
