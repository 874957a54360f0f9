"""What a user asks for when a run begins. `train.py`, its help, and the documentation all read the fields here."""

import dataclasses
import math
import os
from dataclasses import dataclass
from typing import Any

from stylegan_v_ext.config.augmentations import AUGMENTATIONS
from stylegan_v_ext.config.fields import check_bounds, option_name, setting, setting_of
from stylegan_v_ext.config.kinds import check_kind, kind_of
from stylegan_v_ext.config.presets import IMAGE_PRESETS, PRESETS, Preset

AUGMENT_MODES = ("noaug", "ada", "fixed")
_MODELS = "; ".join(f"{name} ({preset.summary})" for name, preset in PRESETS.items())
_VIDEO_FRAMES = PRESETS["stylegan-v"].num_frames


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a new run is asked for; None stands for a default that depends on the rest.

    Values are checked when the object is made, with a `ValueError` that names the option as the command line has it.
    The help text of a field is its documentation; `docs/options.md` lists all of them.
    """

    outdir: str = setting(
        "Folder that run folders go into", default="runs", group="Run", may_change=True, metavar="DIR"
    )
    cfg: str = setting(
        f"Model: {_MODELS}",
        default="stylegan-v",
        choices=tuple(PRESETS),
        group="Model",
        needed=True,
        metavar="CFG",
    )
    data: str = setting(
        "Data set: zip, folder, shards, an address such as s3://bucket/name.zip, or `demo` for the built-in sky "
        "time-lapse",
        group="Data",
        needed=True,
        may_change=True,
        metavar="PATH",
    )
    gpus: int = setting(
        "Processes on this machine, one a GPU, or on the CPU; short for torchrun --nproc-per-node, which also spans "
        "machines (docs/scaling.md)",
        default=1,
        low=1,
        group="Machine",
        may_change=True,
    )
    batch: int | None = setting(
        "Clips of a step",
        default=None,
        unit="clips",
        low=1,
        high=2**16,
        group="Optimiser",
        default_text="from the resolution",
    )
    batch_gpu: int | None = setting(
        "Clips at a time; the rest accumulates",
        default=None,
        unit="clips",
        low=1,
        high=2**12,
        group="Machine",
        default_text="--batch / --gpus",
        may_change=True,
    )
    gamma: float | None = setting(
        "R1 weight per frame",
        default=None,
        low=0,
        group="Regularisation",
        default_text="from resolution and batch",
    )
    cond: bool = setting("Use the classes in dataset.json", default=False, group="Data")
    mirror: bool = setting("Add mirrored videos", default=False, group="Data")
    aug: str = setting(
        "Augmentation: none, adaptive, or with fixed probability",
        default="ada",
        choices=AUGMENT_MODES,
        group="Regularisation",
    )
    on_bad_frame: str = setting(
        "A frame that cannot be read in training: stop, or skip, which takes another clip and stops at the 101st frame",
        default="stop",
        choices=("stop", "skip"),
        group="Data",
        may_change=True,
        rare=True,
    )
    nan_policy: str = setting(
        "A loss that becomes NaN: stop and keep the last good state, or ignore, which leaves out its gradients",
        default="stop",
        choices=("stop", "ignore"),
        group="Run",
        may_change=True,
        rare=True,
    )
    augpipe: str = setting(
        "Transforms: blit, geom, color, filter, noise, cutout, or b, bg, bgc, ... bgcfnc",
        default="bgc",
        choices=tuple(AUGMENTATIONS),
        group="Regularisation",
        rare=True,
        metavar="NAME",
    )
    p: float | None = setting(
        "Probability for --aug=fixed; the first value for --aug=ada",
        default=None,
        low=0,
        high=1,
        group="Regularisation",
        default_text="0.2; 0 for ada",
        rare=True,
    )
    ada_kimg: float | None = setting(
        "Thousand clips in which --aug=ada may move p from 0 to 1",
        default=None,
        unit="kimg",
        low=1e-9,
        high=1e9,
        group="Regularisation",
        default_text="500; 100 with --resume",
        rare=True,
    )
    target: float = setting("Target of --aug=ada", default=0.6, low=0, high=1, group="Regularisation", rare=True)
    resume: str | None = setting(
        "A run folder, or `latest` in --outdir: go on with that run exactly where it stopped, in its folder; --data "
        "says where its data moved to. A checkpoint or URL: start a new run from what fits of its networks (transfer "
        "learning; counters and optimizers start anew); sizes of networks follow it unless given. A StyleGAN2 image "
        "model starts a video model whose every frame is the image at first",
        default=None,
        group="Run",
        may_change=True,
        metavar="DIR|latest|PKL",
    )
    freezed: int = setting(
        "First layers of the discriminator that keep their weights (Freeze-D)",
        default=0,
        unit="layers",
        low=0,
        group="Regularisation",
        rare=True,
    )
    cbase: int | None = setting(
        "Capacity: feature maps times resolution",
        default=None,
        low=1,
        high=2**20,
        group="Model",
        default_text="16384 below 512 px, else 32768",
    )
    cmax: int = setting("Most feature maps of a layer", default=512, low=1, high=2**14, group="Model")
    glr: float | None = setting(
        "Learning rate of the generator",
        default=None,
        low=0,
        group="Optimiser",
        default_text="0.8 of the discriminator's; the same with --pl-weight",
    )
    dlr: float | None = setting(
        "Learning rate of the discriminator",
        default=None,
        low=0,
        group="Optimiser",
        default_text="0.0025 below 1024 px, else 0.002",
    )
    map_depth: int = setting(
        "Layers of the mapping network", default=2, unit="layers", low=1, high=64, group="Model", rare=True
    )
    mbstd_group: int = setting(
        "Clips of a group in the minibatch standard deviation",
        default=4,
        unit="clips",
        low=1,
        high=2**12,
        group="Regularisation",
        rare=True,
    )
    num_frames: int | None = setting(
        "Frames of a clip",
        default=None,
        unit="frames",
        low=1,
        high=1024,
        group="Data",
        default_text=f"{_VIDEO_FRAMES}; 1 for {', '.join(IMAGE_PRESETS)}",
    )
    max_dist: int = setting(
        "Largest distance between the frames of a clip, below the length of the longest video",
        default=32,
        unit="frames",
        low=1,
        high=2**31,
        group="Data",
    )
    motion_distance: int | None = setting(
        "Frames between motion anchors: 16 suits faces, 256 time-lapses",
        default=None,
        unit="frames",
        low=1,
        high=2**31,
        group="Model",
        default_text="the data's hint, or 16",
    )
    min_period: float | None = setting(
        "Shortest period of motion in frames",
        default=None,
        unit="frames",
        low=1,
        high=1024,
        group="Model",
        default_text="--motion-distance",
        rare=True,
    )
    motion_z_dim: int = setting("Size of motion noise and motion codes", default=512, low=1, high=2**14, group="Model")
    latent_dim: int = setting("Size of z and w", default=512, low=2, high=2**14, group="Model")
    style_mixing: float = setting(
        "Share of clips with mixed styles", default=0.0, low=0, high=1, group="Regularisation", rare=True
    )
    pl_weight: float = setting(
        "Weight of path length regularisation", default=0.0, low=0, group="Regularisation", rare=True
    )
    metrics: tuple[str, ...] = setting(
        "Metrics to measure at every snapshot, such as fvd2048_16f, see `stylegan-v metrics list`; with --host also "
        "the checkout's own, on single frames",
        default=(),
        group="Run",
        may_change=True,
        metavar="NAME,...",
    )
    desc: str | None = setting(
        "Text at the end of the run folder's name", default=None, group="Run", may_change=True, metavar="TEXT"
    )
    kimg: float = setting(
        "Length of training in thousand clips",
        default=8333.0,
        unit="kimg",
        low=1e-9,
        high=1e9,
        group="Run",
        may_change=True,
    )
    max_hours: float | None = setting(
        "Stop and save after this time",
        default=None,
        unit="hours",
        low=0,
        high=math.inf,
        open_low=True,
        group="Run",
        default_text="no limit",
        may_change=True,
    )
    snap_state: float = setting(
        "Minutes between writes of training-state-latest.pt, from which --resume=DIR goes on",
        default=10.0,
        unit="minutes",
        low=0,
        high=math.inf,
        group="Run",
        may_change=True,
        rare=True,
    )
    tick: float = setting(
        "Thousand clips between lines of progress",
        default=4.0,
        unit="kimg",
        low=1e-9,
        high=math.inf,
        group="Run",
        may_change=True,
    )
    snap: int = setting(
        "Ticks between snapshots; 0 for a snapshot at the end alone",
        default=50,
        unit="ticks",
        low=0,
        group="Run",
        may_change=True,
    )
    seed: int = setting("Random seed", default=0, low=0, high=2**32 - 1, group="Run")
    fp32: bool = setting(
        "No mixed precision, which CUDA has, and CPUs with AMX", default=False, group="Machine", rare=True
    )
    nobench: bool = setting("No cuDNN benchmarking", default=False, group="Machine", may_change=True, rare=True)
    tf32: bool = setting(
        "TF32 for what is computed in 32 bits, on GPUs that have it: faster, less exact",
        default=False,
        group="Machine",
        rare=True,
        aliases=("allow-tf32",),
    )
    compile: bool = setting(
        "Run the networks through torch.compile where first derivatives do; the first step takes minutes. On CPUs "
        "slower than without",
        default=False,
        group="Machine",
        rare=True,
    )
    workers: int = setting(
        "Processes that read data; 0 reads in the main process",
        default=3,
        low=0,
        high=256,
        group="Machine",
        may_change=True,
    )
    device: str = setting(
        "auto, cuda, cpu or mps (mps is untested)", default="auto", group="Machine", may_change=True, metavar="NAME"
    )
    host: str | None = setting(
        "Train with the loop, loss, augmentation and metrics of this stylegan3 or stylegan2-ada-pytorch checkout, "
        "unchanged, in place of the built-in engine",
        default=None,
        group="Run",
        recorded=False,
        environment="STYLEGAN_HOST",
        metavar="DIR",
    )
    skip_bad: bool = setting(
        "Train without videos that are damaged, too short or, with --cond, without a class",
        default=False,
        group="Data",
        recorded=False,
    )
    trust_pickle: bool = setting(
        "Unpickle --resume as Python does, which RUNS the code in the file",
        default=False,
        group="Run",
        recorded=False,
        rare=True,
    )
    allow_nan: bool = setting(
        "Start from networks with NaN or infinite weights, which otherwise end in an error",
        default=False,
        group="Run",
        recorded=False,
        rare=True,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, os.PathLike):
                value = os.fspath(value)
            elif isinstance(value, list):
                value = tuple(value)
            object.__setattr__(self, field.name, value)
            check_kind(option_name(field), value, kind_of(field.type))
            check_bounds(option_name(field), value, setting_of(field))
        _check_frames(self)

    @property
    def preset(self) -> Preset:
        """The row of the table of presets."""
        return PRESETS[self.cfg]

    @property
    def clip_frames(self) -> int:
        """Frames of a clip, from the preset if nobody chose."""
        return self.preset.num_frames if self.num_frames is None else self.num_frames

    def recorded(self) -> dict[str, Any]:
        """Return the options that `training_options.json` keeps, without those that nobody chose, as JSON values."""
        values = {field.name: getattr(self, field.name) for field in recorded_fields()}
        values |= {"num_frames": self.clip_frames, "metrics": list(self.metrics)}
        return {name: value for name, value in values.items() if value is not None}

    def chosen(self) -> set[str]:
        """Return the names of the options that differ from their defaults."""
        return {field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default}


def recorded_fields() -> list[dataclasses.Field]:
    """Return the fields that `training_options.json` keeps, in its order."""
    return [field for field in dataclasses.fields(TrainOptions) if setting_of(field).recorded]


def _check_frames(options: TrainOptions) -> None:
    """Raise `ValueError` unless the number of frames fits the preset and the largest distance."""
    frames = options.clip_frames
    if options.preset.makes_images != (frames == 1):
        names = " or ".join(IMAGE_PRESETS)
        raise ValueError(f"--num-frames={frames} with --cfg={options.cfg}: 1 frame is what {names} means")
    if options.max_dist < frames - 1:
        room = f"--max-dist={options.max_dist} has no room for {frames} frames"
        raise ValueError(f"{room}; use --max-dist={frames - 1} or more")
