"""Content and motion as functions of time, and what can be done to them.

A video is content, which decides what is seen, and motion, which decides how it moves (StyleGAN-V, section 3). A
generator makes frames of the two. Every function here takes content or motion and returns a new function of time, so
that they can be combined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.interpolate
import torch

from stylegan_v_ext.networks.anchor_noise import NoiseSource, looped_noise
from stylegan_v_ext.networks.motion import MotionNetwork

Content = Callable[[torch.Tensor], torch.Tensor]
"""Frame numbers `[F]` of the result, from 0 -> content rows `[F, num_ws, w_dim]`, or `[1, ...]` if all are equal."""

Motion = Callable[[torch.Tensor], torch.Tensor]
"""Times `[F]`, float64, in frames of the training data -> motion vectors `[F, w_dim]`."""

Schedule = Callable[[torch.Tensor], torch.Tensor]
"""Frame numbers `[F]` of the result -> a value for each, `[F]`, or `[1]` if all are equal."""

_MEAN_ANCHORS = 64


@dataclass(frozen=True)
class Scene:
    """Content and motion, which the frames of a video are computed from.

    Attributes:
        content: What is seen.
        motion: How it moves.
    """

    content: Content
    motion: Motion


def constant(value: float) -> Schedule:
    """Return a schedule with the same value in every frame."""
    return lambda frames: torch.tensor([value], dtype=torch.float32)


def keyframes(points: Sequence[tuple[float, float]]) -> Schedule:
    """Return a schedule of straight lines between points.

    Args:
        points: (frame, value) pairs by ascending frame. The first value holds before them, the last value after them.
    """
    if len(points) == 1:
        return constant(points[0][1])
    x, y = zip(*points, strict=True)
    return lambda frames: torch.from_numpy(np.interp(frames.cpu().numpy(), x, y)).float()


# Content


def still(rows: torch.Tensor) -> Content:
    """Return a track with the same content `[1, num_ws, w_dim]` in every frame."""
    return lambda frames: rows


def through(contents: Sequence[torch.Tensor], num_frames: int, *, closed: bool = False) -> Content:
    """Return a smooth path in w through several contents: a cubic spline, a straight line between two contents.

    Args:
        contents: Content rows `[1, num_ws, w_dim]` of each stop; the stops are evenly spaced in time.
        num_frames: Length of the path in frames.
        closed: Whether the path comes back to the first content after the last frame, for loops.
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
    """Mix styles (StyleGAN, section 3.1).

    Args:
        first: Content that all other rows come from.
        second: Content that `rows` move to.
        rows: Content rows that are mixed.
        weight: Share of the second content, 0 to 1, by frame.
    """

    def content(frames: torch.Tensor) -> torch.Tensor:
        ours, theirs = torch.broadcast_tensors(first(frames), second(frames))
        share = weight(frames).to(ours, non_blocking=True)[:, None, None]
        ours = ours.expand(max(len(ours), len(share)), -1, -1).clone()
        ours[:, rows] = ours[:, rows].lerp(theirs[:, rows].expand_as(ours[:, rows]), share.expand_as(ours[:, rows]))
        return ours

    return content


def truncated(content: Content, centre: torch.Tensor, psi: Schedule) -> Content:
    """Pull content towards a centre (StyleGAN, appendix B).

    Args:
        content: What is pulled.
        centre: Mean of w, `[w_dim]`.
        psi: Share of the distance that is left, by frame: 1 leaves content as it is, 0 is the centre.
    """

    def pulled(frames: torch.Tensor) -> torch.Tensor:
        rows = content(frames)
        return centre + psi(frames).to(rows, non_blocking=True)[:, None, None] * (rows - centre)

    return pulled


def moved(content: Content, direction: torch.Tensor, strength: Schedule) -> Content:
    """Return content plus strength times a direction.

    Args:
        content: Where to start from.
        direction: Vector `[w_dim]` or `[num_ws, w_dim]`.
        strength: How far to go, by frame.
    """

    def shifted(frames: torch.Tensor) -> torch.Tensor:
        rows = content(frames)
        return rows + strength(frames).to(rows, non_blocking=True)[:, None, None] * direction.to(rows)

    return shifted


def rows_of(low: int, high: int, num_ws: int) -> slice:
    """Return the content rows that the layers of some resolutions read first.

    Args:
        low: Smallest resolution, in pixels.
        high: Largest resolution, in pixels.
        num_ws: Number of all content rows of the network.

    Raises:
        ValueError: If the network has no such layers.
    """
    top = 2 ** (num_ws // 2 + 1)
    if low > high or low > top or any(r < 4 or r & (r - 1) for r in (low, high)):
        raise ValueError(f"layers {low}-{high} are none of this network's; it has the powers of two from 4 to {top}")
    first, last = (2 * (resolution.bit_length() - 3) for resolution in (low, high))
    start, stop = max(first - 1, 0), last + 1
    return slice(start, num_ws if stop >= num_ws - 1 else stop)


# Motion


def network_motion(network: MotionNetwork, classes: torch.Tensor, noise: NoiseSource) -> Motion:
    """Return the motion that a network makes of noise.

    Args:
        network: Motion network of a generator.
        classes: Class part `[1, K]` of the label.
        noise: Noise of the anchors.
    """
    return lambda times: network(times[None], classes, noise)[0]


def looped_motion(network: MotionNetwork, classes: torch.Tensor, noise: NoiseSource, length: float) -> Motion:
    """Return a motion that comes back to its start, and is as smooth there as anywhere.

    The noise repeats after a whole number of anchors, and time runs from anchor 0 to there again and again: a motion
    vector is continuous at anchors and equals B u there (StyleGAN-V, section 3), so that the end meets the start.
    Time is stretched so that the anchors fit the length; the change is smallest near multiples of the motion distance.

    Args:
        network: Motion network of a generator.
        classes: Class part `[1, K]` of the label.
        noise: Noise of the anchors.
        length: Time after which the motion comes back, in frames of the training data.

    Raises:
        ValueError: If the network is an LSTM, which never comes back.
    """
    if network.strategy == "lstm":
        raise ValueError("loops need the 'conv' motion strategy; an LSTM never comes back to where it was")
    anchors = max(round(length / network.distance), 1)
    stretch = anchors * network.distance / length
    motion = network_motion(network, classes, looped_noise(noise, anchors))
    return lambda times: motion((times % length) * stretch)


def mean_motion(motion: Motion, distance: float) -> torch.Tensor:
    """Return what a motion moves around, `[w_dim]`: its mean over the first anchors.

    Args:
        motion: The motion.
        distance: Distance between anchors, in frames of the training data.
    """
    return motion(torch.arange(_MEAN_ANCHORS, dtype=torch.float64) * distance).mean(0)


def amplified(motion: Motion, gain: float, centre: torch.Tensor) -> Motion:
    """Return a motion with larger or smaller movements.

    Args:
        motion: The motion.
        gain: Factor of all movements: above 1 they are larger, at 0 nothing moves.
        centre: What the motion moves around, `[w_dim]`.
    """
    return lambda times: centre + gain * (motion(times) - centre)


def shifted(motion: Motion, offset: torch.Tensor) -> Motion:
    """Return a motion v(t) + offset, with an offset `[w_dim]`."""
    return lambda times: motion(times) + offset
