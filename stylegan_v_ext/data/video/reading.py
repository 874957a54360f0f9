"""From a file to its decoded frames and their times, up to the first sign of damage."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, cast

import av
import av.error
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stylegan_v_ext.data.kinds import HEAD, SEQUENCES, brands, other_kind
from stylegan_v_ext.data.limits import MOST_PIXELS
from stylegan_v_ext.data.video import Problem
from stylegan_v_ext.data.video.messages import Messages, tell_of_broken_container, tell_of_broken_frame
from stylegan_v_ext.data.video.shape import LARGE, THREADS, check_size, filter_graph
from stylegan_v_ext.data.video.structure import broken_place, forced_format, missing_end
from stylegan_v_ext.data.video.timing import Clock, Timed

if TYPE_CHECKING:
    _VideoPacket = Packet[VideoStream]

# FFmpeg's names of the containers that are read; all hold their own pictures, unlike playlists, which name other files.
FORMATS = "mov,matroska,avi,gif,asf,mpeg,mpegvideo,mpegts,flv,ogg,mxf,dv,yuv4mpegpipe,ivf,apng"
# Containers that hold the rate, or the time of each frame.
_WITH_RATES = ("mov,mp4,m4a,3gp,3g2,mj2", "avi", "mxf", "dv", "ogg", "yuv4mpegpipe", "ivf")
_SEAM = 2  # packets from the packet that FFmpeg calls corrupt to the seam between two files
_FAULTS = (Problem, MemoryError, OSError, ValueError, RuntimeError, OverflowError, FFmpegError)
_LATE_END = 0.5  # seconds by which a file may end before the time that it announces
# Codecs that can check what they decode, and whose frames do not depend on each other.
_STRICT = "mjpeg,png,apng,ffv1,huffyuv,ffvhuff,utvideo,magicyuv,dnxhd,gif,qtrle"


class _Nameless:
    """A file without its name, so that the name does not decide how FFmpeg reads the file."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class Reading:
    """The video track of a file.

    Args:
        file: The file, open for reading.
        messages: What FFmpeg prints; empty so far.
        tick_over: Called before and after each frame is decoded, for the limit of time.

    Attributes:
        clock: Measures the times of the frames.
        notes: Clauses about what is left out.
        problem: What is wrong with the part of the file after the last frame; None if the file is sound. Known after
            the last frame.

    Raises:
        Problem: If the file cannot be read.
    """

    def __init__(self, file: BinaryIO, messages: Messages, tick_over: Callable[[], None]) -> None:
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
        self.clock = Clock(cast(Fraction, self._stream.time_base), self._stated_rates(), trusted=trusted)
        self.problem: Exception | None = None

    def _open(self, threads: int) -> None:
        """Open the file at its beginning, with that many threads for the decoder."""
        self._file.seek(0)
        nothing_else = {"protocol_whitelist": "none", "format_whitelist": FORMATS, "max_pixels": str(MOST_PIXELS)}
        no_delay = {"default_fps": "10"}  # rate of APNG without delays, as for GIF and in browsers
        try:
            self._container = av.open(
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
        stream = cast(VideoStream | None, self._container.streams.best("video"))
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
        self._frame_is_broken = False  # threads of the decoder report this sooner or later
        self._suspect = tell_of_broken_container(self._new_messages())
        self._first_aspect = self._context.sample_aspect_ratio
        self._asks_frames = False
        self._end = 0.0
        self._damage: Problem | None = None
        self._last_time: float | None = None
        self._last_step = math.inf
        self._last_fed: int | None = None  # time in ticks at which the last packet of the decoder is to be decoded
        self._step_fed = 1

    def _other_tracks(self) -> list[str]:
        """Return a clause about video tracks that are not used; covers and previews do not count."""
        tracks = [
            track
            for track in self._container.streams.video
            if track is self._stream or track.frames != 1 and not track.disposition & Disposition.attached_pic
        ]
        if len(tracks) == 1:
            return []
        return [f"it has {len(tracks)} video tracks; number {tracks.index(self._stream) + 1} is used"]

    def _close(self) -> None:
        """End the threads of the decoder, and drop what they printed."""
        self._container.close()
        del self._container, self._stream, self._context
        self._messages.new()

    def _new_messages(self) -> list[str]:
        """Return FFmpeg's messages since the last call; remember whether a line of them tells of a broken frame."""
        lines = self._messages.new()
        self._frame_is_broken |= tell_of_broken_frame(lines)
        return lines

    def _why_unreadable(self) -> str:
        """Return a clause that says why the file cannot be opened, by FFmpeg's messages."""
        lines = self._messages.new()
        if any("moov atom not found" in line for line in lines):
            return "moov atom not found: its index is missing, the recording was cut off"
        return self._missing_end or "it is damaged, cut off, or in another format"

    def _decoder(self) -> VideoCodecContext:
        """Make the decoder of the track."""
        stream = self._stream
        context = stream.codec_context
        with_alpha = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(context.name)
        if with_alpha in av.codecs_available and stream.metadata.get("alpha_mode") == "1":
            extradata = context.extradata
            context = cast(VideoCodecContext, av.CodecContext.create(with_alpha, "r"))
            context.extradata = extradata
        context.options = {"max_pixels": str(MOST_PIXELS)}
        if context.name in _STRICT.split(","):
            context.options |= {"err_detect": "crccheck+explode"}
        return context

    def _stated_rates(self) -> list[Fraction | None]:
        """Return the rates in the head of the file; the nominal rate comes first if the mean rate is near it."""
        mean, nominal = self._stream.average_rate, self._stream.guessed_rate
        if self._container.format.name == "dv":
            return [nominal]
        return [nominal, mean] if mean and nominal and abs(nominal - mean) < mean / 100 else [mean, nominal]

    @property
    def duration(self) -> float | None:
        """Length of the video in seconds; None if the file does not state it."""
        if self._stream.duration is not None:
            seconds = float(self._stream.duration * self.clock.tick)
        else:
            seconds = (self._container.duration or 0) / av.time_base
        return seconds if 0 < seconds < math.inf else None

    def _pixel_aspect(self, frame: VideoFrame) -> Fraction | None:
        """Return the width of a frame's pixels divided by their height; the container's value wins over the frame's.

        PyAV reports the latest value of the decoder, which may belong to a later frame. After its first change, each
        frame is asked.
        """
        stated = self._stream.sample_aspect_ratio
        if stated and stated != self._first_aspect:
            return stated
        if self._asks_frames or self._context.sample_aspect_ratio != self._first_aspect:
            self._asks_frames = True
            return self._aspect_of(frame)
        return self._first_aspect

    def _aspect_of(self, frame: VideoFrame) -> Fraction | None:
        """Let FFmpeg print the pixel aspect of a frame, and read it."""
        graph = filter_graph(frame, ["showinfo=checksum=0"])
        graph.vpush(frame)
        graph.vpull()
        found = re.search(r" sar:(\d+)/(\d+) ", " ".join(self._new_messages()))
        return Fraction(int(found[1]), int(found[2])) if found and int(found[2]) else None

    def frames(self) -> Iterator[Timed[VideoFrame]]:
        """Yield the frames with their times. If the file is damaged, `problem` is set after the last sound frame.

        Several threads stop at different frames by chance. So a damaged file is decoded again by one thread, which
        goes on after the frames that were given already.
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

    def _ticks(self, frame: VideoFrame) -> int | None:
        """Return the time of a frame in ticks; AVI only states times of decoding, and FFmpeg guesses wrongly."""
        if frame.pts is None or self._container.format.name == "avi":
            return frame.dts
        return frame.pts

    def _decoded(self) -> Iterator[tuple[VideoFrame, Fraction | None]]:
        """Yield (frame of the decoder, its pixel aspect).

        Each frame is held back until the next frame is decoded, and is dropped if that frame is damaged, because a
        decoder may notice damage one frame too late. With several threads more frames are held back, so that the
        second pass with one thread cannot find damage in a frame that was given already.

        Raises:
            Problem: At the first sign of damage; FFmpeg's errors are raised as well.
        """
        waiting: deque[tuple[VideoFrame, Fraction | None]] = deque()
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

    def _is_before_the_damage(self, frame: VideoFrame) -> bool:
        """Check whether no earlier frame can be missing: a lost packet may hold a frame that is shown earlier."""
        time = self._ticks(frame)
        return self._last_fed is not None and time is not None and time < self._last_fed + self._step_fed

    def _packets(self) -> Iterator[_VideoPacket | None]:
        """Yield the packets before the damage, then None, which makes the decoder give the frames that it holds.

        Each packet is held back until the next packet is read, and is dropped if the file is broken between the two,
        because it may be broken, too.
        """
        held: list[_VideoPacket] = []
        for packet in cast("Iterator[_VideoPacket]", self._container.demux()):
            if packet.pts is not None:
                self._end = max(self._end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            broken = tell_of_broken_container(self._new_messages())
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

    def _is_joined(self, packet: _VideoPacket, following: _VideoPacket) -> bool:
        """Check whether two files of MPEG-TS meet between two packets.

        FFmpeg calls a packet at the end of the first file corrupt, whether it is or not; if it is, the decoder will
        notice. Packets that are missing at the seam leave a gap in time.
        """
        if not following.is_keyframe or packet.dts is None or following.dts is None:
            return False
        return following.dts - packet.dts <= 1.5 * self._step_fed

    def _fed(self, packet: _VideoPacket) -> _VideoPacket:
        """Remember the time of a packet that goes to the decoder."""
        if packet.dts is not None:
            if self._last_fed is not None:
                self._step_fed = max(packet.dts - self._last_fed, 1)
            self._last_fed = packet.dts
        return packet

    def _follows_damage(self, packet: _VideoPacket) -> bool:
        """Check whether a packet lies behind a broken place."""
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
        """Say what is wrong with a file that was read to its end; None if nothing is wrong."""
        announced = self._container.duration / av.time_base if self._container.duration else 0.0
        stated = [rate for rate in self._stated_rates() if rate]
        if announced - self._end > max(_LATE_END, 5 / (stated[0] if stated else math.inf)):
            return Problem(f"it ends after {self._end:.1f} of {announced:.1f} seconds")
        if self._missing_end:
            return Problem(self._missing_end)
        return Problem("it is damaged or cut off") if self._suspect or self._broken_at is not None else None
