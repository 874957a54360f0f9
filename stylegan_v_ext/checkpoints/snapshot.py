"""Network snapshots: `G, D, G_ema, augment_pipe, training_set_kwargs` in one pickle, as stylegan3 writes them."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import dnnlib
from stylegan_v_ext.checkpoints.reader import CheckpointError, Record, read_pickle
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.networks.generator import VideoGenerator

KEYS = ("G", "D", "G_ema", "augment_pipe", "training_set_kwargs")
_CLASSES = {
    "VideoGenerator": "stylegan_v_ext.networks.generator.VideoGenerator",
    "TimeConditionedDiscriminator": "stylegan_v_ext.networks.discriminator.TimeConditionedDiscriminator",
}


@dataclass
class Snapshot:
    """A snapshot file as data; networks are built when asked for."""

    path: Path
    content: dict[str, Any]

    @property
    def training_set_kwargs(self) -> dict[str, Any]:
        return dict(self.content.get("training_set_kwargs") or {})

    def build(self, key: str) -> torch.nn.Module:
        """Network `G`, `D` or `G_ema`, made from our own classes, on the CPU in eval mode."""
        record = self.content.get(key)
        if not isinstance(record, Record):
            raise CheckpointError(f"{self.path} holds no {key}")
        if record.class_name not in _CLASSES:
            known = ", ".join(_CLASSES)
            raise CheckpointError(f"{self.path}: {key} is a {record.class_name}; known classes are {known}")
        try:
            network = dnnlib.util.construct_class_by_name(
                *record.init_args, class_name=_CLASSES[record.class_name], **record.init_kwargs
            )
            network.load_state_dict(record.state_dict())
        except Exception as error:  # arguments and tensors are whatever the file says
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise CheckpointError(f"{self.path}: {key} does not fit its class here ({reason})") from None
        return network.eval().requires_grad_(False)

    def build_generator(self) -> VideoGenerator:
        """The averaged generator `G_ema`."""
        generator = self.build("G_ema")
        if not isinstance(generator, VideoGenerator):
            raise CheckpointError(f"{self.path}: G_ema is no generator")
        return generator


def load_snapshot(path: str | Path) -> Snapshot:
    """Open a snapshot without running anything in it. Raises `CheckpointError`."""
    content = read_pickle(path)
    if not isinstance(content, dict) or "G_ema" not in content:
        raise CheckpointError(f"{path} is not a network snapshot: it holds no G_ema")
    return Snapshot(Path(path), dict(content))


def save_snapshot(path: str | Path, content: dict[str, Any]) -> None:
    """Write a snapshot with exactly the keys of `KEYS`; networks should be on the CPU."""
    if set(content) != set(KEYS):
        raise ValueError(f"a snapshot has the keys {', '.join(KEYS)}, not {', '.join(content)}")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file)


def find_snapshot(path: str | Path) -> Path:
    """The file itself, or the last snapshot of a run folder. Raises `CheckpointError` if there is none."""
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist; give a snapshot (.pkl) or the folder of a training run")
    snapshots = sorted(path.glob("network-snapshot-*.pkl"))
    if not snapshots:
        raise CheckpointError(f"{path} holds no network-snapshot-*.pkl; give the folder of a training run")
    return snapshots[-1]
