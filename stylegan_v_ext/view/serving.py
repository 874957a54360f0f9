"""From a checkpoint to a page in the browser: opening the networks, serving the page until it is ended."""

import contextlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from stylegan_v_ext.checkpoints.checkpoint import load as load_checkpoint
from stylegan_v_ext.checkpoints.network import NetworkData
from stylegan_v_ext.device import pick_device
from stylegan_v_ext.editing.text_directions import measure_relevance
from stylegan_v_ext.editing.text_image import load_encoder
from stylegan_v_ext.generate.opening import open_network
from stylegan_v_ext.listener import SILENT, Listener
from stylegan_v_ext.view.studio import Controls, Studio


def open_studio(
    network: str | Path,
    *,
    image: str | Path | None = None,
    model: str | None = None,
    relevance_images: int = 16,
    device: str = "auto",
    trust_pickle: bool = False,
    allow_nan: bool = False,
    listener: Listener = SILENT,
) -> Studio:
    """Open what a page shows.

    Args:
        network: Video generator: a file of any known format, a run folder or a URL.
        image: StyleGAN2 image model for the layer slider; None for the styles of another seed.
        model: A CLIP model for edits by text, a folder or an id of the Hugging Face hub; None for no edits by text.
        relevance_images: Random videos that the channels of the network are measured on, for edits by text.
        device: "auto", "cuda", "cuda:1", "cpu" or "mps".
        trust_pickle: Whether to unpickle as Python does, which RUNS the code in the files.
        allow_nan: Whether to use networks with NaN or infinite weights.
        listener: Hears notes and progress.

    Returns:
        The studio; its `title` is the name of the file.

    Raises:
        ValueError: If an input cannot be used.
        StoppedBySignal: After Ctrl-C or another signal while channels are measured. The next call goes on.
    """
    opened = open_network(network, trust_pickle=trust_pickle, allow_nan=allow_nan, listener=listener)
    other = _image_model(image, trust_pickle=trust_pickle, allow_nan=allow_nan) if image else None
    studio = Studio(opened.data, pick_device(device), other, title=opened.path.name)
    first = studio.first_controls()
    if other is not None:
        swapped = Controls(split=studio.splits[1], class_index=first.class_index)
        studio.frame(swapped, 0)  # says now what does not fit
    if model:
        studio.encoder = load_encoder(model, studio.device)
        studio.relevance = measure_relevance(
            studio.plain, studio.encoder, None, relevance_images, first.class_index, listener
        )
    return studio


def _image_model(path: str | Path, *, trust_pickle: bool, allow_nan: bool) -> NetworkData:
    found = load_checkpoint(path, trust_pickle=trust_pickle, allow_nan=allow_nan)
    data = found.network(found.generator_key)
    if not data.is_image_model:
        raise ValueError(f"{found.path} is no StyleGAN2 image generator; give one, or leave --image out")
    return data


def serve(
    studio: Studio,
    *,
    address: str = "127.0.0.1",
    port: int | None = None,
    output: str | Path = "out",
    fps: float = 25.0,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a page for a studio until Ctrl-C. Nothing leaves this machine.

    Args:
        studio: What the page shows.
        address: Who can reach the page: "127.0.0.1" is this machine alone, "0.0.0.0" everybody.
        port: Port to listen at; None for the first free port from 7860 on.
        output: Folder for exported videos.
        fps: Frames a second of exports and of playing.
        ready: Called with the URL when the page can be opened.

    Raises:
        ValueError: If the gradio package is missing, or if the port cannot be had.
    """
    from stylegan_v_ext.view.page import build_page, launch

    with tempfile.TemporaryDirectory(prefix="stylegan-v-view-") as files, _gradio_settings(files):
        page = build_page(studio, Path(output), studio.title, fps)
        try:
            url = launch(page, address, port, Path(output), Path(files))
        except OSError:
            where = f"--port={port}" if port else "ports 7860 to 7959"
            raise ValueError(f"{where} on {address} cannot be had; choose another --port or --address") from None
        ready(url)
        page.block_thread()


def check_gradio() -> None:
    """Raise `ValueError` if the gradio package is missing."""
    if importlib.util.find_spec("gradio") is None:
        raise ValueError("the page needs the gradio package; pip install 'stylegan_v_ext[view]'")


@contextlib.contextmanager
def _gradio_settings(files: str) -> Iterator[None]:
    """Tell gradio, which reads the environment, to tell nobody and to keep its files in a folder of our own."""
    settings = {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": files}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
