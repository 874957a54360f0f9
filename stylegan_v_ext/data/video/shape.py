"""From a decoded frame to the frame that comes out: upright RGB with square pixels, all of one size."""

import importlib
import struct
from collections.abc import Mapping
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, cast

import av.filter
from av.filter.graph import Graph
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

from stylegan_v_ext.data.geometry import BLACK, Geometry, Plan
from stylegan_v_ext.data.limits import MOST_PIXELS
from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.tags import (
    BT601,
    BT709,
    BT2020,
    CURVES,
    GAMUTS,
    LIMITED,
    MATRICES,
    RGB,
    UNKNOWN,
)

if TYPE_CHECKING:
    from stylegan_v_ext.data.video.colours import Finish

WIDEST_PIXEL = 16  # width of a pixel divided by its height, or the reverse; a file that states more is wrong
THREADS = 4  # the same on every machine, so that a damaged file gives the same frames everywhere
LARGE = 2**20  # pixels of a frame; for larger frames several threads are worth their start and their memory
_SCALING = "flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp:sws_dither=none"
_NAMES: dict[tuple[int, ...], str] = {BLACK: "black", (255, 255, 255): "white"}


def _allow_unknown_kinds() -> None:
    """Let PyAV accept side data of kinds that it does not know; otherwise it refuses the frame."""

    def unknown(kinds: type[Type], value: int) -> Type:
        member = object.__new__(kinds)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value  # type: ignore[assignment]
        return member

    Type._missing_ = classmethod(unknown)  # type: ignore[assignment]


_allow_unknown_kinds()


class NeedsNumpy(Exception):
    """The file needs NumPy, which must be imported before the process gives up the right to open files."""


def check_size(width: int, height: int) -> None:
    """Raise `Problem` if a frame of this width and height has too many pixels."""
    if width * height > MOST_PIXELS:
        raise Problem(f"its frames are {width}x{height}; the most is {MOST_PIXELS} pixels, such as 8192x8192")


