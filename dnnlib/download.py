"""Open local files and URLs: time limits, retries with growing pauses, an atomic cache, checksums."""

import contextlib
import email.utils
import hashlib
import html
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeGuard, overload
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from .cache import make_cache_dir_path

if TYPE_CHECKING:
    import requests

__all__ = ["is_url", "open_url"]

_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_LONGEST_PAUSE = 60  # seconds between two attempts, whatever the server asks for
_MOST_BYTES = 8 * 2**30
_CHUNK = 1 << 20
_PAGE_BYTES = 8192  # a warning page of a file-sharing site has at most this length
_TRY_AGAIN = (408, 425, 429)  # timeout, too early, too many requests; all statuses from 500 on as well
_TEMPORARY = ".download-"
_ABANDONED_SECONDS = 24 * 3600  # a temporary file of this age belongs to a process that was killed


def is_url(obj: object, allow_file_urls: bool = False) -> TypeGuard[str]:
    """Return whether an object is an http(s) URL.

    Args:
        obj: The object.
        allow_file_urls: Whether file URLs count as well.

    Returns:
        Whether it is a URL.
    """
    if not isinstance(obj, str):
        return False
    try:
        parts = urlsplit(obj)
    except ValueError:
        return False
    if parts.scheme == "file":
        return allow_file_urls and bool(parts.path)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


@overload
def open_url(
    url: str,
    cache_dir: str | None = None,
    num_attempts: int = 10,
    verbose: bool = True,
    return_filename: Literal[False] = False,
    cache: bool = True,
    sha256: str | None = None,
) -> BinaryIO: ...


@overload
def open_url(
    url: str,
    cache_dir: str | None = None,
    num_attempts: int = 10,
    verbose: bool = True,
    *,
    return_filename: Literal[True],
    cache: bool = True,
    sha256: str | None = None,
) -> str: ...


def open_url(
    url: str,
    cache_dir: str | None = None,
    num_attempts: int = 10,
    verbose: bool = True,
    return_filename: bool = False,
    cache: bool = True,
    sha256: str | None = None,
) -> BinaryIO | str:
    """Open a local path, file URL or http(s) URL for binary reading.

    A download goes to a temporary file. The file gets its name in the cache when it is complete and, with `sha256`,
    correct, so that the cache never holds half a file. A download is not compressed on its way and has at most 8 GiB.
    Redirects are followed to http(s) addresses only, and never from https to http. A few MiB of memory are enough for a
    file of any size.

    Args:
        url: A local path, a file URL or an http(s) URL.
        cache_dir: Folder of downloads; None is the folder "downloads" in the cache.
        num_attempts: Number of attempts to download.
        verbose: Whether to print the address of a download.
        return_filename: Whether to return the local path in place of the open file; this needs the cache.
        cache: False keeps nothing on disk after the file is closed.
        sha256: Expected checksum in hexadecimal digits; None checks nothing.

    Returns:
        The open file, or its path.

    Raises:
        FileNotFoundError: If a local file is missing.
        ValueError: If the checksum is wrong, or a path is wanted without the cache.
        OSError: If every attempt to download failed, or the address gives no file.
    """
    if not is_url(url):
        path = _checked_local_path(url, sha256)
        return path if return_filename else open(path, "rb")
    if return_filename and not cache:
        raise ValueError("return_filename needs the cache: there is no file without it")
    if not cache:
        file: BinaryIO = tempfile.TemporaryFile()  # type: ignore[assignment]  # noqa: SIM115
        try:
            _download(url, file, num_attempts, verbose, sha256)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file
    folder = Path(cache_dir if cache_dir is not None else make_cache_dir_path("downloads"))
    url_hash = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    for known in sorted(folder.glob(url_hash + "_*")):
        if sha256 is None or _sha256_of(known) == sha256.lower():
            return str(known) if return_filename else open(known, "rb")
    with _temporary_file(folder) as (temporary, file):
        name = _download(url, file, num_attempts, verbose, sha256)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        target = folder / f"{url_hash}_{re.sub(r'[^0-9a-zA-Z._-]', '_', name)[-100:]}"
        os.replace(temporary, target)
    return str(target) if return_filename else open(target, "rb")


