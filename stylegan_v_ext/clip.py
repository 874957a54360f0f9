"""The old name of `strip` and `timestamps`: the code inside snapshots of version 0.1.0 imports this module."""

from stylegan_v_ext.strip import pack_strip, sanitise_label, split_label, unpack_strip
from stylegan_v_ext.timestamps import STRATEGIES, TimestampSampler

__all__ = ["STRATEGIES", "TimestampSampler", "pack_strip", "sanitise_label", "split_label", "unpack_strip"]
