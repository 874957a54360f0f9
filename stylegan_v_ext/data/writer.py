"""Writing a data set: a zip or a folder that appears under its name only when it is complete."""

import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from types import TracebackType

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.videos import METADATA_NAME


class DatasetWriter:
    """Context manager that writes frames and metadata to `dest` (`.zip`, else a folder).

    Everything goes to a temporary name beside it, which is renamed at the end and removed if the
    block fails. Raises `DataError` where `dest` exists or cannot be written.
    """

    def __init__(self, dest: str | Path):
        self.dest = Path(dest)
        self._zip: zipfile.ZipFile | None = None

    def __enter__(self) -> "DatasetWriter":
        if self.dest.exists():
            raise DataError(f"{self.dest} exists already; name another destination or delete it first")
        try:
            self.dest.parent.mkdir(parents=True, exist_ok=True)
            prefix = f".{self.dest.name}-"
            if self.dest.suffix == ".zip":
                handle, name = tempfile.mkstemp(dir=self.dest.parent, prefix=prefix, suffix=".part")
                self._file = os.fdopen(handle, "wb")
                self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED)
            else:
                name = tempfile.mkdtemp(dir=self.dest.parent, prefix=prefix, suffix=".part")
        except OSError as error:
            raise DataError(f"{self.dest} cannot be written ({error.strerror}); name another destination") from None
        self._temporary = Path(name)
        return self

    def write(self, name: str, data: bytes) -> None:
        """Add a file under a relative name."""
        if self._zip is not None:
            self._zip.writestr(zipfile.ZipInfo(name), data)  # without the clock: same input, same archive
            return
        target = self._temporary / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def write_metadata(self, metadata: dict) -> None:
        """Add `dataset.json`."""
        self.write(METADATA_NAME, json.dumps(metadata, indent=1).encode())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complete = False
        try:
            if self._zip is not None:
                self._zip.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
            if kind is None:
                os.chmod(self._temporary, 0o755 if self._temporary.is_dir() else 0o644)
                os.replace(self._temporary, self.dest)
                complete = True
        finally:
            if not complete:
                self._remove()

    def _remove(self) -> None:
        if self._temporary.is_dir():
            shutil.rmtree(self._temporary)
        else:
            self._temporary.unlink(missing_ok=True)
