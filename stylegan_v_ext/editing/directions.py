"""Directions found without labels: what a network varies most, in content and in motion.

"sefa": eigenvectors of the weights that read w (SeFa, arXiv 2007.06600). "pca": principal components of w over random
contents (GANSpace, arXiv 2004.02546). "motion": principal components of the motion vectors v(t) over random motions
and moments, weighted by how strongly the 4x4 input answers them.
"""

from collections.abc import Sequence

import numpy as np
import torch

from stylegan_v_ext.editing.style_space import affine_layer, style_layers
from stylegan_v_ext.execution import execution
from stylegan_v_ext.generate.directions import Directions
from stylegan_v_ext.generate.layout import Layout
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, to_uint8

METHODS = ("sefa", "pca", "motion")
_SAMPLES = 4096
_MOTIONS, _MOMENTS = 64, 64
_COLUMNS = 7  # of a drawing


@execution(tf32=False)  # numbers of 32 bits stay numbers of 32 bits on GPUs
def find_directions(sampler: VideoSampler, method: str, count: int, class_index: int | None = None) -> Directions:
    """Find what a network varies most.

    Args:
        sampler: Sampler of the network.
        method: "sefa", "pca" or "motion", see the head of this module.
        count: How many directions, the strongest first.
        class_index: Class of a conditional network; None for a network without classes.

    Returns:
        The directions, on the CPU.

    Raises:
        ValueError: If there is no such method, or if the network has fewer directions.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")
    if not 1 <= count <= sampler.generator.w_dim:
        raise ValueError(f"{count} directions; the network has 1 to {sampler.generator.w_dim}")
    with torch.no_grad():
        if method == "motion":
            return _of_motion(sampler, count, class_index)
        w = _random_w(sampler, class_index)
        return _sefa(sampler, w, count) if method == "sefa" else _pca(w, count)


def _random_w(sampler: VideoSampler, class_index: int | None) -> torch.Tensor:
    """Return w of random contents, `[_SAMPLES, w_dim]`."""
    random = np.random.RandomState(0).randn(_SAMPLES, sampler.generator.z_dim)
    z = torch.from_numpy(random).to(sampler.device, torch.float32)
    return sampler.generator.mapping(z, sampler.classes(class_index).expand(_SAMPLES, -1))[:, 0].cpu().double()


def _sefa(sampler: VideoSampler, w: torch.Tensor, count: int) -> Directions:
    """Return eigenvectors of A^T A.

    A holds the affine weights of all convolutions below one another, each row scaled to unit length.
    """
    parts = []
    for layer in style_layers(sampler.generator):
        weight = affine_layer(sampler.generator, layer).weight[: layer.stop - layer.start]
        parts.append(torch.nn.functional.normalize(weight.cpu().double(), dim=1))
    values, vectors = torch.linalg.eigh(torch.cat(parts).mT @ torch.cat(parts))
    return _scaled("content", "sefa", values, vectors, w, count)


def _pca(w: torch.Tensor, count: int) -> Directions:
    """Return principal components of w `[_SAMPLES, w_dim]`."""
    values, vectors = torch.linalg.eigh(w.mT.cov())
    return _scaled("content", "pca", values, vectors, w, count)


def _of_motion(sampler: VideoSampler, count: int, class_index: int | None) -> Directions:
    """Return eigenvectors of M C M, mapped back to v: C is the covariance of v, M^2 the response of the 4x4 input."""
    motion = sampler.generator.mapping.motion
    assert motion is not None, "an image model has no motion"
    span = motion.distance * 64
    moments = torch.from_numpy(np.random.RandomState(0).uniform(0, span, _MOMENTS)).sort().values
    v = torch.cat([sampler.motion(VideoName(0, seed, class_index))(moments) for seed in range(_MOTIONS)])
    v = v.cpu().double()
    synthesis = sampler.generator.synthesis
    weight = synthesis.get_parameter("b4.conv1.weight").detach()
    # v is the same all over the 4x4 input.
    kernel = weight[:, -synthesis.motion_dim :].cpu().double().sum([2, 3])
    values, vectors = torch.linalg.eigh(kernel.mT @ kernel)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    values, vectors = torch.linalg.eigh(root @ v.mT.cov() @ root)
    # Along C M x, which is in the span of motions that occur, the response has the component x.
    return _scaled("motion", "motion", values, v.mT.cov() @ root @ vectors, v, count)


def _scaled(
    kind: str, method: str, values: torch.Tensor, vectors: torch.Tensor, samples: torch.Tensor, count: int
) -> Directions:
    """Return the last vectors first, each as long as the samples spread along it, its largest entry positive."""
    chosen = torch.nn.functional.normalize(vectors.flip(1)[:, :count].mT, dim=1)
    chosen = chosen * chosen.gather(1, chosen.abs().argmax(1, keepdim=True)).sign()
    spread = (samples @ chosen.mT).std(0)
    shares = (values.flip(0)[:count] / values.clamp(min=0).sum()).tolist()
    return Directions(kind, method, (chosen * spread[:, None]).float(), shares)


@execution(tf32=False)  # numbers of 32 bits stay numbers of 32 bits on GPUs
def draw_directions(
    sampler: VideoSampler,
    directions: Directions,
    *,
    seeds: Sequence[int] = (0,),
    reach: float = 3.0,
    class_index: int | None = None,
) -> np.ndarray:
    """Draw what directions do: a row for each direction and seed, from minus to plus.

    Args:
        sampler: Sampler of the network that the directions are of.
        directions: What `find_directions` returned.
        seeds: Seeds of the contents that are moved.
        reach: Standard deviations to either side.
        class_index: Class of a conditional network; None for a network without classes.

    Returns:
        A picture uint8 `[H, W, C]`. The middle column shows the contents as they are.
    """
    steps = np.linspace(-reach, reach, _COLUMNS)
    images: list[np.ndarray] = []
    labels: list[str] = []
    for number, vector in enumerate(directions.vectors.to(sampler.device)):
        for seed in seeds:
            name = VideoName(seed, None, class_index)
            with torch.inference_mode():
                content = sampler.content(name).expand(len(steps), -1, -1)
                motion = sampler.motion(name)(torch.zeros(1, dtype=torch.float64)).float().expand(len(steps), -1)
                shift = torch.from_numpy(steps).to(vector)[:, None] * vector
                if directions.kind == "content":
                    content = content + shift[:, None]
                else:
                    motion = motion + shift
                images += list(to_uint8(sampler.synthesize(content, motion)))
            labels += [f"{number}: {step:+.0f}" for step in steps]
    return Layout(len(steps), padding=2, labels=labels).compose(images)
