"""The strip contract: strips and labels."""

import pytest
import torch

from stylegan_v_ext.strip import pack_strip, sanitise_label, split_label, unpack_strip


def test_strip_round_trip():
    frames = torch.randn(2, 5, 3, 8, 8)
    strip = pack_strip(frames)
    assert strip.shape == (2, 3, 40, 8)
    assert torch.equal(unpack_strip(strip), frames)


def test_frame_f_lies_in_rows_f_times_height():
    frames = torch.randn(1, 3, 3, 4, 4)
    assert torch.equal(pack_strip(frames)[0, :, 8:12], frames[0, 2])


def test_strip_of_frames_that_are_not_square_is_refused():
    with pytest.raises(ValueError, match="does not divide"):
        unpack_strip(torch.zeros(1, 3, 20, 8))


def test_label_is_class_then_timestamps():
    classes, t = split_label(torch.tensor([[0.0, 1.0, 5.0, 9.0]]), num_classes=2)
    assert classes.tolist() == [[0, 1]] and t.tolist() == [[5, 9]]


def test_uninitialised_labels_become_harmless():
    c = torch.tensor([[float("nan"), float("inf"), -float("inf"), -3.0, 1e9]])
    assert sanitise_label(c, num_classes=1, max_num_frames=100).tolist() == [[0, 0, 0, 0, 99]]
