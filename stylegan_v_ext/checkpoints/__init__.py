"""Reading checkpoints without running the code inside them, and writing them."""

from stylegan_v_ext.checkpoints.reader import CheckpointError, Record, read_pickle
from stylegan_v_ext.checkpoints.snapshot import Snapshot, find_snapshot, load_snapshot, save_snapshot

__all__ = [
    "CheckpointError", "Record", "Snapshot", "find_snapshot", "load_snapshot", "read_pickle", "save_snapshot",
]  # fmt: skip
