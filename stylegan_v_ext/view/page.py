"""The page itself, made with gradio."""

import contextlib
import html
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from stylegan_v_ext.text import printable
from stylegan_v_ext.view.guard import Guard
from stylegan_v_ext.view.studio import Controls, Studio

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # a page for one's own machine tells nobody

_FORMATS = ("mp4", "webm", "gif", "webp")
_TICK_SECONDS = 0.1
_LONGEST = 4096  # of the time slider
_LONGEST_TITLE = 120
_SYSTEM_FONTS = ["system-ui", "sans-serif"]
_CSS = "#screen img {image-rendering: pixelated; width: 100%; object-fit: contain}"
_ORDER = (
    "content_seed",
    "motion_seed",
    "truncation",
    "amplitude",
    "split",
    "other_seed",
    "class_index",
    "prompt",
    "neutral",
    "strength",
    "disentangle",
)


def build_page(studio: Studio, exports: Path, title: str, fps: float = 25.0) -> Any:
    """A gradio page for a studio.

    Args:
        exports: Folder that videos are written to.
        title: What is looked at.
    """
    import gradio as gr

    lock = threading.Lock()  # styles are shifted in place, one frame at a time

    def controls(values: tuple[Any, ...]) -> Controls:
        found = dict(zip(_ORDER, values, strict=True))
        found["split"] = studio.splits[int(found["split"])]
        for name in ("content_seed", "motion_seed", "other_seed"):
            found[name] = int(found[name] or 0)
        found["class_index"] = None if found["class_index"] is None else int(found["class_index"])
        return Controls(**found)

    def show(moment: float, *values: Any) -> np.ndarray:
        try:
            with lock:
                return _rgb(studio.frame(controls(values), float(moment or 0)))
        except ValueError as error:
            raise gr.Error(html.escape(printable(error))) from None

    def advance(moment: float, speed: float, *values: Any) -> tuple[float, np.ndarray]:
        moment = (float(moment or 0) + speed * fps * _TICK_SECONDS) % _LONGEST
        return moment, show(moment, *values)

    def toggle(playing: bool) -> tuple[bool, Any, Any]:
        return not playing, gr.Timer(active=not playing), gr.Button("Play" if playing else "Pause")

    def export(format: str, seconds: float, moment: float, speed: float, *values: Any) -> str:
        try:
            with lock:
                return str(studio.export(controls(values), exports, format, seconds, fps, float(moment or 0), speed))
        except ValueError as error:
            raise gr.Error(html.escape(printable(error))) from None

    title = printable(title, _LONGEST_TITLE)
    with gr.Blocks(title=title) as page:
        gr.HTML(f"<h2>{html.escape(title)}</h2>", elem_id="title")
        playing = gr.State(False)
        timer = gr.Timer(_TICK_SECONDS, active=False)
        with gr.Row():
            with gr.Column(scale=3):
                screen = gr.Image(
                    value=_rgb(studio.frame(_first(studio), 0)),
                    show_label=False,
                    interactive=False,
                    format="png",
                    height=512,
                    elem_id="screen",
                )
                with gr.Row():
                    play = gr.Button("Play", elem_id="play", scale=1)
                    moment = gr.Slider(0, _LONGEST, value=0, step=0.25, label="Time, frames", elem_id="time", scale=5)
                speed = gr.Slider(0.05, 4, value=1, step=0.05, label="Speed", elem_id="speed")
            with gr.Column(scale=2):
                knobs = _knobs(gr, studio)
                with gr.Row():
                    format = gr.Dropdown(list(_FORMATS), value="mp4", label="Format", elem_id="format")
                    seconds = gr.Number(4, label="Seconds", minimum=0.1, maximum=600, elem_id="seconds")
                button = gr.Button("Export video", elem_id="export")
                file = gr.File(label="Exported", interactive=False, elem_id="file")
        inputs = [knobs[name] for name in _ORDER]
        quiet: dict[str, Any] = dict(show_progress="hidden", api_visibility="private")
        for name in _ORDER:
            event = knobs[name].submit if name in ("prompt", "neutral") else knobs[name].change
            event(show, [moment, *inputs], screen, **quiet)
        moment.input(show, [moment, *inputs], screen, **quiet)
        timer.tick(advance, [moment, speed, *inputs], [moment, screen], **quiet)
        play.click(toggle, playing, [playing, timer, play], **quiet)
        button.click(export, [format, seconds, moment, speed, *inputs], file, api_visibility="private")
    return page


