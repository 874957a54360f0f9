"""The parts of the call, in the order of their value, and what each of them is told."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CARRY = ROOT / "gpu-carry"  # what benchmarks/gpu_carry.sh prepares


@dataclass(frozen=True)
class Part:
    """A part of the call: `run(settings, findings)` in benchmarks/gpu/parts/NAME.py.

    Args:
        what: What it does, in a few words.
        seconds: Its limit on a GPU machine.
        rehearsal: Its share of a rehearsal's time, in the same unit for all parts.
    """

    name: str
    what: str
    seconds: float
    rehearsal: float


PARTS = (
    Part("doctor", "kernels compile and agree with their references", 40, 10),
    Part("correct", "the device tests: golden numbers, gradients, float16, resume", 90, 16),
    Part("ops", "kernels beside a copy and beside stock kernels", 60, 5),
    Part("step", "a training step at full size: time, memory, longest kernels", 120, 25),
    Part("generate", "frames a second, with and without an encoder", 40, 7),
    Part("learn", "two short trainings: losses, augmentation, pictures", 150, 13),
    Part("many", "several processes: NCCL and gloo agree", 30, 7),
    Part("data", "clips a second of the data set, beside the training step", 30, 6),
)
LANES = 2  # parts at the same time in a rehearsal
TINY_LATENTS = {"latent_dim": 32, "motion_z_dim": 32}  # fields of `TrainOptions` in rehearsals
NAMES = tuple(part.name for part in PARTS)


@dataclass(frozen=True)
class Settings:
    """What a part's process is told.

    Args:
        device: "cuda" or "cpu".
        rehearse: Take tiny sizes; the figures mean nothing then.
        folder: The part's own folder, for files that nobody keeps.
        shared: Folder of all parts, for data sets and compiled kernels.
        carry: Folder with real clips and reference checkouts; it may be missing.
        ends: The time, as `time.time()` counts it, at which the process is ended.
        machine: What `benchmarks.gpu.machine` has seen; empty if it saw nothing.
    """

    device: str
    rehearse: bool
    folder: Path
    shared: Path
    carry: Path
    ends: float
    machine: dict[str, Any]

    def seconds_left(self, keep: float = 0) -> float:
        """Seconds until the end, less those to keep; never negative."""
        return max(self.ends - time.time() - keep, 0.0)

    def reference(self, name: str) -> Path | None:
        """A reference checkout, or None if it is not at hand."""
        folder = self.carry / "references" / name
        return folder.resolve() if folder.is_dir() else None

    def to_json(self) -> str:
        return json.dumps(
            {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        )

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        values = json.loads(text)
        return cls(**values | {key: Path(values[key]) for key in ("folder", "shared", "carry")})


def limit(part: Part, later: list[Part], seconds: float) -> float:
    """Seconds that a part may take: its share of what is left, and no more than its own limit.

    Args:
        later: The parts that come after it.
        seconds: What is left for all of them.
    """
    share = seconds * part.seconds / (part.seconds + sum(other.seconds for other in later))
    return min(share, part.seconds)


def rehearsal_limit(part: Part, parts: list[Part], seconds: float) -> float:
    """Seconds that a part may take in a rehearsal, in which `LANES` parts run at the same time.

    That is half as much again as its share, because one slow or hanging part leaves the other lane free.

    Args:
        parts: All parts that run.
        seconds: What there is for all of them.
    """
    return 1.5 * LANES * seconds * part.rehearsal / sum(other.rehearsal for other in parts)
