"""Videos from Python: the front door of generation."""

import ast
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import stylegan_v_ext.generate
from stylegan_v_ext.checkpoints import save_snapshot
from stylegan_v_ext.cli.gen_video import gen_video
from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.generate import Video, VideoLatents, VideoRequest, load, plan_videos
from stylegan_v_ext.generate.request import RequestError
from stylegan_v_ext.listener import Listener, refuse_inputs

PACKAGE = Path(stylegan_v_ext.generate.__file__).parents[1]


@pytest.fixture(scope="module")
def sampler(trained_path):
    return load(trained_path, device="cpu")


def array(video):
    return np.stack(list(video))


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (dict(seed=5), ["--seeds=5"]),
        (dict(seed=2, motion_seed=9, start=1e6, speed=0.3), ["--seeds=2", "--motion-seeds=9", "--start=1000000",
                                                             "--speed=0.3"]),
        (dict(seed=1, truncation=0.6), ["--seeds=1", "--trunc=0.6"]),
    ],
)  # fmt: skip
def test_seeds_name_the_video_that_the_command_makes(sampler, trained_path, tmp_path, options, arguments):
    target = tmp_path / "a.npy"
    words = [f"--network={trained_path}", "--frames=6", "--device=cpu", f"--output={target}", *arguments]
    assert CliRunner().invoke(gen_video, words).exit_code == 0
    video = sampler.video(**options, frames=6)
    assert len(video) == 6 and np.array_equal(array(video), np.load(target))
    assert np.array_equal(array(video), np.load(target)), "the same frames again"


def test_a_video_is_written_in_any_format(sampler, tmp_path):
    video, steps = sampler.video(seed=3, frames=4, fps=12.5), []
    assert video.write(tmp_path / "a.npy", progress=steps.append) == tmp_path / "a.npy" and steps == [1] * 4
    exact = array(video)
    assert np.array_equal(np.load(tmp_path / "a.npy"), exact)
    reader = VideoReader(str(video.write(str(tmp_path / "a.mov"), codec="h264", quality=98)))
    assert np.abs(array(reader).astype(int) - exact).mean() < 4 and reader.fps == 12.5
    folder = video.write(tmp_path / "frames.png")
    assert folder == tmp_path / "frames" and len(os.listdir(folder)) == 4
    with pytest.raises(ValueError, match="exists already"):
        video.write(tmp_path / "frames.png")
    with pytest.raises(ValueError, match="leave the codec out"):
        video.write(tmp_path / "a.gif", codec="h264")


def test_frames_are_made_when_they_are_read():
    def frames():
        for number in range(3):
            made.append(number)
            yield np.zeros([2, 2, 3], np.uint8)

    made = []
    stream = iter(Video(frames, 3))
    assert made == [] and next(stream) is not None and made == [0]


def test_reading_frames_leaves_the_settings_of_the_process(sampler):
    before = torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = True
        for _ in sampler.video(frames=2):
            assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_latents_stand_in_for_seeds(sampler):
    name = stylegan_v_ext.generate.VideoName(4, 11)
    latents = VideoLatents(sampler.content(name), torch.zeros(0, sampler.generator.mapping.motion.z_dim), 0, 11)
    assert np.array_equal(
        array(sampler.video(latents=latents, frames=3)), array(sampler.video(4, motion_seed=11, frames=3))
    )
    with pytest.raises(ValueError, match="use the network it was made with"):
        sampler.video(latents=VideoLatents(torch.zeros(1, 5, 32), torch.zeros(0, 24)))


def test_networks_that_make_no_video_are_refused(make_generator, tmp_path):
    for name, generator in (("image", make_generator(num_frames=1)), ("classes", make_generator(num_classes=2))):
        content = dict(G=generator, D=None, G_ema=generator, augment_pipe=None, training_set_kwargs={})
        save_snapshot(tmp_path / f"{name}.pkl", content)
    with pytest.raises(ValueError, match="makes images, not videos"):
        load(tmp_path / "image.pkl")
    with pytest.raises(ValueError, match="device 'tpu' is not available"):
        load(tmp_path / "classes.pkl", device="tpu")
    sampler = load(tmp_path / "classes.pkl", device="cpu")
    with pytest.raises(ValueError, match="choose one with --class"):
        sampler.video()
    assert len(array(sampler.video(class_index=1, frames=2))) == 2


def test_a_plan_names_every_file(sampler, tmp_path):
    def names(**request):
        return [item.path.name for item in plan_videos(sampler, VideoRequest(output=str(tmp_path), **request))]

    assert names(seeds=range(2), format="gif") == ["seed0000.gif", "seed0001.gif"]
    assert names(seeds=[3], motion_seeds=[0, 1]) == ["seed0003-motion0000.mp4", "seed0003-motion0001.mp4"]
    assert names(seeds=[3, 4], interpolate=True) == ["interpolation.mp4"]
    (grid,) = plan_videos(sampler, VideoRequest(seeds=range(3), grid=(2, 2), duration=0.2, output=str(tmp_path)))
    assert grid.path.name == "grid.mp4" and len(grid.video) == 5
    assert next(iter(grid.video)).shape == (128, 128, 3)
    assert os.listdir(tmp_path) == []


def test_parts_of_a_request_that_do_not_go_together_are_refused(sampler):
    with pytest.raises(RequestError, match="say what to show"):
        VideoRequest()
    with pytest.raises(RequestError, match="2 motions for one video"):
        plan_videos(sampler, VideoRequest(seeds=[0, 1], interpolate=True, motion_seeds=[0, 1]))


def test_a_file_that_is_read_is_not_replaced(tmp_path):
    source = tmp_path / "a.mp4"
    source.write_text("mine")
    (tmp_path / "link.mp4").symlink_to(source)
    shutil.copy(source, tmp_path / "copy.mp4")
    Listener().will_write(
        [tmp_path / "link.mp4", tmp_path / "copy.mp4", tmp_path / "new.mp4"], inputs=[str(source), None]
    )
    with pytest.raises(ValueError, match="a.mp4 is read here, and would be replaced"):
        refuse_inputs([source], [str(tmp_path / "." / "a.mp4")])


@pytest.mark.parametrize("package", ["generate", "editing", "view"])
def test_the_library_knows_no_command_line(package):
    for path in sorted((PACKAGE / package).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong = [
                name for name in names if name.partition(".")[0] == "click" or name.startswith("stylegan_v_ext.cli")
            ]
            assert not wrong, (path, wrong)
