"""Snapshots of a run: `G, D, G_ema, augment_pipe, training_set_kwargs` in one pickle, as stylegan3 writes them."""

import json
import math
import pickle
from pathlib import Path
from typing import Any

from stylegan_v_ext.checkpoints.machine import CheckpointError
from stylegan_v_ext.files import atomic_path

KEYS = ("G", "D", "G_ema", "augment_pipe", "training_set_kwargs")
_METRIC = "fvd2048_16f"


def save_snapshot(path: str | Path, content: dict[str, Any]) -> None:
    """Write a snapshot with exactly the keys of `KEYS`; networks should be on the CPU."""
    if set(content) != set(KEYS):
        raise ValueError(f"a snapshot has the keys {', '.join(KEYS)}, not {', '.join(content)}")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file)


def find_snapshot(path: str | Path, best: bool = False) -> Path:
    """The file itself, or the last snapshot of a run folder.

    best: the one with the lowest `fvd2048_16f` in the folder's `metric-fvd2048_16f.jsonl`, where there
    is such a file. Raises `CheckpointError` if there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist; give a snapshot (.pkl) or the folder of a training run")
    snapshots = sorted(path.glob("network-snapshot-*.pkl"))
    if not snapshots:
        raise CheckpointError(f"{path} holds no network-snapshot-*.pkl; give the folder of a training run")
    return (_best_snapshot(path) if best else None) or snapshots[-1]


def _best_snapshot(folder: Path) -> Path | None:
    """The snapshot with the lowest metric among those that are still there."""
    try:
        lines = (folder / f"metric-{_METRIC}.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    scores: dict[Path, float] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            snapshot, score = folder / Path(entry["snapshot_pkl"]).name, float(entry["results"][_METRIC])
        except (ValueError, KeyError, TypeError):  # a line cut short by a killed run
            continue
        if math.isfinite(score) and snapshot.is_file():
            scores[snapshot] = score
    return min(scores, key=lambda snapshot: scores[snapshot], default=None)
