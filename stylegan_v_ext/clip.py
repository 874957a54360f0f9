"""The name of `stylegan_v_ext.strip` in version 0.1.0: the code inside snapshots of that version imports it."""

from stylegan_v_ext.strip import STRATEGIES, TimestampSampler, pack_strip, sanitise_label, split_label, unpack_strip

__all__ = ["STRATEGIES", "TimestampSampler", "pack_strip", "sanitise_label", "split_label", "unpack_strip"]
