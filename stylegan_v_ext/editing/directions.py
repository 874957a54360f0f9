"""Directions found without labels: what a network varies most, in content and in motion.

"sefa": eigenvectors of the weights that w meets first (SeFa, arXiv 2007.06600). "pca": principal
components of w over random contents (GANSpace, arXiv 2004.02546). "motion": principal components of the
motion vectors v(t) over random motions and moments, weighted by how strongly the 4x4 input answers them.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stylegan_v_ext.documents import check_arrays, parse_json
from stylegan_v_ext.editing.style_space import style_layers
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler
from stylegan_v_ext.networks.generator import VideoGenerator

METHODS = ("sefa", "pca", "motion")
_SAMPLES = 4096
_MOTIONS, _MOMENTS = 64, 64


@dataclass(frozen=True)
class Directions:
    """kind: "content" or "motion", what the vectors are added to. vectors: `[N, w_dim]`, one standard
    deviation of random w (or v) long each. shares: `[N]`, of the variance, or of the squared weights.
    """

    kind: str
    method: str
    vectors: torch.Tensor
    shares: list[float]

    def save(self, path: str | Path) -> None:
        about = json.dumps(dict(kind=self.kind, method=self.method, shares=self.shares))
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, vectors=self.vectors.numpy(), about=about)


def find_directions(sampler: VideoSampler, method: str, count: int, class_index: int | None = None) -> Directions:
    """The first `count` directions. Raises `ValueError` for a method that is none or more than there are."""
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
    """`[_SAMPLES, w_dim]`."""
    random = np.random.RandomState(0).randn(_SAMPLES, sampler.generator.z_dim)
    z = torch.from_numpy(random).to(sampler.device, torch.float32)
    return sampler.generator.mapping(z, sampler.classes(class_index).expand(_SAMPLES, -1))[:, 0].cpu().double()


def _sefa(sampler: VideoSampler, w: torch.Tensor, count: int) -> Directions:
    """Eigenvectors of A^T A, A the affine weights of all convolutions below one another, each row of unit length."""
    synthesis = sampler.generator.synthesis
    parts = []
    for layer in style_layers(sampler.generator):
        block, name = layer.name.split(".")
        weight = getattr(getattr(synthesis, block), name).affine.weight[: layer.stop - layer.start]
        parts.append(torch.nn.functional.normalize(weight.cpu().double(), dim=1))
    values, vectors = torch.linalg.eigh(torch.cat(parts).mT @ torch.cat(parts))
    return _scaled("content", "sefa", values, vectors, w, count)


def _pca(w: torch.Tensor, count: int) -> Directions:
    values, vectors = torch.linalg.eigh(w.mT.cov())
    return _scaled("content", "pca", values, vectors, w, count)


def _of_motion(sampler: VideoSampler, count: int, class_index: int | None) -> Directions:
    """Eigenvectors of M C M, C the covariance of v and M^2 the input's response, mapped back to v."""
    span = sampler.generator.mapping.motion.distance * 64
    moments = torch.from_numpy(np.random.RandomState(0).uniform(0, span, _MOMENTS)).sort().values
    v = torch.cat([sampler.motion(VideoName(0, seed, class_index))(moments) for seed in range(_MOTIONS)])
    v = v.cpu().double()
    weight = getattr(sampler.generator.synthesis, "b4").conv1.weight.detach()  # noqa: B009
    # v is the same all over the 4x4 input.
    kernel = weight[:, -sampler.generator.synthesis.motion_dim :].cpu().double().sum([2, 3])
    values, vectors = torch.linalg.eigh(kernel.mT @ kernel)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    values, vectors = torch.linalg.eigh(root @ v.mT.cov() @ root)
    # Along C M x the response has the component x; in the span of motions that occur.
    return _scaled("motion", "motion", values, v.mT.cov() @ root @ vectors, v, count)


def _scaled(
    kind: str, method: str, values: torch.Tensor, vectors: torch.Tensor, samples: torch.Tensor, count: int
) -> Directions:
    """The last vectors first, each as long as the samples spread along it, its largest entry positive."""
    chosen = torch.nn.functional.normalize(vectors.flip(1)[:, :count].mT, dim=1)
    chosen = chosen * chosen.gather(1, chosen.abs().argmax(1, keepdim=True)).sign()
    spread = (samples @ chosen.mT).std(0)
    shares = (values.flip(0)[:count] / values.clamp(min=0).sum()).tolist()
    return Directions(kind, method, (chosen * spread[:, None]).float(), shares)


def load_directions(path: str | Path) -> Directions:
    """A file of `Directions.save`. Raises `ValueError` for anything else."""
    try:
        check_arrays(Path(path))
        with np.load(path, allow_pickle=False) as file:
            about = parse_json(str(file["about"]))
            vectors = torch.from_numpy(np.asarray(file["vectors"], dtype=np.float32))
        found = Directions(str(about["kind"]), str(about["method"]), vectors, [float(x) for x in about["shares"]])
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; make it with `stylegan-v directions`") from None
    except Exception as error:  # whatever else the file is
        raise ValueError(
            f"{path} holds no directions ({type(error).__name__}); make it with `stylegan-v directions`"
        ) from None
    if found.kind not in ("content", "motion") or vectors.ndim != 2 or not torch.isfinite(vectors).all():
        raise ValueError(f"{path} holds no directions (odd values); make it with `stylegan-v directions`")
    return found


def load_direction(name: str, generator: VideoGenerator) -> tuple[str, torch.Tensor]:
    """(kind, vector `[w_dim]`) of a direction `FILE:NUMBER` for a generator. Raises `ValueError`."""
    path, _, number = name.rpartition(":")
    if not path or not re.fullmatch("[0-9]{1,9}", number):
        raise ValueError(f"direction {name!r} is not FILE:NUMBER, such as directions.npz:0")
    found = load_directions(path)
    if int(number) >= len(found.vectors):
        raise ValueError(f"direction {number}: {path} holds 0 to {len(found.vectors) - 1}")
    if found.vectors.shape[1] != generator.w_dim:
        raise ValueError(
            f"{path} is for w of {found.vectors.shape[1]} values, this network has {generator.w_dim}; make directions "
            "of this network with `stylegan-v directions`"
        )
    return found.kind, found.vectors[int(number)]
