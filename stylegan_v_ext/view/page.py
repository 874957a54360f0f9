"""The page itself, made with gradio."""

import contextlib
import html
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from stylegan_v_ext.text import printable
from stylegan_v_ext.view.guard import Application, Guard
from stylegan_v_ext.view.studio import Controls, Studio

if TYPE_CHECKING:
    import gradio as gr

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


class _Actions:
    """What the components of the page call. Values of the knobs come in the order of `_ORDER`.

    Args:
        studio: Makes the frames.
        exports: Folder that videos are written to.
        fps: Frames a second of exports and of playing.
    """

    def __init__(self, studio: Studio, exports: Path, fps: float) -> None:
        self.studio, self.exports, self.fps = studio, exports, fps
        self.lock = threading.Lock()  # styles are shifted in place, one frame at a time

    def controls(self, values: tuple[Any, ...]) -> Controls:
        """Return the position of the knobs."""
        found = dict(zip(_ORDER, values, strict=True))
        found["split"] = self.studio.splits[int(found["split"])]
        for name in ("content_seed", "motion_seed", "other_seed"):
            found[name] = int(found[name] or 0)
        found["class_index"] = None if found["class_index"] is None else int(found["class_index"])
        return Controls(**found)

    def show(self, moment: float | None, *values: object) -> np.ndarray:
        """Return the picture at a moment."""
        with _shown_errors(), self.lock:
            return _rgb(self.studio.frame(self.controls(values), float(moment or 0)))

    def advance(self, moment: float | None, speed: float, *values: object) -> tuple[float, np.ndarray]:
        """Return the next moment while the video plays, and its picture."""
        later = (float(moment or 0) + speed * self.fps * _TICK_SECONDS) % _LONGEST
        return later, self.show(later, *values)

    def toggle(self, playing: bool) -> tuple[bool, object, object]:  # noqa: FBT001
        """Start to play, or pause."""
        import gradio as gr

        return not playing, gr.Timer(active=not playing), gr.Button("Play" if playing else "Pause")

    def export(self, format: str, seconds: float, moment: float | None, speed: float, *values: object) -> str:
        """Write a video; return its path."""
        with _shown_errors(), self.lock:
            start = float(moment or 0)
            return str(self.studio.export(self.controls(values), self.exports, format, seconds, self.fps, start, speed))


@contextlib.contextmanager
def _shown_errors() -> Iterator[None]:
    """Show a `ValueError` on the page."""
    import gradio as gr

    try:
        yield
    except ValueError as error:
        raise gr.Error(html.escape(printable(error))) from None


@dataclass(frozen=True)
class _Parts:
    """The components of the page.

    Attributes:
        knobs: Components by the names of `Controls`.
    """

    knobs: "dict[str, gr.components.Component]"
    screen: "gr.Image"
    moment: "gr.Slider"
    speed: "gr.Slider"
    playing: "gr.State"
    timer: "gr.Timer"
    play: "gr.Button"
    format: "gr.Dropdown"
    seconds: "gr.Number"
    export: "gr.Button"
    file: "gr.File"


def build_page(studio: Studio, exports: Path, title: str, fps: float = 25.0) -> "gr.Blocks":
    """Make a gradio page for a studio.

    Args:
        studio: Makes the frames.
        exports: Folder that videos are written to.
        title: What is looked at.
        fps: Frames a second of exports and of playing.

    Returns:
        The page, for `launch`.
    """
    import gradio as gr

    title = printable(title, _LONGEST_TITLE)
    with gr.Blocks(title=title, analytics_enabled=False) as page:  # the page sends nothing to other machines
        gr.HTML(f"<h2>{html.escape(title)}</h2>", elem_id="title")
        _connect(_lay_out(studio), _Actions(studio, exports, fps))
    return page


def _lay_out(studio: Studio) -> _Parts:
    """Make the components of the page, from left to right and from top to bottom."""
    import gradio as gr

    playing, timer = gr.State(value=False), gr.Timer(_TICK_SECONDS, active=False)
    with gr.Row():
        with gr.Column(scale=3):
            screen = gr.Image(
                value=_rgb(studio.frame(studio.first_controls(), 0)),
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
            knobs = _knobs(studio)
            with gr.Row():
                format = gr.Dropdown(list(_FORMATS), value="mp4", label="Format", elem_id="format")
                seconds = gr.Number(4, label="Seconds", minimum=0.1, maximum=600, elem_id="seconds")
            export = gr.Button("Export video", elem_id="export")
            file = gr.File(label="Exported", interactive=False, elem_id="file")
    return _Parts(knobs, screen, moment, speed, playing, timer, play, format, seconds, export, file)


def _connect(parts: _Parts, actions: _Actions) -> None:
    """Let the components call the actions."""
    values = [parts.knobs[name] for name in _ORDER]
    quiet: dict[str, Any] = dict(show_progress="hidden", api_visibility="private")
    for name in _ORDER:
        event = getattr(parts.knobs[name], "submit" if name in ("prompt", "neutral") else "change")
        event(actions.show, [parts.moment, *values], parts.screen, **quiet)
    parts.moment.input(actions.show, [parts.moment, *values], parts.screen, **quiet)
    parts.timer.tick(actions.advance, [parts.moment, parts.speed, *values], [parts.moment, parts.screen], **quiet)
    parts.play.click(actions.toggle, parts.playing, [parts.playing, parts.timer, parts.play], **quiet)
    settings = [parts.format, parts.seconds, parts.moment, parts.speed, *values]
    parts.export.click(actions.export, settings, parts.file, api_visibility="private")


def _knobs(studio: Studio) -> "dict[str, gr.components.Component]":
    """Make the components that set `Controls`, by the names of its fields; components without a use are hidden."""
    import gradio as gr

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


def _rgb(frame: np.ndarray) -> np.ndarray:
    return frame.repeat(3, axis=2) if frame.shape[2] == 1 else frame


def launch(page: "gr.Blocks", address: str, port: int | None, exports: Path, files: Path) -> str:
    """Serve a page in the background.

    Args:
        page: Result of `build_page`.
        address: Address to listen at.
        port: Port to listen at; None for the first free port from 7860 on.
        exports: Folder of exported videos; gradio copies those that the page offers.
        files: Folder that gradio keeps pictures and videos for the page in, `GRADIO_TEMP_DIR`.

    Returns:
        URL of the page.

    Raises:
        OSError: If the port is taken.
    """
    import gradio as gr

    @contextlib.asynccontextmanager
    async def guarded(app: "gr.routes.App") -> AsyncIterator[None]:
        app.middleware_stack = Guard(cast(Application, app.middleware_stack), address, files)
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
