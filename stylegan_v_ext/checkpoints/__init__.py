"""Reading checkpoints without running the code inside them, and writing them."""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = ["Checkpoint", "CheckpointError", "NetworkData", "find_snapshot", "load", "save_snapshot"]

if TYPE_CHECKING:
    from stylegan_v_ext.checkpoints.checkpoint import Checkpoint, load
    from stylegan_v_ext.checkpoints.errors import CheckpointError
    from stylegan_v_ext.checkpoints.network import NetworkData
    from stylegan_v_ext.checkpoints.snapshot import find_snapshot, save_snapshot
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Checkpoint": "stylegan_v_ext.checkpoints.checkpoint",
            "CheckpointError": "stylegan_v_ext.checkpoints.errors",
            "NetworkData": "stylegan_v_ext.checkpoints.network",
            "find_snapshot": "stylegan_v_ext.checkpoints.snapshot",
            "load": "stylegan_v_ext.checkpoints.checkpoint",
            "save_snapshot": "stylegan_v_ext.checkpoints.snapshot",
        },
    )
