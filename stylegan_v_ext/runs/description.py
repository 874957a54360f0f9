"""A run for people: its configuration as JSON, and a few lines about it."""

import json

from stylegan_v_ext.config import RunConfig, to_stock
from stylegan_v_ext.text import printable


def describe(config: RunConfig, classes: str = "") -> list[str]:
    """Describe a run.

    Args:
        config: The run.
        classes: The classes of its videos in words; "" shows their number.

    Returns:
        Lines for the screen.
    """
    rows = {
        "Data set": printable(config.data.path),
        "Videos": config.num_videos,
        "Resolution": config.data.resolution,
        "Classes": classes or config.data.num_classes,
        "Frames a clip": config.data.num_frames,
        "Batch (clips)": config.batch.size,
        "Duration": f"{config.schedule.total_kimg:g} kimg (thousand clips)",
        "Precision": _precision(config),
        "R1 gamma a frame": f"{config.loss.r1_gamma * config.data.num_frames:g}",
        "Augmentation": _augmentation(config),
    }
    lines = [f"{name + ':':20s}{value}" for name, value in rows.items()]
    shown = {name: value for name, value in to_stock(config).items() if name != "options"}
    return ["Training options:", *json.dumps(shown, indent=2).split("\n"), "", *lines, ""]


def _precision(config: RunConfig) -> str:
    if config.machine.allow_bf16:
        return "bfloat16 and float32"
    return "float16 and float32" if config.generator.num_fp16_res else "float32"


def _augmentation(config: RunConfig) -> str:
    if config.augmentation is None:
        return "none"
    return f"adaptive, target {config.ada.target}" if config.ada.target is not None else f"p = {config.ada.p}"
