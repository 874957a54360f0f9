"""Content and motion as functions of time, and what can be done to them.

A video is content, which decides what is seen, and motion, which decides how it moves (StyleGAN-V,
section 3.1); a generator makes frames of the two. Every tool here takes such functions and returns
one, so that tools combine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.interpolate
import torch

from stylegan_v_ext.networks.anchor_noise import NoiseSource, looped_noise
from stylegan_v_ext.networks.motion import MotionNetwork

Content = Callable[[torch.Tensor], torch.Tensor]
"""Frame numbers `[F]` of the result, from 0 -> content rows `[F, num_ws, w_dim]`, or one where all are equal."""

Motion = Callable[[torch.Tensor], torch.Tensor]
"""Times `[F]`, float64, in frames of the training data -> motion vectors `[F, w_dim]`."""

Schedule = Callable[[torch.Tensor], torch.Tensor]
"""Frame numbers `[F]` of the result -> a value for each `[F]`, or one `[1]` where all are equal."""

_MEAN_ANCHORS = 64


@dataclass(frozen=True)
class Video:
    """What the frames of a video are computed from."""

    content: Content
    motion: Motion


def constant(value: float) -> Schedule:
    return lambda frames: torch.tensor([value], dtype=torch.float32)


def keyframes(points: Sequence[tuple[float, float]]) -> Schedule:
    """Lines between (frame, value) points in ascending order, level before the first and after the last."""
    if len(points) == 1:
        return constant(points[0][1])
    x, y = zip(*points, strict=True)
    return lambda frames: torch.from_numpy(np.interp(frames.cpu().numpy(), x, y)).float()


# Content


def still(rows: torch.Tensor) -> Content:
    """The same content `[1, num_ws, w_dim]` in every frame."""
    return lambda frames: rows


def through(contents: Sequence[torch.Tensor], num_frames: int, closed: bool = False) -> Content:
    """A smooth path in w through several contents `[1, num_ws, w_dim]`, evenly spaced over `num_frames`.

    Args:
        closed: Come back to the first after the last frame, for loops. A cubic spline; a straight line between two
            contents.
    """
    stops = torch.cat([*contents, contents[0]] if closed else list(contents)).cpu().numpy()
    length = num_frames if closed else max(num_frames - 1, 1)
    knots = np.linspace(0, length, len(stops))
    spline = scipy.interpolate.CubicSpline(knots, stops, bc_type="periodic" if closed else "natural")

    def content(frames: torch.Tensor) -> torch.Tensor:
        at = frames.cpu().numpy() % length if closed else frames.cpu().numpy()
        return torch.from_numpy(spline(at)).to(contents[0], non_blocking=True)

    return content


def mixed(first: Content, second: Content, rows: slice, weight: Schedule) -> Content:
    """Style mixing: `rows` move from the first content's to the second's as the weight goes from 0 to 1."""

    def content(frames: torch.Tensor) -> torch.Tensor:
        a, b = torch.broadcast_tensors(first(frames), second(frames))
        share = weight(frames).to(a, non_blocking=True)[:, None, None]
        a = a.expand(max(len(a), len(share)), -1, -1).clone()
        a[:, rows] = a[:, rows].lerp(b[:, rows].expand_as(a[:, rows]), share.expand_as(a[:, rows]))
        return a

    return content


def truncated(content: Content, centre: torch.Tensor, psi: Schedule) -> Content:
    """Pull content towards `centre` `[w_dim]`: psi 1 leaves it, 0 is the average (StyleGAN, appendix B)."""

    def pulled(frames: torch.Tensor) -> torch.Tensor:
        rows = content(frames)
        return centre + psi(frames).to(rows, non_blocking=True)[:, None, None] * (rows - centre)

    return pulled


def moved(content: Content, direction: torch.Tensor, strength: Schedule) -> Content:
    """Content plus strength times a direction `[w_dim]` or `[num_ws, w_dim]`."""

    def shifted(frames: torch.Tensor) -> torch.Tensor:
        rows = content(frames)
        return rows + strength(frames).to(rows, non_blocking=True)[:, None, None] * direction.to(rows)

    return shifted


def rows_of(low: int, high: int, num_ws: int) -> slice:
    """Content rows that the layers of resolutions `low` to `high` read first."""
    top = 2 ** (num_ws // 2 + 1)
    if low > high or low > top or any(r < 4 or r & (r - 1) for r in (low, high)):
        raise ValueError(f"layers {low}-{high} are none of this network's; it has the powers of two from 4 to {top}")
    first, last = (2 * (resolution.bit_length() - 3) for resolution in (low, high))
    start, stop = max(first - 1, 0), last + 1
    return slice(start, num_ws if stop >= num_ws - 1 else stop)


# Motion


def network_motion(network: MotionNetwork, classes: torch.Tensor, noise: NoiseSource) -> Motion:
    """The motion that a network makes of noise.

    Args:
        classes: Class part `[1, K]`.
    """
    return lambda times: network(times[None], classes, noise)[0]


def looped_motion(network: MotionNetwork, classes: torch.Tensor, noise: NoiseSource, length: float) -> Motion:
    """A motion that comes back to where it was after `length` frames, as smooth there as anywhere.

    The noise repeats after a whole number of anchors, and time runs from anchor 0 to there again and
    again: a motion vector is continuous at anchors and equals B u there, so the end meets the start.
    Time is stretched so that the anchors fit the length, least near multiples of the motion distance.
    Raises `ValueError` for an LSTM, which never comes back.
    """
    if network.strategy == "lstm":
        raise ValueError("loops need the 'conv' motion strategy; an LSTM never comes back to where it was")
    anchors = max(round(length / network.distance), 1)
    stretch = anchors * network.distance / length
    motion = network_motion(network, classes, looped_noise(noise, anchors))
    return lambda times: motion((times % length) * stretch)


def mean_motion(motion: Motion, distance: float) -> torch.Tensor:
    """What a motion moves around, `[w_dim]`: its mean over the first anchors."""
    return motion(torch.arange(_MEAN_ANCHORS, dtype=torch.float64) * distance).mean(0)


def amplified(motion: Motion, gain: float, centre: torch.Tensor) -> Motion:
    """Larger (gain over 1) or smaller movements around `centre` `[w_dim]`; 0 stands still."""
    return lambda times: centre + gain * (motion(times) - centre)


def shifted(motion: Motion, offset: torch.Tensor) -> Motion:
    """A motion in another place: v + offset `[w_dim]`."""
    return lambda times: motion(times) + offset
