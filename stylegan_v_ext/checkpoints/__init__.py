"""Reading checkpoints without running the code inside them, and writing them."""

from stylegan_v_ext.checkpoints.checkpoint import Checkpoint, load
from stylegan_v_ext.checkpoints.machine import CheckpointError
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.checkpoints.snapshot import find_snapshot, save_snapshot

__all__ = ["Checkpoint", "CheckpointError", "NetworkData", "find_snapshot", "load", "save_snapshot"]