def _checked_local_path(path_or_url: str, sha256: str | None) -> str:
    """Return the path of a local file; check that it exists (`FileNotFoundError`) and its checksum (`ValueError`)."""
    path = path_or_url
    if is_url(path_or_url, allow_file_urls=True):
        path = url2pathname(unquote(urlsplit(path_or_url).path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no such file: {path}")
    if sha256 is not None:
        _check_sha256(_sha256_of(path), sha256, path)
    return path


def _check_sha256(found: str, wanted: str, source: str) -> None:
    if found != wanted.lower():
        raise ValueError(
            f"{_shown(source)} has SHA-256 {found}, expected {wanted.lower()}; delete it and download it again"
        )


def _sha256_of(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shown(text: object) -> str:
    """Return a server's text as one short line without control characters."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:500])


@contextlib.contextmanager
def _temporary_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a path and a file to write; at the end of the block the path is removed if it still exists."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(_TEMPORARY + "*"):
        with contextlib.suppress(OSError):  # another process may clear up as well
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                path.unlink()
    path = folder / f"{_TEMPORARY}{secrets.token_hex(8)}"
    try:
        with open(path, "x+b") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


class _Retry(Exception):
    """A failure after which another attempt may succeed.

    Args:
        reason: The failure in words.
        seconds: Time that the server asks to wait.
    """

    def __init__(self, reason: str, seconds: float = 0) -> None:
        super().__init__(reason)
        self.seconds = seconds


def _download(url: str, file: BinaryIO, num_attempts: int, verbose: bool, sha256: str | None) -> str:
    """Download a URL to an empty file; return the name that the server gives the file.

    It tries again with growing pauses, and follows the link on Google Drive's warning page.
    """
    import requests
    import urllib3

    error: Exception | None = None
    with requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"
        session.hooks["response"].append(_stay_encrypted)
        for attempt in range(max(num_attempts, 1)):
            if attempt:
                asked = error.seconds if isinstance(error, _Retry) else 0
                time.sleep(min(max(0.5 * 2**attempt if attempt < 6 else 20, asked), _LONGEST_PAUSE))
            if verbose:
                print(f"Downloading {_shown(url)} ...", flush=True)
            try:
                name, found = _fetch(session, url, file, sha256 is not None)
                warning = _drive_confirmation(file)
                if warning is not None:
                    name, found = _fetch(session, _confirmed(url, warning), file, sha256 is not None)
                if sha256 is not None:
                    _check_sha256(found, sha256, url)
                return name
            except (
                requests.exceptions.InvalidSchema,
                requests.exceptions.InvalidURL,
                requests.TooManyRedirects,
                urllib3.exceptions.LocationValueError,
                UnicodeError,
            ) as e:
                raise OSError(
                    f"{_shown(url)} leads to an address without downloads ({_shown(e)}); check the address"
                ) from None
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _Retry) as e:
                error = e
            except requests.RequestException as e:
                raise OSError(f"{_shown(url)} answered {_shown(e)}; check the address") from None
    reason = str(error) if isinstance(error, _Retry) else type(error).__name__
    raise OSError(
        f"{_shown(url)} could not be downloaded in {max(num_attempts, 1)} attempts ({reason}); "
        "check the connection, or download it elsewhere and give the local path"
    ) from None


def _stay_encrypted(reply: "requests.Response", **_: object) -> None:
    """Refuse a redirect from https to anything else; a hook of every reply."""
    if reply.is_redirect:
        _confirmed(reply.url, reply.headers["location"])


def _confirmed(source: str, target: str) -> str:
    """Return the address of a link in an answer of `source`; raise `InvalidSchema` if it leads from https to http."""
    import requests

    target = urljoin(source, target)
    if source.lower().startswith("https:") and not target.lower().startswith("https:"):
        raise requests.exceptions.InvalidSchema(f"from https to {target[:200]}")
    return target


def _fetch(session: "requests.Session", url: str, file: BinaryIO, has_checksum: bool) -> tuple[str, str]:
    """Write the answer of a URL over a file; return the name that the server gives it, and its SHA-256."""
    with session.get(url, timeout=(_CONNECT_SECONDS, _READ_SECONDS), stream=True) as reply:
        if reply.status_code in _TRY_AGAIN or reply.status_code >= 500:
            raise _Retry(f"status {reply.status_code}", _seconds_asked(reply.headers.get("Retry-After", "")))
        reply.raise_for_status()
        if reply.status_code != 200:
            raise OSError(f"{_shown(url)} answered {reply.status_code} instead of a file; check the address")
        found = _copy_body(reply, url, file, has_checksum)
        file.seek(0)
        head = file.read(_PAGE_BYTES)
        if b"download_warning" not in head and b"Quota exceeded" in head:
            raise OSError(f"{_shown(url)}: download quota exceeded; try again later or use a copy")
        stated = re.search(r'filename="([^"]*)"', reply.headers.get("Content-Disposition", ""))
        return (stated.group(1) if stated else os.path.basename(urlsplit(url).path)) or "file", found


def _seconds_asked(header: str) -> float:
    """Return the seconds from now that a Retry-After header asks for, as seconds or as a date; 0 for another text."""
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        return max(email.utils.parsedate_to_datetime(header).timestamp() - time.time(), 0)
    except (ValueError, TypeError, OverflowError):
        return 0


def _copy_body(reply: "requests.Response", url: str, file: BinaryIO, has_checksum: bool) -> str:
    """Write a reply's body over a file; return its SHA-256.

    If the caller compares a checksum (`has_checksum`), a body of unknown length is accepted. `OSError` refuses a body
    that is too long, compressed or of unknown length; `_Retry` means that the body was cut short.
    """
    encoding = reply.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise OSError(
            f"{_shown(url)} comes compressed ({_shown(encoding)[:40]}) although no compression was asked for; download "
            "it elsewhere and give the local path"
        )
    stated = reply.headers.get("Content-Length", "").strip()
    length = int(stated) if re.fullmatch(r"[0-9]{1,18}", stated) else None
    _check_size(length or 0, url)
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    file.truncate()
    for part in reply.iter_content(_CHUNK):
        size += len(part)
        _check_size(size, url)
        digest.update(part)
        file.write(part)
    chunked = "chunked" in reply.headers.get("Transfer-Encoding", "").lower()  # a chunked body marks its own end
    if length is not None and not chunked and size != length:
        raise _Retry(f"{size} of {length} bytes")
    if not size:
        raise _Retry("empty reply")
    if length is None and not chunked and not has_checksum:
        raise OSError(
            f"{_shown(url)} does not say how long it is, so a part could not be told from the whole; download it "
            "elsewhere and give the local path"
        )
    return digest.hexdigest()


def _check_size(size: int, url: str) -> None:
    if size > _MOST_BYTES:
        raise OSError(f"{_shown(url)} has more than {_MOST_BYTES} bytes; download it elsewhere and give the local path")


def _drive_confirmation(file: BinaryIO) -> str | None:
    """Return the link on the page "too large to scan" that Google Drive shows in place of a large file, or None."""
    file.seek(0)
    page = file.read(_PAGE_BYTES + 1)
    if len(page) > _PAGE_BYTES or b"download_warning" not in page:
        return None
    link = re.search(r'href="([^"]*confirm=[^"]*)"', html.unescape(page.decode("utf-8", "replace")))
    return link.group(1) if link else None
