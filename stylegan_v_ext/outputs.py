"""What a name that results are written to stands for: a file of some format, or a folder.

The ending decides. A name whose ending belongs to files of a format that is not written here is refused: it would
become a folder that looks like a file. Other dots are part of a folder's name: `run.v2`, `2024.05.01`, `samples_0.5`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

CODECS = {"mp4": ("h264", "h265", "vp9"), "mov": ("h264", "h265"), "mkv": ("h264", "h265", "vp9"), "webm": ("vp9",)}
"""The codecs that each container of video takes; the first one is the default."""
VIDEO_FORMATS = (*CODECS, "gif", "webp", "png", "jpg", "npy")
"""What a generated video is written as; png and jpg are folders of frames."""
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
"""Endings of files that people have: video, sound, pictures, archives, data and documents."""


def format_of(path: str | Path, formats: Sequence[str], or_folder: bool = True) -> str | None:
    """The format of the file that a name asks for; None if it asks for a folder.

    Args:
        path: A name that ends in a slash asks for a folder, whatever stands before it.
        formats: Endings, without a dot and in lower case, that the caller writes; none of them if it writes a folder
            only.
        or_folder: Whether messages offer a folder.

    Raises:
        ValueError: For the ending of another kind of file, unless a folder of that name exists, and for an ending with
            no name before it.
    """
    text = os.fspath(path)
    name = Path(text).name.rstrip(". ")  # what Windows leaves out
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


def check_place(path: str | Path, formats: Sequence[str], or_folder: bool = True) -> None:
    """Raise `ValueError` unless a name is one that results can be written under: before the work is done, not after.

    Args:
        path, formats, or_folder: As for `format_of`.
    """
    text, place = os.fspath(path), Path(path)
    is_file = format_of(path, formats, or_folder) is not None
    if text == "-":
        raise ValueError(f"- means standard output, which no results go to; name a {'folder' if or_folder else 'file'}")
    if is_file and place.is_dir():
        raise ValueError(f"{text} is a folder; {'end it in / to write into it, or ' * or_folder}name another file")
    folder = place.parent if is_file else place
    there = next((parent for parent in (folder, *folder.parents) if os.path.lexists(parent)), folder)
    if os.path.lexists(there) and not there.is_dir():
        raise ValueError(f"{there} is no folder, so nothing can be written in it; name another path than {text}")
