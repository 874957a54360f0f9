"""open_url against a server on this machine that misbehaves in the usual ways."""

import contextlib
import gc
import gzip
import hashlib
import ssl
import subprocess
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dnnlib import cache, download

BODY = b"weights " * 1000


# Replies that only look whole: (headers, body, words of the refusal or of the last attempt).
WRONG = {
    "gzip": ({"Content-Encoding": "gzip"}, gzip.compress(BODY), "comes compressed"),
    "gzip cut": ({"Content-Encoding": "gzip"}, gzip.compress(BODY)[:-20], "comes compressed"),
    "gzip without its length": (
        {"Content-Encoding": "GZIP", "Content-Length": None},
        gzip.compress(BODY),
        "compressed",
    ),
    "bomb": ({"Content-Encoding": "gzip"}, gzip.compress(bytes(50 << 20)), "comes compressed"),
    "deflate": ({"Content-Encoding": "deflate"}, zlib.compress(BODY), "comes compressed"),
    "twice": ({"Content-Encoding": "gzip, gzip"}, gzip.compress(gzip.compress(BODY)), "comes compressed"),
    "unknown": ({"Content-Encoding": "\x1b[31m" + "x" * 300}, BODY, r"comes compressed \(\?\[31mx{1,40}\)"),
    "short": ({"Content-Length": str(len(BODY) + 1)}, BODY, "could not be downloaded in 2 attempts"),
    "half": ({"Content-Length": str(2 * len(BODY))}, BODY, "could not be downloaded in 2 attempts"),
    "no length": ({"Content-Length": None}, BODY, "does not say how long it is"),
    "two lengths": ({"Content-Length": f"{len(BODY)}, 5"}, BODY, "check the (address|connection)"),
    "no number": ({"Content-Length": "many"}, BODY, "does not say how long it is"),
    "empty": ({}, b"", "could not be downloaded in 2 attempts"),
    "chunks cut": ({"Content-Length": None, "Transfer-Encoding": "chunked"}, b"8\r\nweights \r\n", "in 2 attempts"),
    "too long by its own word": ({"Content-Length": str(10**12)}, BODY, "has more than"),
}


class Handler(BaseHTTPRequestHandler):
    hits: dict[str, int] = {}
    names = ["../../etc/passwd", "a" * 3000 + ".pkl", "\x1b[31mred.pkl", "", ".", "..", "-rf", "a\tb.pkl", "CON"]
    failing: dict[str, list] = {}  # statuses and Retry-After headers that a path answers first

    def do_GET(self):
        self.hits[self.path] = self.hits.get(self.path, 0) + 1
        failing = self.failing.get(self.path)
        wrong = WRONG.get(self.path.removeprefix("/wrong/").replace("%20", " "))
        if failing:
            status, pause = failing.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if pause is not None:
                self.send_header("Retry-After", pause)
            self.end_headers()
        elif wrong is not None:
            self.send_response(200)
            for name, value in {"Content-Length": str(len(wrong[1])), **wrong[0]}.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(wrong[1])
        elif self.path == "/asked":
            body = repr(self.headers.get_all("Accept-Encoding")).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path == "/large":
            self.send_response(200)
            self.send_header("Content-Length", str(256 << 20))
            self.end_headers()
            for _ in range(256):
                self.wfile.write(bytes(1 << 20))
        elif self.path.startswith("/named/"):
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.send_header("Content-Disposition", 'attachment; filename="' + self.names[int(self.path[7:])] + '"')
            self.end_headers()
            self.wfile.write(b"name")
        elif self.path == "/missing":
            self.send_error(404)
        elif self.path == "/flaky" and self.hits[self.path] < 3:
            self.send_error(503)
        elif self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
        elif self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(100):
                    self.wfile.write(bytes(1 << 20))
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(BODY)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.send_header("Content-Disposition", 'attachment; filename="model v1.pkl"')
            self.end_headers()
            self.wfile.write(BODY)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    Handler.hits.clear()


