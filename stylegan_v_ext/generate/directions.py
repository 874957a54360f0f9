"""The file that holds directions in content or motion, which `--direction` follows."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stylegan_v_ext.documents import check_arrays, parse_json
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.networks.generator import VideoGenerator


@dataclass(frozen=True)
class Directions:
    """Directions that a network varies in.

    Attributes:
        kind: "content" if the vectors are added to w, "motion" if they are added to motion vectors.
        method: How they were found, an element of `editing.directions.METHODS`.
        vectors: `[N, w_dim]`, each as long as one standard deviation of random w, or of random motion vectors.
        shares: Share `[N]` of each direction in the variance, or in the squared weights.
    """

    kind: str
    method: str
    vectors: torch.Tensor
    shares: list[float]

    def save(self, path: str | Path) -> None:
        """Write a file that `load_directions` reads.

        Args:
            path: Name of the file, which ends in .npz.
        """
        about = json.dumps(dict(kind=self.kind, method=self.method, shares=self.shares))
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, vectors=self.vectors.numpy(), about=about)


def load_directions(path: str | Path) -> Directions:
    """Read a file of `Directions.save`. Nothing in it is executed.

    Args:
        path: Name of the file.

    Returns:
        The directions, on the CPU.

    Raises:
        ValueError: If there is no such file, or if it holds anything else.
    """
    try:
        check_arrays(Path(path))
        with np.load(path, allow_pickle=False) as file:
            about = parse_json(str(file["about"]))
            vectors = torch.from_numpy(np.asarray(file["vectors"], dtype=np.float32))
        found = Directions(str(about["kind"]), str(about["method"]), vectors, [float(x) for x in about["shares"]])
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; make it with `stylegan-v directions`") from None
    except Exception as error:  # other files fail in many ways
        raise ValueError(
            f"{path} holds no directions ({type(error).__name__}); make it with `stylegan-v directions`"
        ) from None
    if found.kind not in ("content", "motion") or vectors.ndim != 2 or not torch.isfinite(vectors).all():
        raise ValueError(f"{path} holds no directions (odd values); make it with `stylegan-v directions`")
    return found


def load_direction(name: str, generator: VideoGenerator) -> tuple[str, torch.Tensor]:
    """Read one direction for a generator.

    Args:
        name: File and number, such as "directions.npz:0".
        generator: The network that will follow the direction.

    Returns:
        Kind of the direction, "content" or "motion", and its vector `[w_dim]`.

    Raises:
        ValueError: If the name is of another form, if the file cannot be read or has no such number, or if it is of
            another network.
    """
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
