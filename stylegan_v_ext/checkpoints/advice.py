"""Reasons why a generator cannot do a task, each with a remedy that works."""

import shlex
from pathlib import Path

from stylegan_v_ext.checkpoints.network import NetworkData


def why_no_videos(path: Path, generator: NetworkData) -> str:
    """Why a generator, of the file `path`, makes no videos, and what to do; "" if it makes some."""
    if generator.class_name == "AliasFreeGenerator":
        return (
            f"{path} makes images, not videos: a StyleGAN3 model, which cannot start a video model either; make its "
            "images with gen_images.py of a stylegan3 checkout, or start a video model from a StyleGAN2 model"
        )
    if generator.class_name == "ImageGenerator":
        return f"{path} makes images, not videos: one moment of a video model; give the model that it was made from"
    if generator.is_image_model:
        return (
            f"{path} makes images, not videos; start a video model from it with "
            f"`train.py --cfg=stylegan-v --data=CLIPS --resume={shlex.quote(str(path))}`"
        )
    return ""


def why_no_metrics(path: Path, generator: NetworkData) -> str:
    """Why a generator of the file `path` is not measured here, and what to do; "" if it is."""
    if generator.class_name == "AliasFreeGenerator":
        return (
            f"{path}: a StyleGAN3 generator, which is not measured here; use calc_metrics.py of a stylegan3 checkout, "
            "or give a StyleGAN2 or StyleGAN-V model"
        )
    if generator.class_name == "ImageGenerator":
        return f"{path}: one moment of a video model, which is not measured; give the model that it was made from"
    return ""


def why_no_start(path: Path, generator: NetworkData) -> str:
    """Why no training can start from a generator of the file `path`, and what to do; "" if one can."""
    if generator.class_name == "AliasFreeGenerator":
        return (
            f"--resume={path}: a StyleGAN3 generator, whose layers fit no model that can be trained here; start from a "
            "StyleGAN2 or StyleGAN-V model, or leave --resume out"
        )
    if generator.class_name == "ImageGenerator":
        return (
            f"--resume={path}: one moment of a video model, whose motion is lost; start from the model it was made from"
        )
    return ""
