"""Every frame of a data set as an image."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.frames import FrameDataset


def test_all_frames_of_all_videos_are_there_once(sky_zip):
    videos, frames = SparseVideoDataset(sky_zip), FrameDataset(sky_zip, num_frames=3)
    assert len(frames) == 6 * 40
    for video in (0, 5):
        expected = videos.read_video(video)
        found = np.stack([frames[video * 40 + i][0] for i in range(40)])
        assert np.array_equal(found, expected)
        assert [frames[video * 40 + i][1].tolist() for i in (0, 39)] == [[0.0], [39.0]]


def test_shapes_are_those_of_images(sky_zip):
    frames = FrameDataset(sky_zip, num_frames=3)
    assert frames.image_shape == [3, 16, 16] and frames.label_dim == 1 and not frames.has_labels
    image, label = frames[0]
    assert image.dtype == np.uint8 and label.dtype == np.float32
    batch, labels = next(iter(torch.utils.data.DataLoader(frames, batch_size=5)))
    assert batch.shape == (5, 3, 16, 16) and labels.shape == (5, 1)


def test_labels_are_classes_with_a_time_within_the_video(labelled_zip):
    frames = FrameDataset(labelled_zip, num_frames=3, use_labels=True)
    labels = np.stack([frames.get_label(45) for _ in range(200)])
    assert labels.shape == (200, 3)
    assert (labels[:, :2] == [0, 1]).all()
    times = labels[:, 2]
    assert 0 <= times.min() < 4 and 35 < times.max() <= 39 and (times % 1 > 0).any()
    assert frames.get_details(45).raw_label.tolist() == [0, 1]


def test_mirrored_videos_come_after_the_others(sky_zip):
    frames = FrameDataset(sky_zip, num_frames=3, xflip=True)
    assert len(frames) == 2 * 6 * 40
    assert np.array_equal(frames[240 + 7][0], frames[7][0][:, :, ::-1])


def test_an_index_beyond_the_end_is_an_error(sky_zip):
    frames = FrameDataset(sky_zip)
    assert np.array_equal(frames[-1][0], frames[239][0])
    with pytest.raises(IndexError):
        frames[240]
