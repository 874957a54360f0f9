"""Frames that hold two moments, one in their even rows and one in their odd rows, become frames of one moment."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from stylegan_v_ext.data.video.shape import filter_graph
from stylegan_v_ext.data.video.timing import Timed

DEINTERLACED = "it is interlaced; each frame is deinterlaced"
_SMALLEST = 4  # rows and columns that the filter needs


def deinterlaced(frames: Iterable[Timed], notes: list[str]) -> Iterator[Timed]:
    """The same number of frames at the same times. Frames that are not flagged as interlaced stay as they are.

    Args:
        notes: Gets `DEINTERLACED` at the first frame that is flagged.
    """
    filter = _Filter()
    for item in frames:
        if item.frame.interlaced_frame and DEINTERLACED not in notes:
            notes.append(DEINTERLACED)
        yield from filter.push(item)
    yield from filter.end()


class _Filter:
    """The filter bwdif, from an interlaced frame to the second progressive frame in a row."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._form: tuple | None = None
        self._inside: deque[Timed] = deque()
        self._progressive = 0

    def push(self, item: Timed) -> Iterator[Timed]:
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

    def end(self) -> Iterator[Timed]:
        """What is still inside."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._out()
            yield from self._inside  # nothing, if the filter keeps its word
            self._inside.clear()
            self._graph = None

    def _out(self) -> Iterator[Timed]:
        from av.error import BlockingIOError, EOFError

        while True:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            item = self._inside.popleft()
            yield item._replace(frame=frame) if item.frame.interlaced_frame else item
