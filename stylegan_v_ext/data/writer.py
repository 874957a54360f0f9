"""Writing a data set: a zip or a folder that gets its name when it is complete."""

import json
import zipfile
from pathlib import Path
from types import TracebackType

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.kinds import METADATA_NAME
from stylegan_v_ext.files import atomic_path
from stylegan_v_ext.outputs import format_of


class DatasetWriter:
    """A context manager that writes the frames and the metadata of a data set.

    Everything is written under a temporary name in the same folder. It is renamed at the end of the block, or removed
    if the block fails.

    Args:
        dest: Name of a `.zip` or of a folder; see `outputs.format_of`.

    Raises:
        DataError: If `dest` exists, has the ending of another kind of file, or cannot be written.
    """

    def __init__(self, dest: str | Path) -> None:
        self.dest = Path(dest)
        try:
            self._is_zip = format_of(dest, ("zip",)) == "zip"
        except ValueError as error:
            raise DataError(error) from None
        self._zip: zipfile.ZipFile | None = None

    def __enter__(self) -> "DatasetWriter":
        if self.dest.exists():
            raise DataError(f"{self.dest} exists already; name another destination or delete it first")
        self._place = atomic_path(self.dest, folder=not self._is_zip)
        try:
            self._temporary = self._place.__enter__()
        except OSError as error:
            raise DataError(f"{self.dest} cannot be written ({error.strerror}); name another destination") from None
        if self._is_zip:
            self._zip = zipfile.ZipFile(self._temporary, "w", zipfile.ZIP_STORED)
        return self

    def write(self, name: str, data: bytes) -> None:
        """Add a file.

        Args:
            name: Relative name, with `/` between folders.
            data: Content of the file.
        """
        if self._zip is not None:
            self._zip.writestr(zipfile.ZipInfo(name), data)  # without a date, so that the same input makes the same zip
            return
        target = self._temporary / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def write_metadata(self, metadata: dict[str, object]) -> None:
        """Add `dataset.json` with this content."""
        self.write(METADATA_NAME, json.dumps(metadata, indent=1).encode())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._zip is not None:
                self._zip.close()
        except BaseException as failure:
            self._place.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._place.__exit__(kind, error, trace)
