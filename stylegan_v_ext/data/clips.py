"""Cutting a video into clips, which are the videos of a data set."""

from collections import deque

from stylegan_v_ext.data.writer import DatasetWriter


class ClipWriter:
    """Writes the frames of one source as clips of a data set.

    The encoded frames of unfinished clips are held in memory. If the whole source is one clip, frames are written at
    once.

    Args:
        writer: Where the frames go.
        ending: Ending of the frames' file names, "jpg" or "png".
        length: Length of a clip in frames; None makes one clip of the whole source.
        stride: Distance between the beginnings of clips, in frames; None means `length`.
        num_before: Number of clips of earlier sources; clips are numbered from here on.

    Attributes:
        clips: (folder, first frame, number of frames) of every finished clip.
        count: Number of frames so far.
        used: Number of these frames that are in a finished clip.
    """

    def __init__(
        self, writer: DatasetWriter, ending: str, length: int | None, stride: int | None, num_before: int
    ) -> None:
        self._writer, self._ending, self._num_before = writer, ending, num_before
        self.length = length
        self._stride = stride or length or 0
        self._begun: deque[tuple[int, list[bytes]]] = deque()
        self._end = 0  # number of the frame behind the last clip
        self.clips: list[tuple[str, int, int]] = []
        self.count = self.used = 0

    @property
    def tail(self) -> int:
        """Number of frames at the end that are too few for a clip; frames that a wide stride skips do not count."""
        return self.count - max(self._end, self._begun[0][0]) if self._begun else 0

    def add(self, data: bytes) -> None:
        """Add the next frame.

        Args:
            data: Content of an image file.
        """
        if self.length is None:
            self._write(self.count, data)
        elif self.count % self._stride == 0:
            self._begun.append((self.count, []))
        self.count += 1
        for _, frames in self._begun:
            frames.append(data)
        if self._begun and len(self._begun[0][1]) == self.length:
            start, frames = self._begun.popleft()
            for place, frame in enumerate(frames):
                self._write(place, frame)
            self._finish(start)

    def close(self) -> None:
        """Finish the clip that holds the whole source."""
        if self.length is None and self.count:
            self._finish(0)

    def _write(self, place: int, data: bytes) -> None:
        self._writer.write(f"{self._folder}/{place:06d}.{self._ending}", data)

    def _finish(self, start: int) -> None:
        self.clips.append((self._folder, start, self.count - start))
        self.used += self.count - max(start, self._end)
        self._end = self.count

    @property
    def _folder(self) -> str:
        return f"{self._num_before + len(self.clips):06d}"
