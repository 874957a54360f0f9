"""Statistics of a stream of features: sums for mean and covariance, or the features themselves."""

from collections.abc import Callable

import numpy as np
import torch

from stylegan_v_ext.distributed import Processes

_ROWS_AT_ONCE = 256


class Moments:
    """Sums over features `[N, D]`, from which mean and covariance follow. Memory does not grow with N.

    The sums are in float64, around the first feature vector, so that no digits cancel if features are far from zero
    and close together.
    """

    def __init__(self) -> None:
        self.count = 0
        self._origin: torch.Tensor | None = None
        self._total = self._outer = torch.empty(0, dtype=torch.float64)
        self._waiting: list[torch.Tensor] = []

    def add(self, features: torch.Tensor) -> None:
        """Add features `[N, D]`."""
        features = features.detach().to("cpu", torch.float64)
        if self._origin is None:
            self._origin = features[0].clone()
            self._total = torch.zeros_like(self._origin)
            self._outer = features.new_zeros([len(self._origin)] * 2)
        self.count += len(features)
        self._waiting.append(features - self._origin)
        if sum(map(len, self._waiting)) >= _ROWS_AT_ONCE:
            self._add_waiting()

    def _add_waiting(self) -> None:
        """Add the features that wait to the sums: one large product of matrices is quicker than many small products."""
        if self._waiting:
            features = torch.cat(self._waiting)
            self._waiting.clear()
            self._total += features.sum(0)
            self._outer.addmm_(features.mT, features)

    def merge(self, other: "Moments") -> None:
        """Add the sums of another object, which has seen other features."""
        self._add_waiting()
        other._add_waiting()
        if other._origin is None:
            return
        if self._origin is None:
            self.count, self._origin = other.count, other._origin.clone()
            self._total, self._outer = other._total.clone(), other._outer.clone()
            return
        shift = other._origin - self._origin  # x - a = (x - b) + (b - a)
        cross = torch.outer(other._total, shift)
        self._outer += other._outer + cross + cross.mT + other.count * torch.outer(shift, shift)
        self._total += other._total + other.count * shift
        self.count += other.count

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean `[D]` and covariance `[D, D]`, divided by N."""
        assert self._origin is not None, "nothing was counted"
        self._add_waiting()
        mean = self._total / self.count
        return (self._origin + mean).numpy(), (self._outer / self.count - torch.outer(mean, mean)).numpy()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the sums as arrays for `np.savez`."""
        assert self._origin is not None, "nothing was counted"
        self._add_waiting()
        sums = dict(origin=self._origin, total=self._total, outer=self._outer)
        return {"count": np.array(self.count)} | {name: value.numpy() for name, value in sums.items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Moments":
        """Make an object from the result of `to_arrays`.

        Args:
            arrays: Arrays by name, perhaps damaged.

        Returns:
            The object.

        Raises:
            ValueError: If the shapes do not fit.
            KeyError: If an array is missing.
        """
        moments = cls()
        origin, total, outer = (torch.from_numpy(arrays[name]) for name in ("origin", "total", "outer"))
        if not (origin.ndim == 1 and total.shape == origin.shape and outer.shape == (len(origin),) * 2):
            raise ValueError("no moments")
        moments.count, moments._origin = int(arrays["count"]), origin
        moments._total, moments._outer = total, outer
        return moments


class Features:
    """All feature vectors, by the number of the clip or frame they belong to."""

    def __init__(self) -> None:
        self._parts: dict[int, np.ndarray] = {}

    def add(self, number: int, features: torch.Tensor) -> None:
        """Keep features `[N, D]` of the item of this number."""
        self._parts[number] = features.detach().cpu().numpy()

    def merge(self, other: "Features") -> None:
        """Add the features that another object has kept."""
        self._parts |= other._parts

    def array(self) -> np.ndarray:
        """Return all features `[N, D]`, in the order of their numbers."""
        return np.concatenate([self._parts[number] for number in sorted(self._parts)])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the features as an array for `np.savez`."""
        return {"features": self.array()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "Features":
        """Make an object from the result of `to_arrays`.

        Args:
            arrays: Arrays by name, perhaps damaged.

        Returns:
            The object.

        Raises:
            ValueError: If the shapes do not fit.
            KeyError: If an array is missing.
        """
        kept = cls()
        if arrays["features"].ndim != 2:
            raise ValueError("no features")
        kept._parts[0] = arrays["features"]
        return kept


Statistics = Moments | Features


def merged(own: Statistics, processes: Processes, make: Callable[[], Statistics]) -> Statistics:
    """Merge the statistics of all processes; the result has the same bits in each process.

    Args:
        own: Statistics of this process.
        processes: All processes; each of them calls this.
        make: Makes empty statistics of the same kind.

    Returns:
        Statistics of all features.
    """
    if processes.count == 1:
        return own
    parts: list = [None] * processes.count
    torch.distributed.all_gather_object(parts, own)
    total = make()
    for part in parts:
        total.merge(part)  # type: ignore[arg-type]
    return total
