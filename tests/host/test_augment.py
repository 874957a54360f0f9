"""A checkout's augmentation over the frames of clips."""

import copy
import pickle

import pytest
import torch

from stylegan_v_ext.classes import SLOTS
from stylegan_v_ext.host.augment import ClipAugmentPipe

PIPE = "tests.host.small_host.training.augment.AugmentPipe"


@pytest.fixture(autouse=True)
def _small_pipe(monkeypatch):
    monkeypatch.setitem(SLOTS, "image augmentation of a host", (PIPE,))


def pipe(**kwargs):
    return ClipAugmentPipe(pipe_class=PIPE, xflip=0.5, brightness=1, **kwargs)


def still_clips(num_clips=6, num_frames=3, size=8):
    """Strips of clips whose frames are all alike."""
    frame = torch.rand(num_clips, 3, 1, size, size)
    return frame.repeat(1, 1, num_frames, 1, 1).reshape(num_clips, 3, num_frames * size, size)


def frames_of(strip):
    n, c, height, width = strip.shape
    return strip.reshape(n, c, height // width, width, width).unbind(2)


def test_every_frame_of_a_clip_gets_the_same_transform_and_clips_different_ones():
    strips = still_clips()
    first, *others = frames_of(pipe()(strips))
    assert all(torch.equal(first, frame) for frame in others)
    change = (first - frames_of(strips)[0]).mean([1, 2, 3])
    assert len(set(change.round(decimals=5).tolist())) == len(strips)


def test_the_next_call_draws_anew_as_often_as_the_pipe_itself_would():
    strips, image = still_clips(), still_clips(num_frames=1)
    torch.manual_seed(3)
    a, b = pipe()(strips), pipe()(strips)
    after_clips = torch.rand([])
    assert not torch.equal(a, b)
    torch.manual_seed(3)
    inner = pipe().pipe
    inner(image), inner(image)
    assert torch.equal(torch.rand([]), after_clips)


def test_p_is_the_buffer_of_the_pipe_inside():
    augment = pipe()
    augment.p.copy_(torch.as_tensor(0.0))
    strips = still_clips()
    assert torch.equal(augment(strips), strips)
    assert float(augment.pipe.p) == 0 and augment.p.shape == ()
    augment = copy.deepcopy(augment)
    augment.p.copy_((augment.p + 0.25).max(torch.zeros([])))
    assert float(augment.p) == 0.25


def test_r1_through_it_has_the_gradients_of_a_formula():
    """Mirroring and brightness move means by a constant, so that R1 of tanh(w . mean) is known."""
    strips = still_clips(num_clips=4).double().requires_grad_()
    weight = torch.rand(3, dtype=torch.float64, requires_grad=True)
    augmented = pipe()(strips)
    logits = (augmented.mean([2, 3]) @ weight).tanh()
    (gradient,) = torch.autograd.grad(logits.sum(), strips, create_graph=True)
    (found,) = torch.autograd.grad(gradient.square().sum(), weight)

    slopes = 1 - (augmented.detach().mean([2, 3]) @ weight).tanh().square()
    penalty = slopes.square().sum() * weight.square().sum() / strips[0, 0].numel()
    assert torch.allclose(gradient.square().sum(), penalty)
    assert torch.allclose(found, torch.autograd.grad(penalty, weight)[0])


def test_images_pass_as_clips_of_one_frame():
    image = still_clips(num_frames=1)
    torch.manual_seed(1)
    a = pipe()(image)
    torch.manual_seed(1)
    assert torch.equal(a, pipe().pipe(image))


def test_it_travels_in_snapshots():
    augment = pickle.loads(pickle.dumps(pipe()))
    assert augment.init_kwargs.pipe_class == PIPE
    assert augment(still_clips()).shape == (6, 3, 24, 8)


def test_a_strip_that_holds_no_square_frames_is_refused():
    with pytest.raises(ValueError, match="height 20 does not divide"):
        pipe()(torch.zeros(1, 3, 20, 8))
