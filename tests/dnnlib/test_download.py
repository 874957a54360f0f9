"""open_url against a server on this machine that misbehaves in the usual ways."""

import contextlib
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dnnlib import download

BODY = b"weights " * 1000


class Handler(BaseHTTPRequestHandler):
    hits: dict[str, int] = {}

    def do_GET(self):
        self.hits[self.path] = self.hits.get(self.path, 0) + 1
        if self.path == "/missing":
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
        with pytest.raises(OSError, match="leads where nothing is downloaded from"):
            fetch(f"{server}/to?{target}", cache)
    with pytest.raises(OSError, match="leads where nothing is downloaded from"):
        fetch(f"{server}/loop", cache)
    assert len(list(cache.iterdir())) == 1


def test_downloads_have_a_bound(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_MOST_BYTES", 1 << 21)
    with pytest.raises(OSError, match="has more than 2097152 bytes"):
        fetch(f"{server}/endless", tmp_path)
    assert list(tmp_path.iterdir()) == []


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
    monkeypatch.setattr(download, "_cache_dir", None)
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path / "env"))
    assert download.make_cache_dir_path("a", "b") == str(tmp_path / "env" / "a" / "b")
    download.set_cache_dir(str(tmp_path / "set"))
    assert download.make_cache_dir_path("a") == str(tmp_path / "set" / "a")
