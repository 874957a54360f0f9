"""Streams of frames and the files they go to."""

import copy
import os
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
import torch

from stylegan_v_ext.data.ffmpeg import FfmpegError, VideoReader
from stylegan_v_ext.generate.layout import Layout, tile
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times, one_ahead, to_uint8
from stylegan_v_ext.generate.writers import write_video


@pytest.fixture
def sampler(make_generator):
    return VideoSampler(make_generator(), torch.device("cpu"))


def frames(sampler, name, times, **kwargs):
    return np.stack(list(sampler.frames(name, times, **kwargs))).astype(int)


def test_chunks_do_not_show(sampler):
    times = list(frame_times(40))
    whole = frames(sampler, VideoName(1, 2), times, chunk_frames=40)
    for chunk in (1, 7, 16):
        assert np.abs(frames(sampler, VideoName(1, 2), times, chunk_frames=chunk) - whole).max() <= 1


@pytest.mark.quick
@pytest.mark.parametrize("start", [0, 1e6])
def test_a_device_makes_the_frames_of_a_cpu(make_generator, device, start):
    generator = make_generator(num_classes=2, img_resolution=32, use_noise=True)
    samplers = [VideoSampler(copy.deepcopy(generator), here, 0.8) for here in (torch.device("cpu"), device)]
    name, times = VideoName(1, 5, 1), list(frame_times(20, start, speed=0.5))
    expected, ours = (sampler.frames(name, times, size) for sampler, size in zip(samplers, (20, 7), strict=True))
    difference = np.abs(np.stack(list(expected)).astype(int) - np.stack(list(ours)))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_sixteen_bits_show_in_no_frame(make_generator, device):
    mixed = dict(img_resolution=32, num_fp16_res=4, conv_clamp=256)
    samplers = [VideoSampler(make_generator(**kwargs), device) for kwargs in (mixed, {**mixed, "num_fp16_res": 0})]
    ours, expected = (frames(sampler, VideoName(1), frame_times(8)) for sampler in samplers)
    assert expected.std() > 10 and np.abs(ours - expected).max() <= 4


def test_chunks_that_are_begun_ahead_do_not_show(make_generator, device, monkeypatch):
    sampler, found = VideoSampler(make_generator(), device), []
    for queueing in ((), (device.type,)):
        monkeypatch.setattr("stylegan_v_ext.generate.sampler._QUEUEING_DEVICES", queueing)
        found.append(list(sampler.frames(VideoName(1), frame_times(30), chunk_frames=4)))
    assert len(found[1]) == 30 and np.array_equal(*found)
    assert not np.array_equal(found[1][0], found[1][4])


def test_one_chunk_is_begun_ahead():
    begun = []
    handed_out = one_ahead(begun.append(number) or number for number in range(4))
    assert next(handed_out) == 0 and begun == [0, 1] and list(handed_out) == [1, 2, 3]


def test_any_part_of_a_video_can_be_made_alone(sampler):
    whole = frames(sampler, VideoName(1), frame_times(60))
    part = frames(sampler, VideoName(1), frame_times(10, start=40))
    assert np.abs(part - whole[40:50]).max() <= 1


def test_slow_motion_makes_new_frames_between_the_old(sampler):
    normal = frames(sampler, VideoName(3), frame_times(10))
    slow = frames(sampler, VideoName(3), frame_times(37, speed=0.25))
    assert np.abs(slow[::4] - normal).max() <= 1
    steps = np.abs(np.diff(slow, axis=0)).mean((1, 2, 3))
    assert (steps > 0).sum() > 30


def test_late_start_moves_like_an_early_one(sampler):
    """Single precision would know whole frames alone at that time, and the phases of fast waves not at all."""

    def steps(start):
        made = frames(sampler, VideoName(3), frame_times(256, start=start, speed=0.25))
        return np.abs(np.diff(made, axis=0)).mean((1, 2, 3))

    early, late = steps(0), steps(1e7)
    assert 0.5 < late.mean() / early.mean() < 2 and late.max() < 2 * early.max()
    assert (late > 0).mean() > 0.9 * (early > 0).mean(), "movement between whole frames"