def _knobs(gr: Any, studio: Studio) -> dict[str, Any]:
    """The components by the names of `Controls`; those that have no use here are hidden."""
    texts = studio.encoder is not None
    classes = studio.plain.generator.num_classes
    steps = len(studio.splits) - 1
    swapped = "of the image model" if studio.image is not None else "with the styles of another seed"
    marks = ", ".join(f"{number}: from {split} px" for number, split in enumerate(studio.splits) if split)
    with gr.Row():
        content = gr.Number(0, label="Content seed", precision=0, minimum=0, maximum=2**32 - 1, elem_id="content")
        motion = gr.Number(0, label="Motion seed", precision=0, minimum=0, maximum=2**32 - 1, elem_id="motion")
    index = (
        gr.Slider(0, max(classes - 1, 1), value=0 if classes else None, step=1, label="Class", visible=classes > 0)
        if classes
        else gr.State(None)
    )
    truncation = gr.Slider(0, 1.5, value=1, step=0.05, label="Truncation psi", elem_id="truncation")
    amplitude = gr.Slider(0, 3, value=1, step=0.05, label="Motion amplitude", elem_id="amplitude")
    split = gr.Slider(0, steps, value=0, step=1, label=f"Layers {swapped}", info=f"0: none, {marks}", elem_id="split")
    other = gr.Number(
        1,
        label="The other seed",
        precision=0,
        minimum=0,
        maximum=2**32 - 1,
        visible=studio.image is None,
        elem_id="other",
    )
    prompt = gr.Textbox("", label="Edit by text (press Enter)", placeholder="a sunset", visible=texts, elem_id="prompt")
    neutral = gr.Textbox("a picture", label="Instead of", visible=texts, elem_id="neutral")
    strength = gr.Slider(-20, 20, value=5, step=0.5, label="Strength", visible=texts, elem_id="strength")
    disentangle = gr.Slider(0, 0.95, value=0.3, step=0.05, label="Disentangle", visible=texts)
    return dict(
        content_seed=content,
        motion_seed=motion,
        truncation=truncation,
        amplitude=amplitude,
        split=split,
        other_seed=other,
        class_index=index,
        prompt=prompt,
        neutral=neutral,
        strength=strength,
        disentangle=disentangle,
    )


def _first(studio: Studio) -> Controls:
    return Controls(class_index=0 if studio.plain.generator.num_classes else None)


def _rgb(frame: np.ndarray) -> np.ndarray:
    return frame.repeat(3, axis=2) if frame.shape[2] == 1 else frame


def launch(page: Any, address: str, port: int | None, exports: Path, files: Path) -> str:
    """Serve a page in the background; returns its URL.

    Args:
        address: To listen at.
        port: `None` for the first that is free from 7860 on.
        exports: The folder of exported videos; gradio copies those that the page offers.
        files: The folder that gradio keeps pictures and videos for the page in, `GRADIO_TEMP_DIR`.

    Raises:
        OSError: If the port is taken.
    """
    import gradio as gr

    @contextlib.asynccontextmanager
    async def guarded(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Guard(app.middleware_stack, address, files)
        yield

    _, url, _ = page.launch(
        server_name=address,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        show_error=True,
        css=_CSS,
        footer_links=[],
        theme=gr.themes.Default(font=_SYSTEM_FONTS, font_mono=["monospace"]),
        allowed_paths=[str(exports.resolve())],
        app_kwargs={"lifespan": guarded},
        ssr_mode=False,
        num_workers=0,
        mcp_server=False,
        enable_monitoring=False,
    )
    assert isinstance(page.app.middleware_stack, Guard), "the page runs unguarded"
    return url