class Shaper:
    """Brings all frames of a video into one form.

    Args:
        geometry: Form of the frames; None takes the size at which the first frame is shown.
        notes: List to which clauses about changes of the picture are added, each clause once.

    Attributes:
        size: (width, height) of the frames that come out, in pixels; None before the first frame if `geometry` is None.
    """

    def __init__(self, geometry: Geometry | None, notes: list[str]) -> None:
        self._geometry, self._notes = geometry, notes
        self._ground: tuple[int, ...] = tuple(geometry.background) if geometry else BLACK
        self.size: tuple[int, int] | None = (geometry.side, geometry.side) if geometry else None
        self._form: tuple[object, ...] | None = None
        self._graph: Graph | None = None
        self._finish: Finish | None = None

    def pixels(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> bytes:
        """Return the RGB pixels of the frame that comes out, row by row, 3 bytes a pixel.

        Args:
            frame: A frame of the decoder.
            pixel_aspect: Width of its pixels divided by their height; None if unknown.

        Raises:
            Problem: If the colours of the frame cannot be shown, or if it has too many pixels.
            NeedsNumpy: If NumPy is needed and not imported.
        """
        self._settle_colours(frame)
        aspect = self._believable(pixel_aspect)
        form = (
            frame.width,
            frame.height,
            frame.format.name,
            int(frame.colorspace),
            int(frame.color_range),
            int(frame.color_trc),
            int(frame.color_primaries),
            _turns(frame),
            aspect,
        )
        if form != self._form:
            self._set_up(frame, _turns(frame), aspect)
            self._form = form
        assert self._graph is not None
        self._graph.vpush(frame)
        return self._placed(self._graph.vpull())

    def _settle_colours(self, frame: VideoFrame) -> None:
        """Choose the colour matrix if the file does not state it. Raises `Problem` for an unsupported matrix."""
        form = frame.format
        if form.is_rgb or form.has_palette or len(form.components) < 3 or form.name.startswith("xyz"):
            return
        matrix = int(frame.colorspace)
        if matrix == UNKNOWN and Type.DOVI_METADATA in frame.side_data and int(frame.color_trc) == UNKNOWN:
            raise Problem("its colours are only defined by Dolby Vision, which cannot be shown")
        if matrix in (UNKNOWN, RGB):
            high = frame.height >= 720 or frame.width >= 1280
            wide = int(frame.color_primaries) == 9 or int(frame.color_trc) in CURVES
            frame.colorspace = BT2020 if wide else BT709 if high else BT601
        elif matrix not in MATRICES:
            raise Problem(f"its colour matrix, number {matrix} of the standard H.273, is not supported")

    def _believable(self, pixel_aspect: Fraction | None) -> Fraction:
        if not pixel_aspect or pixel_aspect < 0:
            return Fraction(1)
        if not Fraction(1, WIDEST_PIXEL) <= pixel_aspect <= WIDEST_PIXEL:
            limits = f"limits 1:{WIDEST_PIXEL} to {WIDEST_PIXEL}:1"
            self._note(f"its stated pixel aspect, {float(pixel_aspect):.4g}:1, is ignored ({limits})")
            return Fraction(1)
        return pixel_aspect

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _set_up(self, frame: VideoFrame, turns: tuple[str, ...], aspect: Fraction) -> None:
        """Make the chain of filters for frames of this form."""
        quarter = any(turn.startswith("transpose") for turn in turns)
        picture = (frame.height, frame.width) if quarter else (frame.width, frame.height)
        plan = self._plan(picture, float(1 / aspect if quarter else aspect))
        left, top, width, height = plan.crop
        scaled = plan.scaled
        if quarter:
            left, top, width, height = top, left, height, width
            scaled = scaled[::-1]
        curve, primaries = int(frame.color_trc), int(frame.color_primaries)
        converted = curve in CURVES or primaries in GAMUTS
        alpha, grey = _has_alpha(frame), len(frame.format.components) == 1 and not frame.format.has_palette
        limited_grey = grey and frame.color_range == LIMITED
        deep = alpha or converted or limited_grey
        self._finish = None
        if deep:
            colours = _import_colours()
            conversion = colours.Conversion(curve, primaries, _peak(frame)) if converted else None
            opaque = _opaque(frame) if alpha else 0
            self._finish = colours.Finish(conversion, opaque, self._ground, limited_grey=limited_grey)
        self._note_conversion(curve, primaries)
        if _is_askew(frame):
            self._note("it states a rotation by an angle that is no quarter turn; the nearest quarter turn is used")
        is_cropped = plan.crop[2:] != picture
        parts = [f"crop={width}:{height}:{left}:{top}:exact=1"] if is_cropped else []
        if alpha:  # so that colours of transparent pixels do not get into others by the scaling
            parts += [f"scale={_SCALING}", "format=gbrap16le", "premultiply=inplace=1"]
        parts.append(f"scale={scaled[0]}:{scaled[1]}:{_SCALING}")
        parts += ["format=" + ("rgba64le" if alpha else "rgb48le" if deep else "gbrp"), *turns]
        parts += [] if deep else ["scale=flags=neighbor", "format=rgb24"]  # planes first, which FFmpeg scales fast
        self._graph = filter_graph(frame, parts)

    def _plan(self, picture: tuple[int, int], aspect: float) -> Plan:
        """Plan the frames that come out.

        Args:
            picture: (width, height) of the upright picture in pixels.
            aspect: Width of these pixels divided by their height.
        """
        width, height = picture
        if self._geometry is not None:
            return self._geometry.plan(width, height, aspect)
        shown = (width * max(aspect, 1), height / min(aspect, 1))
        if self.size is None:
            self.size = (max(round(shown[0]), 1), max(round(shown[1]), 1))
            check_size(*self.size)
        scale = min(self.size[0] / shown[0], self.size[1] / shown[1])
        scaled = tuple(min(max(round(side * scale), 1), most) for side, most in zip(shown, self.size, strict=True))
        return Plan((0, 0, width, height), (scaled[0], scaled[1]))

    def _note_conversion(self, curve: int, primaries: int) -> None:
        if curve in CURVES:
            self._note(f"HDR ({CURVES[curve]}) is tone-mapped to SDR")
        elif primaries in GAMUTS:
            self._note(f"its colours ({GAMUTS[primaries]}) are converted to BT.709")

    def _placed(self, frame: VideoFrame) -> bytes:
        """Put a scaled picture into the middle of a black frame, and return the pixels of that frame."""
        assert self.size is not None
        (width, height), row = self.size, 3 * frame.width
        if self._finish is None:
            plane = frame.planes[0]
            pixels, step = memoryview(plane), plane.line_size
        else:
            pixels, step = memoryview(self._finish(frame.to_ndarray()).tobytes()), row
            if self._finish.met_transparency:
                self._note(f"transparent parts are shown on {_NAMES.get(self._ground, f'the colour {self._ground}')}")
        if (frame.width, frame.height) == self.size and step == row:
            return bytes(pixels[: row * height])
        left, top = 3 * ((width - frame.width) // 2), (height - frame.height) // 2
        before, after = bytes(left), bytes(3 * width - row - left)
        rows = [part for at in range(0, step * frame.height, step) for part in (before, pixels[at : at + row], after)]
        return b"".join([bytes(3 * width * top), *rows, bytes(3 * width * (height - top - frame.height))])


def _import_colours() -> ModuleType:
    """Import the module that needs NumPy; few files need it. Raises `NeedsNumpy` if it is too late to import it."""
    try:
        return importlib.import_module("stylegan_v_ext.data.video.colours")
    except (ImportError, OSError):
        raise NeedsNumpy from None


def filter_graph(frame: VideoFrame, parts: list[str]) -> Graph:
    """Make a chain of FFmpeg's filters.

    Args:
        frame: A frame of the form that the chain takes.
        parts: The filters, each as `name` or `name=arguments`.
    """
    source = (
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    )
    graph = av.filter.Graph()
    graph.threads = 1 if frame.width * frame.height < LARGE else THREADS
    chain = [("buffer", source), *((name, rest) for name, _, rest in (part.partition("=") for part in parts))]
    nodes = [graph.add(name, arguments or None) for name, arguments in [*chain, ("buffersink", "")]]
    graph.link_nodes(*nodes).configure()
    return graph


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)


def _opaque(frame: VideoFrame) -> int:
    """Return the alpha that FFmpeg's scaler gives opaque pixels; in YUV and grey it only shifts bits."""
    bits = next((part.bits for part in frame.format.components if part.is_alpha), 16)
    return 65535 if frame.format.is_rgb or frame.format.has_palette else 65536 - 2 ** (16 - bits)


def _side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    data = cast("Mapping[Type, SideData]", frame.side_data).get(kind)
    return None if data is None else bytes(data)


def _peak(frame: VideoFrame) -> float | None:
    """Return the brightest light of the display on which the film was graded, in cd/m²; None if it is not stated."""
    data = _side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    if data is None or len(data) < 88:
        return None
    *_, numerator, denominator, _, has_luminance = struct.unpack("22i", data[:88])
    return numerator / denominator if has_luminance and denominator > 0 and numerator > 0 else None


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Return (a, b, c, d); a point (x, y) of the frame is shown at (a x + c y, b x + d y)."""
    matrix = _side_data(frame, Type.DISPLAYMATRIX)
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("9i", matrix)
    return a, b, c, d


def _is_askew(frame: VideoFrame) -> bool:
    """Check whether the display matrix asks for an angle that is no multiple of a quarter turn."""
    a, b, c, d = map(abs, _display_matrix(frame))
    return min(max(a, d), max(b, c)) > max(a, b, c, d) / 50


def _turns(frame: VideoFrame) -> tuple[str, ...]:
    """Return the filters that turn a frame upright, as its display matrix asks."""
    a, b, c, d = _display_matrix(frame)
    if abs(b) > abs(a) and abs(c) > abs(d):
        kind = {(1, 0): "clock", (0, 1): "cclock", (1, 1): "cclock_flip"}.get((b > 0, c > 0), "clock_flip")
        return (f"transpose={kind}",)
    return tuple(name for name, value in (("hflip", a), ("vflip", d)) if value < 0)
