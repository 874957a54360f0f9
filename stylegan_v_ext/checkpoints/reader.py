"""Reading a checkpoint file as data; nothing in it is run.

Tensors come through; persistent objects become inert records of their class name, arguments and state; instances of
other known classes become `Instance`s; everything else is refused by name.
"""

import mmap
from functools import partial
from pathlib import Path
from typing import BinaryIO

from stylegan_v_ext.checkpoints import tensors
from stylegan_v_ext.checkpoints.budget import Budget
from stylegan_v_ext.checkpoints.errors import CheckpointError
from stylegan_v_ext.checkpoints.layouts import find
from stylegan_v_ext.checkpoints.machine import Machine


def read_file(path: str | Path) -> object:
    """Read a pickle, or a file that `torch.save` wrote, as data.

    Args:
        path: The file.

    Returns:
        Its content: plain Python, `Record`s, `Instance`s and `StoredTensor`s.

    Raises:
        CheckpointError: If the file cannot be read; the reason is one line.
    """
    try:
        with open(path, "rb") as file:
            return _read(file)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})") from None
    except Exception as error:  # libraries raise errors of any type for damaged tensors and zip files
        raise CheckpointError(
            f"{path} is not a network snapshot, or is damaged ({type(error).__name__}); fetch it again"
        ) from None


def _refuse_other_files(start: bytes) -> None:
    """Raise `CheckpointError` for files that people mistake for a checkpoint.

    Args:
        start: First bytes of the file, in small letters.
    """
    for beginnings, what in _OTHER_FILES:
        if start.startswith(beginnings):
            raise CheckpointError(what)


_OTHER_FILES: tuple[tuple[tuple[bytes, ...], str], ...] = (
    (
        (b"<", b'{"', b"not found", b"access denied"),
        "a web page and no checkpoint: the download failed; fetch the file again, by its direct address",
    ),
    ((b"version https://git-lfs",), "a pointer of Git LFS and no checkpoint; fetch the file with `git lfs pull`"),
    ((b"\x89hdf",), "an HDF5 file of Keras or TensorFlow, which is not read; give a PyTorch checkpoint"),
    (
        (b"\x1f\x8b", b"7z\xbc\xaf", b"rar!", b"bzh", b"\xfd7zxz", b"\x28\xb5\x2f\xfd"),
        "a compressed archive; unpack it and give the file inside",
    ),
    (
        (b"\x89png", b"\xff\xd8\xff", b"gif8", b"riff", b"\x1a\x45\xdf\xa3"),
        "a picture or a video and no checkpoint; give the network (.pkl, .pt)",
    ),
    ((b"gguf",), "a GGUF file of a language or diffusion model, which is not read; give a StyleGAN checkpoint"),
)


def _read(file: BinaryIO) -> object:
    if not file.seek(0, 2):
        raise CheckpointError("not a network snapshot: the file is empty")
    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    _refuse_other_files(bytes(data[:64]).removeprefix(b"\xef\xbb\xbf").lstrip().lower())
    if bytes(data[257:262]) == b"ustar":
        raise CheckpointError("a tar archive; unpack it and give the file inside")
    if bytes(data[4:8]) == b"ftyp":
        raise CheckpointError("a video and no checkpoint; give the network (.pkl, .pt)")
    budget = Budget(len(data))
    finder = partial(find, budget=budget)
    if bytes(data[:4]) == b"PK\x03\x04":
        return tensors.read_zip(file, data, budget, finder)
    value = Machine(data, budget, finder).load()
    # Files that `torch.save` wrote before 2020 begin with this number.
    return tensors.read_legacy(data, budget, finder) if value == tensors.LEGACY_MAGIC else value