def fetch(url, tmp_path, **kwargs):
    with download.open_url(url, cache_dir=str(tmp_path), verbose=False, **kwargs) as file:
        return file.read()


def test_urls_are_told_from_paths():
    assert download.is_url("https://example.org/a.pkl") and not download.is_url("a.pkl")
    assert not download.is_url("file:///a.pkl") and download.is_url("file:///a.pkl", allow_file_urls=True)
    assert not download.is_url(None) and not download.is_url("https://")


def test_local_paths_and_file_urls_open(tmp_path):
    path = tmp_path / "a b.bin"
    path.write_bytes(b"local")
    for name in (str(path), path.as_uri()):
        with download.open_url(name) as file:
            assert file.read() == b"local"
    assert download.open_url(path.as_uri(), return_filename=True) == str(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        download.open_url(str(tmp_path / "none"))


def test_downloads_are_cached_under_their_name(server, tmp_path):
    for _ in range(2):
        assert fetch(f"{server}/model", tmp_path) == BODY
    assert Handler.hits["/model"] == 1
    name = download.open_url(f"{server}/model", cache_dir=str(tmp_path), return_filename=True)
    assert name.endswith("_model_v1.pkl") and [p.name for p in tmp_path.iterdir()] == [name.split("/")[-1]]


def test_server_errors_are_tried_again(server, tmp_path):
    assert fetch(f"{server}/flaky", tmp_path) == BODY
    assert Handler.hits["/flaky"] == 3


def test_missing_files_are_not_tried_again(server, tmp_path):
    with pytest.raises(OSError, match="404"):
        fetch(f"{server}/missing", tmp_path)
    assert Handler.hits["/missing"] == 1


def test_half_a_download_leaves_nothing(server, tmp_path):
    with pytest.raises(OSError, match="could not be downloaded in 2 attempts"):
        fetch(f"{server}/cut", tmp_path, num_attempts=2)
    assert list(tmp_path.iterdir()) == []


def test_redirects_are_followed_to_the_web_alone(server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    cache = tmp_path / "cache"
    assert fetch(f"{server}/to?{server}/model", cache) == BODY
    for target in (secret.as_uri(), "ftp://127.0.0.1/a", "data:text/plain,x"):
        with pytest.raises(OSError, match="leads to an address without downloads"):
            fetch(f"{server}/to?{target}", cache)
    with pytest.raises(OSError, match="leads to an address without downloads"):
        fetch(f"{server}/loop", cache)
    assert len(list(cache.iterdir())) == 1


def test_downloads_have_a_bound(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MOST_BYTES", 1 << 21)
    with pytest.raises(OSError, match="has more than 2097152 bytes"):
        fetch(f"{server}/endless", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")  # urllib3 leaves one open after two lengths
@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_not_whole_is_neither_returned_nor_kept(server, tmp_path, kind, cache):
    with pytest.raises(OSError, match=WRONG[kind][2]) as caught:
        fetch(f"{server}/wrong/{kind}", tmp_path, num_attempts=2, cache=cache)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600
    del caught
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_checksum_vouches_for_a_body_without_a_length(server, tmp_path):
    good = hashlib.sha256(BODY).hexdigest()
    assert fetch(f"{server}/wrong/no length", tmp_path, sha256=good) == BODY


def test_files_are_asked_for_as_they_are(server, tmp_path):
    assert fetch(f"{server}/asked", tmp_path) == b"['identity']"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_passing_failures_are_waited_for(server, tmp_path, monkeypatch, status):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    dates = ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "soon", "9" * 400]
    Handler.failing["/later"] = [(status, None), (status, "7"), (status, "86400"), *((status, date) for date in dates)]
    assert fetch(f"{server}/later", tmp_path) == BODY
    assert pauses == [1, 7, 60, 8, 60, 20, 20]


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 416])
def test_other_answers_are_no_files(server, tmp_path, status):
    Handler.failing["/other"] = [(status, "1")]
    with pytest.raises(OSError, match=f"answered {status}.*check the address"):
        fetch(f"{server}/other", tmp_path)
    assert Handler.hits["/other"] == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", range(len(Handler.names)))
def test_a_servers_name_stays_in_the_cache_folder(server, tmp_path, number):
    path = download.open_url(f"{server}/named/{number}", str(tmp_path), verbose=False, return_filename=True)
    (kept,) = tmp_path.iterdir()
    assert str(kept) == path and len(kept.name) < 150 and kept.name.isascii() and kept.read_bytes() == b"name"
    assert kept.suffix == (".pkl" if number in (1, 2, 7) else kept.suffix)


def test_what_a_killed_process_left_is_cleared_up(server, tmp_path):
    for name, age in ((".download-old", 90_000), (".download-new", 60)):
        (tmp_path / name).write_bytes(b"half")
        download.os.utime(tmp_path / name, (time.time() - age,) * 2)
    fetch(f"{server}/model", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir())[0] == ".download-new" and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("cache", [True, False])
def test_a_large_file_takes_no_memory(server, tmp_path, cache):
    """256 MiB, downloaded and its checksum compared in the cache, within 64 MiB more than the imports take."""
    code = f"""
import resource, hashlib
from dnnlib import download
import requests
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wanted = "{hashlib.sha256(bytes(256 << 20)).hexdigest()}"
for _ in range(2):
    with download.open_url("{server}/large", {str(tmp_path)!r}, verbose=False, cache={cache}, sha256=wanted) as file:
        assert file.seek(0, 2) == 256 << 20
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
assert grown < 64, grown
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert Handler.hits["/large"] == (1 if cache else 2)


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """The same server behind TLS, and the certificate to trust."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key", "-out", folder / "certificate"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl makes no certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", str(folder / "certificate")
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_secure_address_leads_to_no_insecure_one(secure, server, tmp_path, monkeypatch):
    address, certificate = secure
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
    assert fetch(f"{address}/model", tmp_path) == BODY
    assert fetch(f"{address}/to?/model", tmp_path) == BODY
    assert fetch(f"{server}/to?{address}/model", tmp_path) == BODY, "from http to https is fine"
    before = dict(Handler.hits)
    for way in (f"/to?{server}/plain", f"/to?{address}/to?{server}/plain", f"/to?{server.upper()}/plain"):
        with pytest.raises(OSError, match="leads to an address without downloads .from https to (?i:http)"):
            fetch(address + way, tmp_path)
    assert "/plain" not in Handler.hits and before.keys() <= Handler.hits.keys()


@pytest.mark.parametrize(
    "address",
    ["http://a\udcff.example/x", f"http://{'a' * 300}.example/x", "http://[::1/x", "http://a..b/x",
     "http://127.0.0.1:99999/x", "http://127.0.0.1:1/\x1b[31m"],
)  # fmt: skip
def test_addresses_of_all_kinds_end_in_one_line(tmp_path, address):
    with pytest.raises(OSError) as caught:
        fetch(address, tmp_path, num_attempts=1)
    assert str(caught.value).isprintable()


def test_no_connection_says_what_to_do(tmp_path):
    with pytest.raises(OSError, match="give the local path"):
        fetch("http://127.0.0.1:1/model", tmp_path, num_attempts=2)


def test_checksums_are_checked(server, tmp_path):
    good = hashlib.sha256(BODY).hexdigest()
    assert fetch(f"{server}/model", tmp_path, sha256=good) == BODY
    with pytest.raises(ValueError, match="expected 0000"):
        fetch(f"{server}/other", tmp_path, sha256="0" * 64)
    assert len(list(tmp_path.iterdir())) == 1


def test_cache_folder_can_be_set(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_cache_dir", None)
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path / "env"))
    assert cache.make_cache_dir_path("a", "b") == str(tmp_path / "env" / "a" / "b")
    cache.set_cache_dir(str(tmp_path / "set"))
    assert cache.make_cache_dir_path("a") == str(tmp_path / "set" / "a")
