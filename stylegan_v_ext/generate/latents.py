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

_KEYS = ("w", "motion", "first_anchor", "motion_seed", "times", "settings")


@dataclass(frozen=True)
class VideoLatents:
    """A video that was found or edited, not named by seeds alone.

    Attributes:
        w: Content rows `[1, num_ws, w_dim]`, under that key for StyleGAN2's tools too.
        motion: Noise eps `[K, motion_z_dim]` of the anchors from `first_anchor` on, K = 0 for none; all other anchors
            have the noise of `motion_seed`, so that the video goes on for ever.
        times: `[F]`, of the frames that it was made from, in frames.
        class_index: `None` without classes.
        settings: Plain values, for people.
    """

    w: torch.Tensor
    motion: torch.Tensor
    first_anchor: int = 0
    motion_seed: int = 0
    times: np.ndarray = field(default_factory=lambda: np.zeros([0]))
    class_index: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def noise(self) -> NoiseSource:
        """The noise of its motion."""
        return recorded_noise(self.motion, self.first_anchor, self.motion_seed)

    def save(self, path: str | Path) -> None:
        """Write a `.npz` file."""
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

    def check(self, generator: Any, name: str) -> None:
        """Raise `ValueError` unless a generator can show these latents."""
        rows = 1, generator.num_ws, generator.w_dim
        z_dim, classes = generator.mapping.motion.z_dim, generator.num_classes
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
    """Read a file of `VideoLatents.save`. Raises `ValueError` for anything else; nothing in it is executed."""
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
