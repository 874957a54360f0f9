"""Reasons why a generator cannot do a task, each with a remedy that works."""

import shlex
from pathlib import Path

from stylegan_v_ext.checkpoints.network import NetworkData

_ALIAS_FREE, _MOMENT, _IMAGE = "AliasFreeGenerator", "ImageGenerator", "StyleGAN2's image generator"
_VIDEOS = {
    _ALIAS_FREE: "{path} makes images, not videos: a StyleGAN3 model, which cannot start a video model either; make "
    "its images with gen_images.py of a stylegan3 checkout, or start a video model from a StyleGAN2 model",
    _MOMENT: "{path} makes images, not videos: one moment of a video model; give the model that it was made from",
    _IMAGE: "{path} makes images, not videos; start a video model from it with "
    "`train.py --cfg=stylegan-v --data=CLIPS --resume={quoted}`",
}
_METRICS = {
    _ALIAS_FREE: "{path}: a StyleGAN3 generator, which is not measured here; use calc_metrics.py of a stylegan3 "
    "checkout, or give a StyleGAN2 or StyleGAN-V model",
    _MOMENT: "{path}: one moment of a video model, which is not measured; give the model that it was made from",
}
_START = {
    _ALIAS_FREE: "--resume={path}: a StyleGAN3 generator, whose layers fit no model that can be trained here; start "
    "from a StyleGAN2 or StyleGAN-V model, or leave --resume out",
    _MOMENT: "--resume={path}: one moment of a video model, whose motion is lost; start from the model it was made "
    "from",
}


def why_no_videos(path: Path, generator: NetworkData) -> str:
    """Say why a generator makes no videos, and what to do.

    Args:
        path: Its file.
        generator: The generator.

    Returns:
        A sentence, "" if the generator makes videos.
    """
    return _reason(_VIDEOS, path, generator)


def why_no_metrics(path: Path, generator: NetworkData) -> str:
    """Say why a generator is not measured, and what to do.

    Args:
        path: Its file.
        generator: The generator.

    Returns:
        A sentence, "" if the generator can be measured.
    """
    return _reason(_METRICS, path, generator)


def why_no_start(path: Path, generator: NetworkData) -> str:
    """Say why no training can start from a generator, and what to do.

    Args:
        path: Its file.
        generator: The generator.

    Returns:
        A sentence, "" if a training can start from it.
    """
    return _reason(_START, path, generator)


def _reason(sentences: dict[str, str], path: Path, generator: NetworkData) -> str:
    kind = _IMAGE if generator.is_image_model else generator.class_name
    return sentences.get(kind, "").format(path=path, quoted=shlex.quote(str(path)))
