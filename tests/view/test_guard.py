"""What the page answers, and to whom, over HTTP."""

import gc
import json
import re
import socket
import urllib.parse
from pathlib import Path

import pytest
import requests

from stylegan_v_ext.view.guard import host_check

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what gradio leaves open

# (address that the page listens at, Host headers that are answered, Host headers that are not)
HOSTS = [
    ("127.0.0.1", ["127.0.0.1:7860", "127.0.0.1", "localhost", "LOCALHOST:1", "localhost.", "[::1]:7860", "127.9.9.9"],
     ["evil.example", "127.0.0.1.evil.example", "evil.example:7860", "localhost.evil.example", "10.0.0.5", "0.0.0.0",
      "", "[::1", "127.0.0.1@evil.example", "evil.example#localhost", "localhost/evil", "2130706433", "0x7f.1", "127.1",
      "localhost evil", "évil", "[::ffff:8.8.8.8]"]),
    ("::1", ["[::1]:7860", "localhost"], ["evil.example", "8.8.8.8"]),
    ("localhost", ["localhost:7860", "127.0.0.1"], ["evil.example", "8.8.8.8"]),
    ("0.0.0.0", ["192.168.1.7:7860", "localhost", "[fe80::1]", socket.gethostname().upper(), "127.0.0.1"],
     ["evil.example", "192.168.1.7.evil.example", "192.168.1.7.nip.example"]),
    ("studio.example", ["studio.example:7860", "Studio.Example."], ["evil.example", "studio.example.evil"]),
]  # fmt: skip


@pytest.mark.parametrize(("address", "known", "strange"), HOSTS)
def test_names_of_the_page_are_told_from_others(address, known, strange):
    accepts = host_check(address)
    assert [host for host in known if not accepts(host)] == []
    assert [host for host in strange if accepts(host)] == []


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory):
    """(URL, folder of exports, folder of gradio's files) of a page in this process."""
    pytest.importorskip("gradio")
    import torch

    from stylegan_v_ext.checkpoints.network import NetworkData
    from stylegan_v_ext.view.page import build_page, launch
    from stylegan_v_ext.view.studio import Studio

    exports, files = tmp_path_factory.mktemp("exports"), tmp_path_factory.mktemp("files")
    (exports / "private.txt").write_text("private")
    (files / "shown.txt").write_text("shown")
    (files / "link").symlink_to(exports / "private.txt")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GRADIO_TEMP_DIR", str(files))
        page = _built(lambda: build_page(Studio(NetworkData.of(trained), torch.device("cpu")), exports, TITLE))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        yield launch(page, "127.0.0.1", port, exports, files), exports, files
        page.close()
    gc.collect()


def _built(build):
    """Call `build` without garbage collection.

    Gradio tries to import a module that is absent. Python 3.11 loses its record of that import if a finaliser of
    garbage imports something at the same moment, and the import then ends in a KeyError.
    """
    gc.collect()
    gc.disable()
    try:
        return build()
    finally:
        gc.enable()


TITLE = "<img src=x onerror=alert(1)>\x1b[31m![a](http://evil.example/)\u202e$(x)日本.pkl" + "x" * 500


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "config", "gradio_api/queue/data?session_hash=x", "gradio_api/queue/join",
                                  "gradio_api/upload", "gradio_api/heartbeat/x", "nowhere"])  # fmt: skip
@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:80"}, {"Host": ""},
                                     {"Origin": "http://evil.example"}, {"Origin": "null"},
                                     {"Origin": "http://localhost:1"}])  # fmt: skip
def test_strangers_are_refused_everywhere(served, method, path, headers):
    answer = requests.request(method, served[0] + path, headers=headers, timeout=10, stream=True)
    assert answer.status_code == 403 or (headers.get("Host") == "" and answer.status_code == 400), answer.text
    assert not {name.lower() for name in answer.headers} & {"access-control-allow-origin", "set-cookie"}
    answer.close()


def test_the_page_answers_itself(served):
    url, _, files = served
    own = {"Origin": url.rstrip("/")}
    for path in ("", "config", "theme.css", "gradio_api/startup-events"):
        assert requests.get(url + path, headers=own, timeout=10).ok, path
    assert requests.get(url.replace("127.0.0.1", "localhost"), timeout=10).ok
    assert requests.get(f"{url}gradio_api/file={files}/shown.txt", timeout=10).text == "shown"
    text = requests.get(url, timeout=10).text
    script = re.search(r"assets/[\w./-]+\.js", text)[0]
    assert requests.get(url + script, timeout=10).ok


