"""Opening local files and URLs: time limits, retries with back-off, an atomic cache, checksums."""

import hashlib
import html
import io
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

_cache_dir: str | None = None
_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_MOST_BYTES = 8 * 2**30


def set_cache_dir(path: str) -> None:
    """Keep downloads below this folder from now on."""
    global _cache_dir
    _cache_dir = path


def make_cache_dir_path(*paths: str) -> str:
    """Path below the cache folder.

    The folder is the one of `set_cache_dir`, else `$DNNLIB_CACHE_DIR`, else `~/.cache/dnnlib`. Raises `ValueError` if
    the user has no home folder.
    """
    base = _cache_dir or os.environ.get("DNNLIB_CACHE_DIR")
    if not base:
        try:
            base = os.path.join(Path.home(), ".cache", "dnnlib")
        except RuntimeError:
            raise ValueError("this user has no home folder for the cache; set DNNLIB_CACHE_DIR to a folder") from None
    return os.path.join(base, *paths)


def is_url(obj: Any, allow_file_urls: bool = False) -> bool:
    """Whether the object is an http(s) URL (or a file URL, if allowed)."""
    if not isinstance(obj, str):
        return False
    try:
        parts = urlsplit(obj)
    except ValueError:
        return False
    if parts.scheme == "file":
        return allow_file_urls and bool(parts.path)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def open_url(
    url: str,
    cache_dir: str | None = None,
    num_attempts: int = 10,
    verbose: bool = True,
    return_filename: bool = False,
    cache: bool = True,
    sha256: str | None = None,
) -> Any:
    """Open a local path, file URL or http(s) URL for binary reading.

    Downloads go to a temporary file that is renamed when complete and, with `sha256`, correct, so
    the cache never holds half a file. They, and what they are redirected to, come from http(s) alone, and
    are at most 8 GiB. `return_filename` gives the local path instead (needs the
    cache). Raises `FileNotFoundError` for a missing local file, `ValueError` for a wrong checksum,
    `OSError` when every attempt failed.
    """
    if not is_url(url):
        path = url2pathname(unquote(urlsplit(url).path)) if is_url(url, allow_file_urls=True) else url
        if not os.path.isfile(path):
            raise FileNotFoundError(f"no such file: {path}")
        if sha256 is not None:
            _check_sha256(Path(path).read_bytes(), sha256, path)
        return path if return_filename else open(path, "rb")
    if return_filename and not cache:
        raise ValueError("return_filename needs the cache: there is no file without it")

    folder = Path(cache_dir if cache_dir is not None else make_cache_dir_path("downloads"))
    url_hash = hashlib.sha256(url.encode()).hexdigest()[:32]
    if cache:
        for known in sorted(folder.glob(url_hash + "_*")):
            data = known.read_bytes() if sha256 is not None else b""
            if sha256 is None or hashlib.sha256(data).hexdigest() == sha256.lower():
                return str(known) if return_filename else open(known, "rb")

    name, data = _download(url, num_attempts, verbose)
    if sha256 is not None:
        _check_sha256(data, sha256, url)
    if not cache:
        return io.BytesIO(data)
    target = folder / f"{url_hash}_{re.sub(r'[^0-9a-zA-Z._-]', '_', name)}"
    _write_atomically(target, data)
    return str(target) if return_filename else io.BytesIO(data)


def _check_sha256(data: bytes, wanted: str, source: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != wanted.lower():
        raise ValueError(f"{source} has SHA-256 {found}, expected {wanted.lower()}; delete it and download it again")


def _write_atomically(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".download-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


class _Retry(Exception):
    """A failure that another attempt may cure."""


def _download(url: str, num_attempts: int, verbose: bool) -> tuple[str, bytes]:
    """(file name, bytes) of a URL; tries again with growing pauses, follows Google Drive's warning page."""
    import requests

    error: Exception | None = None
    with requests.Session() as session:
        for attempt in range(max(num_attempts, 1)):
            if attempt:
                time.sleep(min(0.5 * 2**attempt, 20))
            if verbose:
                print(f"Downloading {url} ...", flush=True)
            try:
                name, data = _fetch(session, url)
                warning = _drive_confirmation(data)
                if warning is not None:
                    name, data = _fetch(session, urljoin(url, warning))
                return name, data
            except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL,
                    requests.TooManyRedirects) as e:  # fmt: skip
                raise OSError(f"{url} leads where nothing is downloaded from ({e}); check the address") from None
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _Retry) as e:
                error = e
            except requests.HTTPError as e:
                raise OSError(f"{url} answered {e}; check the address") from None
    raise OSError(
        f"{url} could not be downloaded in {num_attempts} attempts ({type(error).__name__}); "
        "check the connection, or download it elsewhere and give the local path"
    ) from None


def _fetch(session: Any, url: str) -> tuple[str, bytes]:
    with session.get(url, timeout=(_CONNECT_SECONDS, _READ_SECONDS), stream=True) as reply:
        if reply.status_code == 429 or reply.status_code >= 500:
            raise _Retry(f"status {reply.status_code}")
        reply.raise_for_status()
        content = _bounded_content(reply, url)
        if not content:
            raise _Retry("empty reply")
        if b"download_warning" not in content[:8192] and b"Quota exceeded" in content[:8192]:
            raise OSError(f"{url}: download quota exceeded; try again later or use a copy")
        stated = re.search(r'filename="([^"]*)"', reply.headers.get("Content-Disposition", ""))
        return (stated.group(1) if stated else os.path.basename(urlsplit(url).path) or "file"), content


def _bounded_content(reply: Any, url: str) -> bytes:
    """A reply's body. Raises `OSError` for one that is too long, whatever its header says."""
    parts, size = [], 0
    for part in reply.iter_content(1 << 20):
        size += len(part)
        if size > _MOST_BYTES:
            raise OSError(f"{url} has more than {_MOST_BYTES} bytes; download it elsewhere and give the local path")
        parts.append(part)
    stated = reply.headers.get("Content-Length", "")
    if stated.isdigit() and "Content-Encoding" not in reply.headers and size != int(stated):
        raise _Retry(f"{size} of {stated} bytes")
    return b"".join(parts)


def _drive_confirmation(data: bytes) -> str | None:
    """Target of the 'too large to scan' page that a file-sharing site shows instead of a large file."""
    if len(data) > 8192 or b"download_warning" not in data:
        return None
    link = re.search(r'href="([^"]*confirm=[^"]*)"', html.unescape(data.decode("utf-8", "replace")))
    return link.group(1) if link else None
