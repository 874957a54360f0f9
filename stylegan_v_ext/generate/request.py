"""A request for videos, which checks itself: the options of `gen_video.py` as one object."""

from collections.abc import Sequence
from dataclasses import dataclass

from stylegan_v_ext.arguments import MOST_SEEDS, Bounds, check_fields, number
from stylegan_v_ext.generate.formats import DEFAULT_FRAMES, DEFAULT_QUALITY, FASTEST_GIF, check_format
from stylegan_v_ext.outputs import VIDEO_FORMATS, format_of

_FARTHEST = 2**53  # frames; a float64 cannot tell later times from their neighbours

Points = Sequence[tuple[float, float]]
"""(frame, value) pairs by ascending frame, with straight lines between them; one pair holds for all frames."""


def check_times(start: float, speed: float, num_frames: int) -> None:
    """Check that the times of all frames are numbers that a float64 tells apart.

    Args:
        start: Time of the first frame, in frames of the training data.
        speed: Time from frame to frame, in frames of the training data.
        num_frames: Length in frames.

    Raises:
        ValueError: If a value is no number, or if a time is before -2**53 or after 2**53.
    """
    number("start", start, low=-_FARTHEST, high=_FARTHEST)
    number("speed", speed, low=-_FARTHEST, high=_FARTHEST)
    number("start + speed * frames", start + speed * num_frames, low=-_FARTHEST, high=_FARTHEST)


class RequestError(ValueError):
    """Parts of a request that do not go together."""


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """Which videos to make of a network, what to do to them, and where they go.

    Attributes:
        seeds: Seeds of contents, one video each.
        projections: Files of `project` or `edit`, one video each, after those of `seeds`.
        motion_seeds: Seeds of motions: one seed for all contents, a seed for each, or several for a single content; ()
            for the motion that follows from each content.
        motion_from: File of `project` whose motion all contents get; None for `motion_seeds`.
        frames: Length in frames; None for `duration`, or for 128 without it.
        duration: Length in seconds; None for `frames`.
        fps: Frames a second of the files.
        start: Time of the first frame, in frames of the training data.
        speed: Time from frame to frame, in frames of the training data.
        class_index: Class of a conditional network; None for a network without classes.
        truncation: Psi by frame (StyleGAN, appendix B): 1 is all the variety, 0 the average content.
        decompose: Whether to make a grid of every content with every motion.
        interpolate: Whether to make one video that goes from content to content.
        loop: Whether the end meets the beginning.
        motion_amplitude: Factor of all movements; 0 is a still.
        mix_seed: Seed of the styles that `mix_layers` get; None for no mixing.
        mix_layers: Lowest and highest resolution of those layers; None for the upper half.
        mix_weight: Share of those styles by frame, 0 to 1.
        direction: Direction of a file of `stylegan-v directions`, "FILE:NUMBER"; None for no direction.
        strength: How far to go along it by frame, in standard deviations.
        grid: Columns and rows of one video for all cells; None for a file for each video.
        padding: Pixels between and around the cells of a grid.
        labels: Whether a text above each cell of a grid says what it is.
        output: A folder, or a file that ends in a format for a grid or a single video.
        format: Format of the files in a folder, an element of `outputs.VIDEO_FORMATS`; None for MP4.
        codec: Codec of the files; None for the first codec of the format.
        quality: 1 to 100, for formats that lose some.
    """

    seeds: Sequence[int] = ()
    projections: Sequence[str] = ()
    motion_seeds: Sequence[int] = ()
    motion_from: str | None = None
    frames: int | None = None
    duration: float | None = None
    fps: float = 25.0
    start: float = 0.0
    speed: float = 1.0
    class_index: int | None = None
    truncation: Points = ((0.0, 1.0),)
    decompose: bool = False
    interpolate: bool = False
    loop: bool = False
    motion_amplitude: float = 1.0
    mix_seed: int | None = None
    mix_layers: tuple[int, int] | None = None
    mix_weight: Points = ((0.0, 1.0),)
    direction: str | None = None
    strength: Points = ((0.0, 2.0),)
    grid: tuple[int, int] | None = None
    padding: int = 0
    labels: bool = False
    output: str = "out"
    format: str | None = None
    codec: str | None = None
    quality: int = DEFAULT_QUALITY

    def __post_init__(self) -> None:
        bounds: dict[str, Bounds] = dict.fromkeys(("seeds", "motion_seeds", "mix_seed"), (0, MOST_SEEDS - 1))
        bounds |= dict.fromkeys(("class_index", "duration", "motion_amplitude"), (0, None))
        check_fields(self, bounds | {"frames": (1, None), "padding": (0, 256), "quality": (1, 100)}, {})
        if not self.seeds and not self.projections:
            raise RequestError("Missing option '--seeds' (or '--projection'); say what to show, such as --seeds=0-7")
        if self.frames is not None and self.duration is not None:
            raise RequestError("--frames and --duration both give the length; use one of them")
        if self.motion_seeds and self.motion_from:
            raise RequestError("--motion-seeds and --motion-from both give the motion; use one of them")
        if self.interpolate and self.decompose:
            raise RequestError("--interpolate makes one video, --decompose a grid; use one of them")
        if self.interpolate and len(self.seeds) + len(self.projections) < 2:
            raise RequestError("--interpolate needs two contents or more, such as --seeds=0,5")
        if self.mix_layers and self.mix_seed is None:
            raise RequestError("--mix-layers says which layers, --mix-seed whose; give both")
        if (self.padding or self.labels) and not (self.grid or self.decompose):
            raise RequestError("--padding and --labels are for grids; add --grid=WxH or --decompose")
        check_times(self.start, self.speed, self.num_frames)
        self._check_output()

    def _check_output(self) -> None:
        if self.is_file and self.format not in (None, format_of(self.output, VIDEO_FORMATS)):
            raise RequestError(f"--output={self.output} and --format={self.format} differ; leave one out")
        check_format(self._example, self.codec, self.fps)

    @property
    def is_file(self) -> bool:
        """Whether `output` is one file, and not a folder."""
        return format_of(self.output, VIDEO_FORMATS) is not None

    @property
    def _example(self) -> str:
        """Name of a file that will be written, or of a file with the same format."""
        return self.output if self.is_file else f"video.{self.format or 'mp4'}"

    @property
    def num_frames(self) -> int:
        """Length of every video in frames."""
        if self.frames is None and self.duration is not None:
            return max(round(self.duration * self.fps), 1)
        return self.frames or DEFAULT_FRAMES

    @property
    def notes(self) -> list[str]:
        """What people may want to know about the request."""
        if check_format(self._example, self.codec, self.fps) == "gif" and self.fps > FASTEST_GIF:
            return [f"GIF plays {FASTEST_GIF} frames a second at most; of --fps={self.fps:g} it keeps as many"]
        return []
