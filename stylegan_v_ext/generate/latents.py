"""The file that holds a video as latents: content rows, and the noise that its motion comes from."""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stylegan_v_ext.documents import check_arrays, parse_json
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.networks.anchor_noise import NoiseSource, recorded_noise
from stylegan_v_ext.networks.generator import VideoGenerator

_KEYS = ("w", "motion", "first_anchor", "motion_seed", "times", "settings")


@dataclass(frozen=True)
class VideoLatents:
    """A video that was found or edited, not named by seeds alone.

    Attributes:
        w: Content rows `[1, num_ws, w_dim]`. The file has them under the key that StyleGAN2's tools read.
        motion: Noise eps `[K, motion_z_dim]` of K anchors; K may be 0.
        first_anchor: Number of the first of these anchors.
        motion_seed: Seed of the noise of all other anchors, so that the video goes on for ever.
        times: Times `[F]` of the frames that the video was made from, in frames of the training data.
        class_index: Class of a conditional network; None for a network without classes.
        settings: How the video was made, as plain values; people read them.
    """

    w: torch.Tensor
    motion: torch.Tensor
    first_anchor: int = 0
    motion_seed: int = 0
    times: np.ndarray = field(default_factory=lambda: np.zeros([0]))
    class_index: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def noise(self) -> NoiseSource:
        """Return the noise that the motion comes from."""
        return recorded_noise(self.motion, self.first_anchor, self.motion_seed)

    def save(self, path: str | Path) -> None:
        """Write a file that `load_latents` reads.

        Args:
            path: Name of the file, which ends in .npz.

        Raises:
            OSError: If the file cannot be written.
        """
        settings = json.dumps({**self.settings, "class_index": self.class_index})
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                w=self.w.cpu().numpy(),
                motion=self.motion.cpu().numpy(),
                first_anchor=self.first_anchor,
                motion_seed=np.uint64(self.motion_seed),
                times=self.times,
                settings=settings,
            )

    def check(self, generator: VideoGenerator, name: str) -> None:
        """Check that a generator can show these latents.

        Args:
            generator: A video generator.
            name: What the message calls the latents, such as their file.

        Raises:
            ValueError: If the latents are of another network.
        """
        network = generator.mapping.motion
        assert network is not None, "an image model has no motion"
        rows = 1, generator.num_ws, generator.w_dim
        z_dim, classes = network.z_dim, generator.num_classes
        if tuple(self.w.shape) != rows or self.motion.shape[1] != z_dim:
            raise ValueError(
                f"{name} holds w {list(self.w.shape)} and motion of {self.motion.shape[1]} values, the network takes "
                f"{list(rows)} and {z_dim}; use the network it was made with"
            )
        if (self.class_index is None) != (classes == 0) or (self.class_index or 0) >= max(classes, 1):
            raise ValueError(
                f"{name} is of class {self.class_index}, the network has {classes} classes; use the network it was "
                "made with"
            )


def load_latents(path: str | Path) -> VideoLatents:
    """Read a file of `VideoLatents.save`. Nothing in it is executed.

    Args:
        path: Name of the file.

    Returns:
        The video, on the CPU.

    Raises:
        ValueError: If there is no such file, or if it holds anything else.
    """
    try:
        check_arrays(Path(path))
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in _KEYS if key not in file]
            if missing:
                raise ValueError(f"no {', '.join(missing)}")
            settings = parse_json(str(file["settings"]))
            w, motion, times = (np.asarray(file[key], dtype=np.float64) for key in ("w", "motion", "times"))
            first, seed = int(file["first_anchor"]), int(file["motion_seed"])
            index = settings.pop("class_index")
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; give a file that `stylegan-v project` or `edit` wrote") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} holds no video latents ({error}); give a file of `stylegan-v project`") from None
    sound = w.ndim == 3 and motion.ndim == 2 and times.ndim == 1 and (index is None or isinstance(index, int))
    if not sound or not all(np.isfinite(array).all() for array in (w, motion, times)):
        raise ValueError(f"{path} holds no video latents (odd shapes or values); give a file of `stylegan-v project`")
    return VideoLatents(
        torch.from_numpy(w).float(),
        torch.from_numpy(motion),
        first,
        seed,
        times,
        index,
        settings,
    )
