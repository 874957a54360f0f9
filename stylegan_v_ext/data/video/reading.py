"""From a file to decoded frames with their times, up to the first sign of damage."""

import contextlib
import math
import os
import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import av
import av.error
import av.logging
from av.error import FFmpegError
from av.stream import Disposition

from stylegan_v_ext.data.kinds import HEAD, SEQUENCES, brands, other_kind
from stylegan_v_ext.data.limits import MOST_PIXELS
from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.shape import LARGE, THREADS, check_size, filter_graph
from stylegan_v_ext.data.video.structure import broken_place, forced_format, missing_end
from stylegan_v_ext.data.video.timing import Clock, Timed

# FFmpeg's names of containers; a file of these stands for itself, while playlists name other files.
FORMATS = "mov,matroska,avi,gif,asf,mpeg,mpegvideo,mpegts,flv,ogg,mxf,dv,yuv4mpegpipe,ivf,apng"
# These hold the rate, or the time of each frame.
_WITH_RATES = ("mov,mp4,m4a,3gp,3g2,mj2", "avi", "mxf", "dv", "ogg", "yuv4mpegpipe", "ivf")
_SEAM = 2  # packets between the one that FFmpeg calls corrupt and the seam between two files
_FAULTS = (Problem, MemoryError, OSError, ValueError, RuntimeError, OverflowError, FFmpegError)
_LATE_END = 0.5  # seconds by which a file may end before the time that it announces
# Codecs that check what they decode if they are told to, and of which each frame stands for itself.
_STRICT = "mjpeg,png,apng,ffv1,huffyuv,ffvhuff,utvideo,magicyuv,dnxhd,gif,qtrle"
_BROKEN_CONTAINER = re.compile(
    r"^\[(matroska,webm|ogg|asf|flv|gif|apng|mxf) @ .*(EBML|exceeds containing|CRC mismatch|incomplete packet|mismatch|"
    r"Invalid|invalid|skip 0 \(unknown stream|sync lost|not implemented)"
)
_BROKEN_FRAME = re.compile(
    r"error while decoding MB|LZW decode failed|damaged|Error at MB|CRC (mismatch|error)|concealing|EOI missing|"
    r"(ignoring|dc) overflow|undecodable NALU|Could not find ref with POC|the frame RPS"
)


class Messages:
    """What FFmpeg's libraries print, in a pipe that never blocks them."""

    def __init__(self) -> None:
        self._pipe: int | None = None
        if not hasattr(os, "set_blocking") or os.name == "nt":
            return
        self._pipe, end = os.pipe()
        os.set_blocking(self._pipe, False)
        os.set_blocking(end, False)
        os.dup2(end, 2)
        os.close(end)
        av.logging.restore_default_callback()  # the one of C; PyAV's own may wait for Python's lock for ever
        av.logging.set_libav_level(av.logging.INFO)

    def new(self) -> list[str]:
        """The lines since the last call."""
        if self._pipe is None:
            return []
        text = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._pipe, 2**16):
                text += part
        return text.decode("utf-8", "replace").splitlines()


