"""Who may ask the page for what: the page's own address, its own requests, and nothing else that gradio would serve."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_MOST_BYTES = 1 << 20  # in the body of a request; a page without uploads sends positions of knobs and a prompt
_API = "/gradio_api"
_FILE = f"{_API}/file="
_PAGES = {"/", "/config", "/config/", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/pwa_icon"}
_CALLS = {
    f"{_API}/{name}"
    for name in ("queue/join", "queue/data", "startup-events", "theme.css", "app_id", "reset", "reset/", "cancel")
}
_FOLDERS = ("/assets/", "/static/", f"{_API}/heartbeat/")


class Guard:
    """ASGI middleware before gradio. It answers 403 to requests that the page does not need, and to other pages.

    A page of a stranger in the same browser may send requests here: by a name of its own that points to this machine
    (DNS rebinding; the header Host shows it), or across origins (the header Origin shows it).

    Args:
        app: The ASGI application.
        address: Where it listens.
        files: The folder that may be read from.
    """

    def __init__(self, app: Application, address: str, files: Path) -> None:
        self.app, self.files = app, files.resolve()
        self.accepts = host_check(address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        reason = "no websockets here" if scope["type"] != "http" else self._refusal(scope)
        if reason is not None:
            await _refuse(scope, send, 403, reason)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        body = await _bounded_body(receive)
        if body is None:
            await _refuse(scope, send, 413, f"more than {_MOST_BYTES} bytes")
            return
        await self.app(scope, _replayed(body, receive), send)

    def _refusal(self, scope: Scope) -> str | None:
        """Return why a request is not answered; None if it is."""
        hosts = [value for name, value in scope["headers"] if name.lower() == b"host"]
        origins = [value for name, value in scope["headers"] if name.lower() == b"origin"]
        if len(hosts) != 1 or not self.accepts(hosts[0].decode("latin-1")):
            return "not a name of this page; open it by the address that the command shows"
        if any(_netloc(origin) != hosts[0].lower() for origin in origins):
            return "asked for by another page"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return "no such request here"
        return None if self._is_needed(scope["path"]) else "nothing here that the page needs"

    def _is_needed(self, path: str) -> bool:
        if path.startswith(_FILE):
            return self._may_read(path[len(_FILE) :])
        if "/../" in path or path.endswith("/.."):
            return False
        return path in _PAGES or path in _CALLS or path.startswith(_FOLDERS)

    def _may_read(self, path: str) -> bool:
        """Return whether a path is a file that gradio wrote for this page."""
        if "://" in path or not path.startswith("/") and not Path(path).is_absolute():
            return False
        try:
            return Path(path).resolve().is_relative_to(self.files)
        except (OSError, ValueError, RuntimeError):  # it is no path, or a loop of links
            return False


def host_check(address: str) -> Callable[[str], bool]:
    """Return a function that says whether a Host header names a server that listens at an address.

    Names are `localhost`, the address itself and, if other machines reach it, this machine's name. Numeric addresses
    are safe: no name of a stranger stands for them.

    Args:
        address: Where the server listens.
    """
    local = _is_loopback(address)
    names = {"localhost", address.strip("[]").lower()}
    if not local:
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    def accepts(header: str) -> bool:
        try:
            host = (urlsplit(f"//{header}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if any(character in header for character in "@/?#\\ "):
            return False
        try:
            number = ipaddress.ip_address(host)
        except ValueError:
            return host in names
        return number.is_loopback or not local

    return accepts


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address.lower() == "localhost"


def _netloc(origin: bytes) -> bytes:
    """Return host and port of an Origin header as in a Host header; empty for `null` and other origins without them."""
    scheme, _, rest = origin.lower().partition(b"://")
    return rest if scheme in (b"http", b"https") else b""


async def _bounded_body(receive: Receive) -> bytes | None:
    """Return the body of a request; None for a body that is too long."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += message.get("body", b"")
        if len(body) > _MOST_BYTES:
            return None
        if not message.get("more_body"):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read before, then the messages after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return replay


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"Refused: {reason}\n".encode()})
