"""Snapshots of a run: `G, D, G_ema, augment_pipe, training_set_kwargs` in one pickle, as stylegan3 writes them."""

import math
import pickle
from pathlib import Path
from typing import Any

from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.documents import read_json_lines
from stylegan_v_ext.files import atomic_path

KEYS = ("G", "D", "G_ema", "augment_pipe", "training_set_kwargs")
_METRIC = "fvd2048_16f"


def save_snapshot(path: str | Path, content: dict[str, Any]) -> None:
    """Write a snapshot.

    Args:
        path: The file.
        content: Values by name, with exactly the keys of `KEYS`; networks should be on the CPU.

    Raises:
        ValueError: If there are other keys.
        OSError: If the file cannot be written.
    """
    if set(content) != set(KEYS):
        raise ValueError(f"a snapshot has the keys {', '.join(KEYS)}, not {', '.join(content)}")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file)


def find_snapshot(path: str | Path, *, best: bool = False) -> Path:
    """Find the snapshot that a path means.

    Args:
        path: A file, or a run folder.
        best: Take the snapshot of a run folder with the lowest `fvd2048_16f` in its `metric-fvd2048_16f.jsonl`, if
            there is such a file; otherwise the last snapshot.

    Returns:
        The file.

    Raises:
        CheckpointError: If there is no snapshot.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path} does not exist; give a snapshot (.pkl) or the folder of a training run")
    snapshots = sorted(file for file in path.glob("network-snapshot-*.pkl") if file.is_file())
    if not snapshots:
        raise CheckpointError(
            f"{path} holds no network-snapshot-*.pkl; give the folder of a training run, or name a file in it"
        )
    return (_best_snapshot(path, snapshots) if best else None) or snapshots[-1]


def _best_snapshot(folder: Path, snapshots: list[Path]) -> Path | None:
    """Return the snapshot with the lowest metric; None if the metric was measured for none of them.

    Raises `CheckpointError` if the file of the metric cannot be read.
    """
    figures = folder / f"metric-{_METRIC}.jsonl"
    if not figures.exists():
        return None
    by_name = {snapshot.name: snapshot for snapshot in snapshots}
    scores: dict[Path, float] = {}
    try:
        for entry in read_json_lines(figures):
            name, results = entry.get("snapshot_pkl"), entry.get("results")
            score = results.get(_METRIC) if isinstance(results, dict) else None
            snapshot = by_name.get(name.rpartition("/")[2]) if isinstance(name, str) else None
            if snapshot is not None and isinstance(score, (int, float)) and abs(score) < math.inf:
                scores[snapshot] = score
    except ValueError as error:
        raise CheckpointError(f"{figures} cannot be read ({error}); remove it, or name a snapshot") from None
    return min(scores, key=lambda snapshot: scores[snapshot], default=None)