class _Nameless:
    """A file without its name, so that the name plays no part in how it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class Reading:
    """The video track of a file.

    `notes` are clauses on what is left out. `frames` yields the frames; `problem` says afterwards what is wrong with
    the rest, None if the file is sound.

    Args:
        file: Open for reading.
        messages: What FFmpeg prints, with nothing in it.
        tick_over: Called before and after each frame is decoded, for the limit of time.
    """

    def __init__(self, file: BinaryIO, messages: Messages, tick_over: Any) -> None:
        self._file, self._messages, self._tick_over = file, messages, tick_over
        head = file.read(HEAD)
        if kind := other_kind(head):
            raise Problem(kind)
        self._is_sequence = bool(brands(head) & SEQUENCES)
        self._broken_at = broken_place(file)
        self._missing_end = missing_end(file)
        self._format = forced_format(file)
        self._open(THREADS)
        trusted = self._container.format.name in _WITH_RATES
        self.clock = Clock(self._stream.time_base, self._stated_rates(), trusted=trusted)
        self.problem: Exception | None = None

    def _open(self, threads: int) -> None:
        """Begin at the beginning."""
        self._file.seek(0)
        nothing_else = {"protocol_whitelist": "none", "format_whitelist": FORMATS, "max_pixels": str(MOST_PIXELS)}
        no_delay = {"default_fps": "10"}  # of frames of APNG without a delay: as GIF, and as browsers do
        try:
            self._container: Any = av.open(
                _Nameless(self._file),
                "r",
                self._format,
                options=nothing_else | no_delay,
                metadata_errors="replace",
                buffer_size=2**18,
            )
        except av.error.MemoryError:
            raise
        except FFmpegError:
            raise Problem(self._why_unreadable()) from None
        stream: Any = self._container.streams.best("video")
        if stream is None:
            raise Problem("it has no video track")
        if stream.disposition & Disposition.attached_pic:
            raise Problem("it has no video track, only a cover")
        if self._is_sequence and sum(other.frames > 1 for other in self._container.streams.video) > 1:
            raise Problem("it has a track of its own for transparency, which cannot be read")
        self._stream = stream
        self.notes = self._other_tracks()
        check_size(self._stream.width, self._stream.height)
        self._context = self._decoder()
        small = self._stream.width * self._stream.height < LARGE
        self._context.thread_type, self._context.thread_count = "AUTO", min(threads, 1 if small else THREADS)
        self._frame_is_broken = False  # as a thread of the decoder says, sooner or later
        self._suspect = any(map(_BROKEN_CONTAINER.search, self._new_messages()))
        self._first_aspect = self._context.sample_aspect_ratio
        self._asks_frames = False
        self._end = 0.0
        self._damage: Problem | None = None
        self._last_time: float | None = None
        self._last_step = math.inf
        self._last_fed: int | None = None  # time of decoding, in ticks, of the last packet that the decoder got
        self._step_fed = 1

    def _other_tracks(self) -> list[str]:
        """A clause on video tracks that are not used, apart from covers and previews."""
        tracks = [
            track
            for track in self._container.streams.video
            if track is self._stream or track.frames != 1 and not track.disposition & Disposition.attached_pic
        ]
        if len(tracks) == 1:
            return []
        return [f"it has {len(tracks)} video tracks; number {tracks.index(self._stream) + 1} is used"]

    def _close(self) -> None:
        """End the threads of the decoder, and forget what they printed."""
        self._container.close()
        self._container = self._stream = self._context = None
        self._messages.new()

    def _new_messages(self) -> list[str]:
        """The lines since the last call; those that tell of a broken frame are remembered, whoever asks first."""
        lines = self._messages.new()
        self._frame_is_broken |= any(map(_BROKEN_FRAME.search, lines))
        return lines

    def _why_unreadable(self) -> str:
        """A clause from FFmpeg's own words."""
        lines = self._messages.new()
        if any("moov atom not found" in line for line in lines):
            return "moov atom not found: its index is missing, the recording was cut off"
        return self._missing_end or "it is damaged, cut off, or in another format"

    def _decoder(self) -> Any:
        stream = self._stream
        context = stream.codec_context
        with_alpha = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(context.name)
        if with_alpha in av.codecs_available and stream.metadata.get("alpha_mode") == "1":
            extradata = context.extradata
            context = av.CodecContext.create(with_alpha, "r")
            context.extradata = extradata
        context.options = {"max_pixels": str(MOST_PIXELS)}
        if context.name in _STRICT.split(","):
            context.options |= {"err_detect": "crccheck+explode"}
        return context

    def _stated_rates(self) -> list[Fraction | None]:
        """Rates in the head of the file; the nominal one first if the mean says the same."""
        mean, nominal = self._stream.average_rate, self._stream.guessed_rate
        if self._container.format.name == "dv":
            return [nominal]
        return [nominal, mean] if mean and nominal and abs(nominal - mean) < mean / 100 else [mean, nominal]

    @property
    def duration(self) -> float | None:
        """Seconds that the file announces; None if it does not."""
        if self._stream.duration is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
        else:
            seconds = (self._container.duration or 0) / av.time_base
        return seconds if 0 < seconds < math.inf else None

    def _pixel_aspect(self, frame: Any) -> Fraction | None:
        """Width of a pixel of a frame by its height; the container's value takes precedence over the frame's.

        PyAV reports the decoder's latest value, which may belong to a later frame. Once it changes, each frame is
        asked.
        """
        stated = self._stream.sample_aspect_ratio
        if stated and stated != self._first_aspect:
            return stated
        if self._asks_frames or self._context.sample_aspect_ratio != self._first_aspect:
            self._asks_frames = True
            return self._aspect_of(frame)
        return self._first_aspect

    def _aspect_of(self, frame: Any) -> Fraction | None:
        graph = filter_graph(frame, ["showinfo=checksum=0"])
        graph.vpush(frame)
        graph.vpull()
        found = re.search(r" sar:(\d+)/(\d+) ", " ".join(self._new_messages()))
        return Fraction(int(found[1]), int(found[2])) if found and int(found[2]) else None

    def frames(self) -> Iterator[Timed]:
        """Frames with their times. Keeps the reason in `problem` if the rest cannot be used.

        Several threads stop at different frames by chance. So a damaged file is decoded again by one thread, which
        continues after the frames that have been given.
        """
        given = 0
        for threads in (THREADS, 1):
            try:
                if threads == 1:
                    self._close()
                    self._open(threads)
                for number, (frame, aspect) in enumerate(self._decoded()):
                    if number >= given:
                        given += 1
                        yield Timed(frame, self.clock.time(self._ticks(frame)), frame.duration, aspect)
                self.problem = None
            except _FAULTS as problem:
                self.problem = problem
            if self.problem is None or self.problem is self._damage:
                return

    def _ticks(self, frame: Any) -> int | None:
        """When a frame is shown. AVI tells when it is decoded alone; what FFmpeg makes of this goes back and forth."""
        if frame.pts is None or self._container.format.name == "avi":
            return frame.dts
        return frame.pts

    def _decoded(self) -> Iterator[tuple[Any, Fraction | None]]:
        """(frame of the decoder, its pixel aspect). Raises `Problem` and FFmpeg's errors at the first sign of damage.

        A frame waits for the next one, and is lost if that is damaged: a decoder may notice damage one frame too late.
        With several threads more frames are held back, so that the second pass with one thread cannot find damage in a
        frame that has been given.
        """
        waiting: deque[Any] = deque()
        longest = self._context.thread_count
        count = 0
        for packet in self._packets():
            self._tick_over()
            frames = self._context.decode(packet)
            self._new_messages()
            if self._frame_is_broken:
                raise Problem("a frame is damaged")
            for frame in frames:
                self._tick_over()
                if frame.is_corrupt:
                    raise self._damage or Problem("a frame is damaged")
                if packet is None and self._damage is not None and not self._is_before_the_damage(frame):
                    break
                check_size(frame.width, frame.height)
                frame.time_base = self.clock.tick  # PyAV forgets it at the end
                count += 1
                waiting.append((frame, self._pixel_aspect(frame)))
                if len(waiting) > longest:
                    yield waiting.popleft()
        yield from waiting
        if not count:
            raise self._damage or Problem("it has no frames")
        if self._damage is not None:
            raise self._damage

    def _is_before_the_damage(self, frame: Any) -> bool:
        """Whether all frames before this one are there; a lost packet may hold a frame that is shown earlier."""
        time = self._ticks(frame)
        return self._last_fed is not None and time is not None and time < self._last_fed + self._step_fed

    def _packets(self) -> Iterator[Any]:
        """Packets before the damage, then the empty one that brings out what the decoder holds.

        A packet waits for the next one, and is lost if the file is broken between the two: it may be broken, too.
        """
        held: list[Any] = []
        for packet in self._container.demux():
            if packet.pts is not None:
                self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            broken = any(map(_BROKEN_CONTAINER.search, self._new_messages()))
            if not broken and (packet.stream is not self._stream or not packet.size):
                continue
            if broken or self._follows_damage(packet):
                self._damage, held = Problem("it is damaged or cut off"), []
                break
            if packet.is_corrupt and self._container.format.name != "mpegts":
                lost = self._missing_end or self._broken_at is not None
                self._damage = Problem("it is cut off" if lost else "it is damaged")
                break
            doubtful = held and held[0].is_corrupt and not self._is_joined(held[-1], packet)
            if doubtful and len(held) > _SEAM:
                self._damage, held = Problem("it is damaged"), []
                break
            if not doubtful:
                yield from map(self._fed, held)
                held = []
            held.append(packet)
        if self._damage is None:
            self._damage = self._early_end()
            if self._broken_at is not None or held and held[0].is_corrupt:
                self._damage, held = self._damage or Problem("it is damaged or cut off"), []
        yield from map(self._fed, held)
        yield None

    def _is_joined(self, packet: Any, following: Any) -> bool:
        """Whether two files of MPEG-TS meet here: FFmpeg calls a packet at the end of the first one corrupt.

        If it is, the decoder will notice. Packets that are lost at the seam leave a hole in time.
        """
        if not following.is_keyframe or packet.dts is None or following.dts is None:
            return False
        return following.dts - packet.dts <= 1.5 * self._step_fed

    def _fed(self, packet: Any) -> Any:
        if packet.dts is not None:
            if self._last_fed is not None:
                self._step_fed = max(packet.dts - self._last_fed, 1)
            self._last_fed = packet.dts
        return packet

    def _follows_damage(self, packet: Any) -> bool:
        """Whether the place that is known to be broken lies before a packet."""
        if self._broken_at is not None and packet.pos is not None and packet.pos > self._broken_at:
            return True
        if not self._suspect or packet.dts is None:
            return False
        time = float(packet.dts * packet.time_base)
        step = math.inf if self._last_time is None else time - self._last_time
        follows = step > 1.5 * self._last_step
        self._last_time, self._last_step = time, step
        return follows

    def _early_end(self) -> Problem | None:
        """What is wrong with a file that has been read to its end."""
        announced = self._container.duration / av.time_base if self._container.duration else 0.0
        stated = [rate for rate in self._stated_rates() if rate]
        if announced - self._end > max(_LATE_END, 5 / (stated[0] if stated else math.inf)):
            return Problem(f"it ends after {self._end:.1f} of {announced:.1f} seconds")
        if self._missing_end:
            return Problem(self._missing_end)
        return Problem("it is damaged or cut off") if self._suspect or self._broken_at is not None else None
