"""The page in a real browser: seeds, playing, layers, text, export."""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import pytest
import requests
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.data.ffmpeg import VideoReader
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCREENSHOT = os.environ.get("STYLEGAN_V_SCREENSHOT")  # a path to keep a picture of the page at
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium")


@pytest.fixture(scope="module")
def served(trained_path, tmp_path_factory):
    """(URL, folder of exports) of `stylegan-v view` for the trained network with a tiny CLIP."""
    for package in ("gradio", "transformers", "playwright"):
        pytest.importorskip(package)
    from tests.editing.tiny_clip import write_tiny_clip

    folder = tmp_path_factory.mktemp("exports")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "stylegan_v_ext.cli.main", "view", f"--network={trained_path}", f"--output={folder}",
        f"--clip={write_tiny_clip(tmp_path_factory.mktemp('clip'))}", "--relevance-images=1", f"--port={port}",
    ]  # fmt: skip
    environment = {**os.environ, "DNNLIB_CACHE_DIR": str(tmp_path_factory.mktemp("cache")), "OMP_NUM_THREADS": "1"}
    with open(folder.parent / "view.log", "w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        url = f"http://127.0.0.1:{port}/"
        deadline = time.monotonic() + 120
        while not _answers(url):
            assert process.poll() is None and time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.2)
        yield url, folder
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130, Path(log.name).read_text()
        assert "Traceback" not in Path(log.name).read_text()


def _answers(url):
    try:
        return requests.get(url, timeout=2).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(served, browser):
    opened = browser.new_page(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    opened.set_default_timeout(30_000)
    opened.goto(served[0])
    opened.wait_for_selector("#screen img")
    yield opened
    opened.close()


def picture(page):
    """Address of the shown picture, which changes when the picture does."""
    return page.get_attribute("#screen img", "src")


def changed(page, before):
    page.wait_for_function("before => document.querySelector('#screen img').src !== before", arg=before)
    return picture(page)


def absolute(page):
    return page.evaluate("document.querySelector('#screen img').src")


def test_a_new_seed_shows_a_new_picture(page):
    before = absolute(page)
    page.fill("#content input", "5")
    page.press("#content input", "Enter")
    changed(page, before)
    before = absolute(page)
    page.fill("#motion input", "9")
    page.press("#motion input", "Enter")
    changed(page, before)


def test_playing_moves_time_and_pausing_stops_it(page):
    before = absolute(page)
    page.click("#play")
    changed(page, before)
    page.wait_for_function("Number(document.querySelector('#time input[type=number]').value) > 5")
    assert page.inner_text("#play") == "Pause"
    page.click("#play")
    page.wait_for_function("document.querySelector('#play').innerText === 'Play'")
    page.wait_for_timeout(1500)
    if SCREENSHOT:
        page.screenshot(path=SCREENSHOT)
    stopped = page.input_value("#time input[type=number]")
    page.wait_for_timeout(800)
    assert page.input_value("#time input[type=number]") == stopped


def test_layers_are_swapped_by_a_slider(page):
    before = absolute(page)
    page.fill("#split input[type=number]", "4")
    page.press("#split input[type=number]", "Enter")
    changed(page, before)


def test_text_edits_the_picture(page):
    before = absolute(page)
    page.fill("#prompt textarea, #prompt input", "a sunset")
    page.press("#prompt textarea, #prompt input", "Enter")
    changed(page, before)


def test_a_video_is_exported(page, served):
    page.fill("#seconds input", "1")
    page.press("#seconds input", "Enter")
    with page.expect_response(lambda answer: "queue/data" in answer.url):
        page.click("#export")
    page.wait_for_selector("#file a[href]")
    with page.expect_download() as download:
        page.click("#file a[href]")
    written = list(Path(served[1]).glob("*.mp4"))
    assert len(written) == 1 and Path(download.value.path()).read_bytes() == written[0].read_bytes()
    frames = np.stack(list(VideoReader(str(written[0]))))
    assert frames.shape[0] == 25 and frames.std() > 5


def test_the_picture_is_the_generators(page, served, trained_path, tmp_path):
    shown = page.request.get(absolute(page)).body()
    image = np.asarray(PIL.Image.open(io.BytesIO(shown)).convert("RGB")).astype(int)
    sampler = VideoSampler(load(trained_path).build_generator(), torch.device("cpu"))
    expected = next(iter(sampler.frames(VideoName(0, 0), [0.0])))
    assert np.abs(image - expected).max() <= 1


def test_the_page_listens_on_this_machine_alone(served):
    port = int(served[0].rstrip("/").rpartition(":")[2])
    listening = {
        connection.laddr.ip
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert listening == {"127.0.0.1"}