def test_a_request_without_a_host_or_with_two_is_refused(served):
    port = int(served[0].rstrip("/").rpartition(":")[2])
    for head in ("GET / HTTP/1.0\r\n\r\n", f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n",
                 f"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n",
                 f"GET /gradio_api/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n"):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head.encode())
            assert connection.recv(4096).split()[1] in (b"403", b"400"), head


@pytest.mark.parametrize("path", ["gradio_api/upload", "upload", "gradio_api/upload?upload_id=x",
                                  "gradio_api//upload", "gradio_api/UPLOAD", "gradio_api/upload/",
                                  "gradio_api/%75pload", "assets/../gradio_api/upload",
                                  "gradio_api/queue/join/../../upload"])  # fmt: skip
def test_nothing_is_uploaded(served, path):
    before = sorted(served[2].rglob("*"))
    request = requests.Request("POST", served[0] + path, files={"files": ("a.html", b"<script>")}).prepare()
    request.url = served[0] + path
    with requests.Session() as session:
        assert session.send(request, timeout=10).status_code in (403, 404, 405)
    assert sorted(served[2].rglob("*")) == before


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 8 << 20])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_request_has_a_bound(served, size, chunked):
    body = json.dumps({"data": [], "fn_index": 99, "session_hash": "x"}).encode().ljust(size)
    answer = requests.post(
        f"{served[0]}gradio_api/queue/join", data=iter([body]) if chunked else body, timeout=10,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert (answer.status_code == 413) == (size > 1 << 20)


def test_only_the_pages_own_files_are_read(served):
    url, exports, files = served
    strange = ["/etc/passwd", str(exports / "private.txt"), str(files / "link"), f"{files}/../exports0/private.txt",
               f"{files}/../{exports.name}/private.txt", "http://127.0.0.1:1/x", "https://example.org/",
               "file:///etc/passwd", "etc/passwd", "~/x", "", "//etc/passwd", "\x00",
               str(Path(__file__)), "C:\\x", f"{files}x/a"]  # fmt: skip
    for path in strange:
        for quoted in {path, urllib.parse.quote(path), urllib.parse.quote(path, safe="")}:
            request = requests.Request("GET", url).prepare()
            request.url = f"{url}gradio_api/file={quoted}".replace("\x00", "%00")
            with requests.Session() as session:
                answer = session.send(request, timeout=10)
            assert answer.status_code in (400, 403, 404), (quoted, answer.text)
            assert "private" not in answer.text


@pytest.mark.parametrize("path", [
    "monitoring", "monitoring/summary", "gradio_api/info", "gradio_api/openapi.json", "docs", "redoc", "openapi.json",
    "gradio_api/proxy=https://example.org/", "gradio_api/file/etc/passwd", "gradio_api/user", "gradio_api/token",
    "gradio_api/component_server", "gradio_api/call/x", "gradio_api/run/x", "gradio_api/runs", "gradio_api/deep_link",
    "gradio_api/stream/x/close", "gradio_api/vibe-code", "gradio_api/profiling/traces", "gradio_api/mcp/sse", "login",
    "custom_component/x", "svelte/x", "gradio_api/custom_component/1/a/b/c", "gradio_api/upload_progress?upload_id=x",
    "gradio_api/process_recording", "gradio_api/dev/reload",
])  # fmt: skip
def test_the_rest_of_gradio_is_closed(served, path):
    for method in ("GET", "POST"):
        assert requests.request(method, served[0] + path, timeout=10, allow_redirects=False).status_code == 403


def test_a_hostile_title_is_text(served):
    page, config = requests.get(served[0], timeout=10).text, requests.get(served[0] + "config", timeout=10).json()
    assert "<img src=x" not in page and "\x1b" not in page and "\u202e" not in page
    shown = next(part["props"]["value"] for part in config["components"] if part["props"].get("elem_id") == "title")
    assert shown.startswith("<h2>&lt;img src=x onerror=alert(1)&gt;?[31m![a](http://evil.example/)?$(x)日本.pkl")
    assert len(config["title"]) < 130 and config["title"].isprintable()