def test_content_seed_alone_names_a_motion_too(sampler):
    times = list(frame_times(5))
    assert np.array_equal(frames(sampler, VideoName(4), times), frames(sampler, VideoName(4), times))
    assert not np.array_equal(frames(sampler, VideoName(4), times), frames(sampler, VideoName(4, 1), times))


def test_class_changes_the_video(make_generator):
    sampler = VideoSampler(make_generator(num_classes=2), torch.device("cpu"))
    one, other = (frames(sampler, VideoName(0, 0, index), [0.0]) for index in (0, 1))
    assert not np.array_equal(one, other)


def test_frames_are_made_as_they_are_taken(sampler):
    endless = sampler.frames(VideoName(0), (float(t) for t in iter(int, 1)))
    assert len(list(islice(endless, 20))) == 20


def test_grid_places_videos_row_by_row(sampler):
    names = [VideoName(seed) for seed in range(3)]
    (grid,) = sampler.grid([sampler.scene(name) for name in names], Layout(2, 2), [5.0])
    assert grid.shape == (32, 32, 3)
    for cell, (top, left) in zip(names, [(0, 0), (0, 16), (16, 0)], strict=True):
        assert np.array_equal(grid[top : top + 16, left : left + 16], next(iter(sampler.frames(cell, [5.0]))))
    assert not grid[16:, 16:].any()


def test_pixels_span_the_range():
    values = torch.tensor([-1.5, -1.0, 0.0, 1.0, 2.0])[:, None, None, None].expand(-1, 3, 1, 1)
    assert to_uint8(values)[:, 0, 0, 0].tolist() == [0, 0, 128, 255, 255]
    assert tile([np.ones((2, 2, 3), np.uint8)] * 3, 2).shape == (4, 4, 3)


def gradient_frames(count, size=32):
    for i in range(count):
        frame = np.full((size, size, 3), 40, dtype=np.uint8)
        frame[:, : 2 + i] = 200
        yield frame


def test_mp4_round_trip(tmp_path):
    assert write_video(tmp_path / "a.mp4", gradient_frames(20), fps=12.5) == 20
    reader = VideoReader(str(tmp_path / "a.mp4"))
    back = np.stack(list(reader)).astype(int)
    assert reader.fps == 12.5 and len(back) == 20
    assert np.abs(back - np.stack(list(gradient_frames(20)))).mean() < 6
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_stream_that_fails_leaves_the_old_file(tmp_path):
    write_video(tmp_path / "a.mp4", gradient_frames(3), fps=5)
    before = (tmp_path / "a.mp4").read_bytes()

    def failing():
        yield from gradient_frames(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "a.mp4", failing(), fps=5)
    assert (tmp_path / "a.mp4").read_bytes() == before and os.listdir(tmp_path) == ["a.mp4"]


def test_frames_that_cannot_be_encoded_are_an_error(tmp_path):
    frames = (np.zeros((16, 16400, 3), dtype=np.uint8) for _ in range(3))  # wider than the encoder takes
    with pytest.raises(FfmpegError, match="could not be encoded"):
        write_video(tmp_path / "a.mp4", frames, fps=5)
    with pytest.raises(ValueError, match="no frames"):
        write_video(tmp_path / "a.mp4", [], fps=5)
    assert os.listdir(tmp_path) == []


_MEMORY = """
import resource, sys, torch
from stylegan_v_ext.generate.layout import Layout, tile
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.generate.writers import write_video
from stylegan_v_ext.networks.generator import VideoGenerator
torch.set_num_threads(1)
kwargs = dict(img_resolution=16, img_channels=3, z_dim=32, w_dim=32, channel_base=256, channel_max=16)
generator = VideoGenerator(3, motion_kwargs=dict(z_dim=24, code_dim=24), **kwargs)
sampler = VideoSampler(generator, torch.device("cpu"))
write_video(sys.argv[2], sampler.frames(VideoName(0), frame_times(int(sys.argv[1]))), fps=25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_length(tmp_path):
    peaks = []
    for length in (64, 3000):
        command = [sys.executable, "-c", _MEMORY, str(length), str(tmp_path / "a.mp4")]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(result.stdout))
    assert peaks[1] < 1.1 * peaks[0]
