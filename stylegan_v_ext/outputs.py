"""What the name of an output means: a file of some format, or a folder.

The ending decides. A name is refused if its ending belongs to files of a format that is not written here: it would
become a folder that looks like a file. All other dots belong to the name of a folder: `run.v2`, `2024.05.01`,
`samples_0.5`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

CODECS = {"mp4": ("h264", "h265", "vp9"), "mov": ("h264", "h265"), "mkv": ("h264", "h265", "vp9"), "webm": ("vp9",)}
"""The codecs that each video container takes; the first codec is the default."""
VIDEO_FORMATS = (*CODECS, "gif", "webp", "png", "jpg", "npy")
"""The formats in which a generated video can be written; png and jpg are folders of frames."""
_ENDINGS = """
    3g2 3gp amv apng asf av1 avi divx dv f4v flv gif h264 h265 hevc ivf m1v m2ts m2v m4v mj2 mjpeg mkv mov mp4
    mpe mpeg mpg mts mxf nut obu ogm ogv qt rm rmvb ts vob webm wmv y4m yuv
    aac ac3 aif aiff alac flac m4a m4b mka mp2 mp3 oga ogg opus wav wma
    avif bmp cr2 dds dng exr heic heics heif ico j2k jfif jp2 jpe jpeg jpg jxl nef pbm pcx pgm png pnm ppm psd svg
    tga tif tiff webp xcf
    7z bz2 cab dmg gz iso jar lha lz lz4 lzh lzma rar tar taz tbz tbz2 tgz tlz txz tzst xz zip zipx zst
    arrow avro bin ckpt csv db docx h5 hdf5 htm html json jsonl mat md mdb npy npz odt onnx parquet pb pdf pickle pkl
    pptx prproj pt pth py rtf safetensors sqlite srt tex tfrecord tfrecords tsv txt xls xlsx xml yaml yml
    """
FILE_ENDINGS = frozenset(_ENDINGS.split())
"""Common endings of files: video, sound, pictures, archives, data and documents."""


def format_of(path: str | Path, formats: Sequence[str], *, or_folder: bool = True) -> str | None:
    """Tell from a name whether a file or a folder is meant.

    Args:
        path: The name. A name that ends in a slash always means a folder.
        formats: Endings that the caller can write, without a dot and in lower case; empty if it only writes folders.
        or_folder: Whether the message of an error offers a folder.

    Returns:
        The ending of the file, in lower case; None for a folder.

    Raises:
        ValueError: If the name has the ending of another kind of file and no folder of that name exists, or if no name
            stands before the ending.
    """
    text = os.fspath(path)
    name = Path(text).name.rstrip(". ")  # Windows ignores dots and spaces at the end
    stem, dot, ending = name.rpartition(".")
    ending = ending.lower()
    if not dot or ending not in FILE_ENDINGS.union(formats) or text.endswith(("/", os.sep)):
        return None
    if ending in formats and stem and not Path(text).name.endswith((".", " ")):
        return ending
    if Path(text).is_dir():
        return None
    wanted = "end it in / for a folder" if or_folder else ""
    if formats:
        wanted = f"use .{', .'.join(formats)}, or {wanted}" if or_folder else f"use .{' or .'.join(formats)}"
    missing = "" if stem or ending not in formats else ", and no name stands before it"
    raise ValueError(f"{text} ends in .{ending}{missing}; {wanted}")


def check_place(path: str | Path, formats: Sequence[str], *, or_folder: bool = True) -> None:
    """Check, before any work is done, that results can be written under a name.

    Args:
        path: The name.
        formats: As for `format_of`.
        or_folder: As for `format_of`.

    Raises:
        ValueError: If nothing can be written under this name, or if `format_of` refuses it.
    """
    text, place = os.fspath(path), Path(path)
    is_file = format_of(path, formats, or_folder=or_folder) is not None
    if text == "-":
        raise ValueError(
            f"- means standard output, but results go to files; name a {'folder' if or_folder else 'file'}"
        )
    if is_file and place.is_dir():
        way = "end it in / to write into it, or " if or_folder else ""
        raise ValueError(f"{text} is a folder; {way}name another file")
    folder = place.parent if is_file else place
    there = next((parent for parent in (folder, *folder.parents) if os.path.lexists(parent)), folder)
    if os.path.lexists(there) and not there.is_dir():
        raise ValueError(f"{there} is no folder, so nothing can be written in it; name another path than {text}")
