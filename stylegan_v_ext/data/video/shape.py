"""From a decoded frame to the pixels of the frame that comes out: upright, square pixels, RGB, of one size."""

import struct
from fractions import Fraction
from typing import Any

import av.filter
import numpy as np
from av.sidedata.sidedata import Type

from stylegan_v_ext.data.geometry import BLACK, Geometry, Plan
from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.colours import CURVES, GAMUTS, PEAK, WHITE, Conversion

MOST_PIXELS = 8192**2  # of a frame, as for pictures
WIDEST_PIXEL = 16  # width of a pixel by its height, or the reverse; beyond this the file is wrong about it
THREADS = 4  # the same on every machine, so that a damaged file gives the same frames on every machine
_SCALING = "flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp:sws_dither=none"
_RGB, _BT709, _UNKNOWN, _BT601, _BT2020 = 0, 1, 2, 6, 9  # FFmpeg's numbers of colour matrices
_MATRICES = {_BT709, 4, 5, _BT601, 7, _BT2020, 10}  # that FFmpeg's scaler knows
_NAMES: dict[tuple[int, ...], str] = {BLACK: "black", (255, 255, 255): "white"}
_OPAQUE = 0.998  # alpha that is 1 but for rounding
_LIMITED = 1  # FFmpeg's number of the range that leaves room below black and above white


def _allow_unknown_kinds() -> None:
    """Let PyAV pass over what its FFmpeg attaches to frames and it has no name for; it would refuse the whole frame."""

    def unknown(cls: Any, value: int) -> Any:
        member: Any = object.__new__(cls)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member

    kinds: Any = Type
    kinds._missing_ = classmethod(unknown)


_allow_unknown_kinds()


def check_size(width: int, height: int) -> None:
    """Raises `Problem` if a frame has too many pixels."""
    if width * height > MOST_PIXELS:
        raise Problem(f"its frames are {width}x{height}; the most is {MOST_PIXELS} pixels, such as 8192x8192")


