"""Small data sets of known content, sound and faulty."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image


def image_bytes(value=0, size=(16, 16), mode="RGB", format="PNG"):
    """An image whose pixels all have this value."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.full(shape, value, dtype=np.uint8)).save(buffer, format=format)
    return buffer.getvalue()


def write_zip(path, files, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


def write_folder(path, files):
    for name, data in files.items():
        target = Path(path) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return str(path)


def video_files(num_videos=3, num_frames=5, root="", metadata=None, size=(16, 16)):
    """`{root}v{i}/{f}.png`: frame f of video i has value 20 i + f; f counts from 1 without leading zeros."""
    files = {
        f"{root}v{video}/{frame + 1}.png": image_bytes(20 * video + frame, size)
        for video in range(num_videos)
        for frame in range(num_frames)
    }
    if metadata is not None:
        files[f"{root}dataset.json"] = json.dumps(metadata).encode()
    return files
