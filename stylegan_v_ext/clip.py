"""The name of `strip` and `timestamps` in version 0.1.0: the code inside snapshots of that version imports it."""

from stylegan_v_ext.strip import pack_strip, sanitise_label, split_label, unpack_strip
from stylegan_v_ext.timestamps import STRATEGIES, TimestampSampler

__all__ = ["STRATEGIES", "TimestampSampler", "pack_strip", "sanitise_label", "split_label", "unpack_strip"]
