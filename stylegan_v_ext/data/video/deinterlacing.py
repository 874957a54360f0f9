"""Deinterlacing: frames that show one moment in even rows and another in odd rows become frames of one moment."""

from collections import deque
from collections.abc import Iterable, Iterator

from av.filter.graph import Graph
from av.video.frame import VideoFrame

from stylegan_v_ext.data.video.shape import filter_graph
from stylegan_v_ext.data.video.timing import Timed

DEINTERLACED = "it is interlaced; each frame is deinterlaced"
_SMALLEST = 4  # rows and columns that the filter needs at least


def deinterlaced(frames: Iterable[Timed[VideoFrame]], notes: list[str]) -> Iterator[Timed[VideoFrame]]:
    """Deinterlace frames that are flagged as interlaced; other frames stay as they are.

    Args:
        frames: Frames of a video, in order.
        notes: List to which `DEINTERLACED` is added at the first interlaced frame.

    Yields:
        The same number of frames, at the same times.
    """
    bwdif = _Bwdif()
    for item in frames:
        if item.frame.interlaced_frame and DEINTERLACED not in notes:
            notes.append(DEINTERLACED)
        yield from bwdif.push(item)
    yield from bwdif.end()


class _Bwdif:
    """FFmpeg's filter bwdif, in use from an interlaced frame to the second progressive frame in a row."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[object, ...] | None = None
        self._inside: deque[Timed[VideoFrame]] = deque()
        self._progressive = 0  # number of progressive frames since the last interlaced frame

    def push(self, item: Timed[VideoFrame]) -> Iterator[Timed[VideoFrame]]:
        """Take a frame, and yield the frames that are ready."""
        frame = item.frame
        form = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        self._progressive = 0 if frame.interlaced_frame else self._progressive + 1
        if self._graph is not None and (form != self._form or self._progressive > 1):
            yield from self.end()
        if self._graph is None and (self._progressive or min(frame.width, frame.height) < _SMALLEST):
            yield item
            return
        if self._graph is None:
            self._graph, self._form = filter_graph(frame, ["bwdif=mode=send_frame:parity=auto:deint=all"]), form
        frame.pts = item.time
        self._inside.append(item)
        self._graph.vpush(frame)
        yield from self._out()

    def end(self) -> Iterator[Timed[VideoFrame]]:
        """Yield the frames that are still inside, and stop the filter."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._out()
            yield from self._inside  # empty, unless the filter has lost frames
            self._inside.clear()
            self._graph = None

    def _out(self) -> Iterator[Timed[VideoFrame]]:
        from av.error import BlockingIOError, EOFError

        while self._graph is not None:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            item = self._inside.popleft()
            yield item._replace(frame=frame) if item.frame.interlaced_frame else item