class Shaper:
    """Makes frames of one size.

    geometry: form of the frames; None takes the size at which the first frame is shown.
    notes: gets a clause for each thing that was done to the picture.
    """

    def __init__(self, geometry: Geometry | None, notes: list[str]):
        self._geometry, self._notes = geometry, notes
        self._colour: tuple[int, ...] = tuple(geometry.background) if geometry else BLACK
        self._background = np.array(self._colour, dtype=np.float32)
        self.size: tuple[int, int] | None = (geometry.side, geometry.side) if geometry else None
        self._form: tuple | None = None
        self._graph: Any = None
        self._conversion: Conversion | None = None

    def pixels(self, frame: Any, pixel_aspect: Fraction | None) -> bytes:
        """RGB pixels of a frame of the decoder; pixel_aspect: width by height of its pixels, None if unknown."""
        self._settle_colours(frame)
        aspect = self._believable(pixel_aspect)
        form = (
            frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range),
            int(frame.color_trc), int(frame.color_primaries), _turns(frame), aspect,
        )  # fmt: skip
        if form != self._form:
            self._set_up(frame, _turns(frame), aspect)
            self._form = form
        self._graph.vpush(frame)
        return self._placed(self._graph.vpull())

    def _settle_colours(self, frame: Any) -> None:
        """Fill in the colour matrix if the file leaves it open. Raises `Problem` if it is one that is not supported."""
        form = frame.format
        if form.is_rgb or form.has_palette or len(form.components) < 3 or form.name.startswith("xyz"):
            return
        matrix = int(frame.colorspace)
        if matrix == _UNKNOWN and Type.DOVI_METADATA in frame.side_data and int(frame.color_trc) == _UNKNOWN:
            raise Problem("its colours are those of Dolby Vision alone, which cannot be shown")
        if matrix in (_UNKNOWN, _RGB):
            high = frame.height >= 720 or frame.width >= 1280
            wide = int(frame.color_primaries) == 9 or int(frame.color_trc) in CURVES
            frame.colorspace = _BT2020 if wide else _BT709 if high else _BT601
        elif matrix not in _MATRICES:
            raise Problem(f"its colour matrix, number {matrix} of the standard H.273, is not supported")

    def _believable(self, pixel_aspect: Fraction | None) -> Fraction:
        if not pixel_aspect or pixel_aspect < 0:
            return Fraction(1)
        if not Fraction(1, WIDEST_PIXEL) <= pixel_aspect <= WIDEST_PIXEL:
            self._note(
                f"it says that its pixels are {float(pixel_aspect):.4g} times as wide as high; they are not believed"
            )
            return Fraction(1)
        return pixel_aspect

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _set_up(self, frame: Any, turns: tuple[str, ...], aspect: Fraction) -> None:
        """The chain of filters for frames of this form."""
        quarter = any(turn.startswith("transpose") for turn in turns)
        plan = self._plan(frame, quarter, float(1 / aspect if quarter else aspect))
        left, top, width, height = plan.crop
        scaled = plan.scaled
        if quarter:
            left, top, width, height = top, left, height, width
            scaled = scaled[::-1]
        curve, primaries = int(frame.color_trc), int(frame.color_primaries)
        converted = curve in CURVES or primaries in GAMUTS
        self._conversion = Conversion(curve, primaries, _peak(frame)) if converted else None
        alpha = _has_alpha(frame)
        limited_grey = (
            len(frame.format.components) == 1 and not frame.format.has_palette and frame.color_range == _LIMITED
        )
        self._alpha, self._limited_grey = alpha, limited_grey
        self._say_what_is_done(curve, primaries)
        parts = [f"crop={width}:{height}:{left}:{top}:exact=1"] if plan.crop[2:] != _upright(frame, quarter) else []
        if alpha:  # the colour behind what is transparent has no part in the scaling
            parts += [f"scale={_SCALING}", "format=gbrap16le", "premultiply=inplace=1"]
        parts.append(f"scale={scaled[0]}:{scaled[1]}:{_SCALING}")
        deep = alpha or converted or limited_grey
        parts += ["format=" + ("rgba64le" if alpha else "rgb48le" if deep else "rgb24"), *turns]
        self._graph = filter_graph(frame, parts)

    def _plan(self, frame: Any, quarter: bool, aspect: float) -> Plan:
        width, height = _upright(frame, quarter)
        if self._geometry is not None:
            return self._geometry.plan(width, height, aspect)
        shown = (width * max(aspect, 1), height / min(aspect, 1))
        if self.size is None:
            self.size = (max(round(shown[0]), 1), max(round(shown[1]), 1))
            check_size(*self.size)
        scale = min(self.size[0] / shown[0], self.size[1] / shown[1])
        scaled = tuple(min(max(round(side * scale), 1), most) for side, most in zip(shown, self.size, strict=True))
        return Plan((0, 0, width, height), (scaled[0], scaled[1]))

    def _say_what_is_done(self, curve: int, primaries: int) -> None:
        if curve in CURVES:
            self._note(f"HDR ({CURVES[curve]}) is tone-mapped to SDR")
        elif primaries in GAMUTS:
            self._note(f"its colours ({GAMUTS[primaries]}) are converted to BT.709")

    def _placed(self, frame: Any) -> bytes:
        """The pixels in the middle of the frame that comes out."""
        assert self.size is not None
        width, height = self.size
        if frame.format.name == "rgb24" and (frame.width, frame.height) == self.size:
            plane = frame.planes[0]
            pixels, step, row = memoryview(plane), plane.line_size, width * 3
            if step == row:
                return bytes(pixels[: row * height])
            return b"".join(pixels[at : at + row] for at in range(0, step * height, step))
        picture = self._as_sdr(frame.to_ndarray())
        canvas = np.zeros([height, width, 3], dtype=np.uint8)
        left, top = (width - frame.width) // 2, (height - frame.height) // 2
        canvas[top : top + frame.height, left : left + frame.width] = picture
        return canvas.tobytes()

    def _as_sdr(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 `[H, W, 3]` of uint8 RGB, or of uint16 RGB or RGBA; colours of RGBA are multiplied by alpha."""
        if pixels.dtype == np.uint8:
            return pixels
        opaque = pixels[..., 3:].astype(np.float32) / 65535
        colours = pixels[..., :3]
        if self._limited_grey:
            expanded = (colours.astype(np.float32) / 257 - 16) * (65535 / 219)
            colours = np.clip(expanded + 0.5, 0, 65535).astype(np.uint16)
        if self._conversion is not None and self._alpha:
            whole = np.minimum(colours / np.maximum(opaque, 1e-5), 65535).astype(np.uint16)
            shown = self._conversion(whole) * opaque
        elif self._conversion is not None:
            return self._conversion(colours)
        else:
            shown = colours.astype(np.float32) / 257
        if self._alpha and opaque.min() < _OPAQUE:
            self._note(f"what is transparent is shown on {_NAMES.get(self._colour, f'the colour {self._colour}')}")
            shown = shown + self._background * (1 - opaque)
        return np.clip(shown + 0.5, 0, 255).astype(np.uint8)


def filter_graph(frame: Any, parts: list[str]) -> Any:
    """A chain of FFmpeg's filters.

    frame: one of the form that the chain takes.
    parts: `name` or `name=arguments`.
    """
    source = (
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    )
    graph = av.filter.Graph()
    graph.threads = THREADS
    chain = [("buffer", source), *((name, rest) for name, _, rest in (part.partition("=") for part in parts))]
    nodes = [graph.add(name, arguments or None) for name, arguments in [*chain, ("buffersink", "")]]
    graph.link_nodes(*nodes).configure()
    return graph


def _upright(frame: Any, quarter: bool) -> tuple[int, int]:
    return (frame.height, frame.width) if quarter else (frame.width, frame.height)


def _has_alpha(frame: Any) -> bool:
    return frame.format.has_palette or any(part.is_alpha for part in frame.format.components)


def _peak(frame: Any) -> float:
    """Brightest light of the display on which the film was graded, in cd/m²."""
    data = frame.side_data.get(Type.MASTERING_DISPLAY_METADATA)
    if data is None or len(bytes(data)) < 88:
        return PEAK
    *_, numerator, denominator, _, has_luminance = struct.unpack("22i", bytes(data)[:88])
    if not has_luminance or denominator <= 0 or numerator <= 0:
        return PEAK
    return min(max(numerator / denominator, WHITE), 10000.0)


def _turns(frame: Any) -> tuple[str, ...]:
    """Filters that turn a frame upright, as its display matrix asks for."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return ()
    # A point (x, y) of the frame is shown at (a x + c y, b x + d y).
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(matrix))
    if abs(b) > abs(a) and abs(c) > abs(d):
        kind = {(1, 0): "clock", (0, 1): "cclock", (1, 1): "cclock_flip"}.get((b > 0, c > 0), "clock_flip")
        return (f"transpose={kind}",)
    return tuple(name for name, value in (("hflip", a), ("vflip", d)) if value < 0)
