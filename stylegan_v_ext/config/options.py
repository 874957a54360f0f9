"""What a user asks for when a run begins. `train.py`, its help, and the documentation all read the fields here."""

import dataclasses
import math
import os
from dataclasses import dataclass
from functools import partial
from typing import Any

from stylegan_v_ext.config.augmentations import AUGMENTATIONS
from stylegan_v_ext.config.fields import GROUPS, checked, setting, setting_of
from stylegan_v_ext.config.presets import IMAGE_PRESETS, PRESETS, Preset
from stylegan_v_ext.text import printable

AUGMENT_MODES = ("noaug", "ada", "fixed")
_MODELS = "; ".join(f"{name} ({preset.summary})" for name, preset in PRESETS.items())
_VIDEO_FRAMES = PRESETS["stylegan-v"].num_frames
_model, _data, _optimiser, _regularisation, _run, _machine = (partial(setting, group=group) for group in GROUPS)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a new run is asked for; None stands for a default that depends on the rest.

    Values are checked when the object is made, with a `ValueError` that names the option as the command line has it.
    The sentence of a field is its documentation; `docs/options.md` lists all fields.

        options = TrainOptions(data="clips.zip", mirror=True, kimg=1000)
    """

    outdir: str = _run("Folder that run folders go into", default="runs", begins=True, metavar="DIR")
    cfg: str = _model(f"Model: {_MODELS}", default="stylegan-v", choices=tuple(PRESETS), needed=True, metavar="CFG")
    data: str = _data(
        "Data set: zip, folder, shards, an address such as s3://bucket/name.zip, or `demo` for the built-in sky "
        "time-lapse",
        needed=True,
        may_change=True,
        metavar="PATH",
    )
    gpus: int = _machine(
        "Processes on this machine, one for each GPU, or on the CPU; short for torchrun --nproc-per-node, which also "
        "spans machines (docs/scaling.md)",
        default=1,
        low=1,
        may_change=True,
    )
    batch: int | None = _optimiser(
        "Clips of a step", default=None, unit="clips", low=1, high=2**16, default_text="from the resolution"
    )
    batch_gpu: int | None = _machine(
        "Clips at a time on one device; gradients accumulate over the rest of the batch",
        default=None,
        unit="clips",
        low=1,
        high=2**12,
        default_text="--batch / --gpus",
        may_change=True,
    )
    gamma: float | None = _regularisation(
        "Weight of the R1 penalty per frame", default=None, low=0, default_text="from resolution and batch"
    )
    cond: bool = _data("Condition the networks on the classes in dataset.json", default=False)
    mirror: bool = _data("Add a mirrored copy of every video", default=False)
    aug: str = _regularisation(
        "Augmentation: no augmentation, adaptive, or with a fixed probability", default="ada", choices=AUGMENT_MODES
    )
    on_bad_frame: str = _data(
        "A frame that cannot be read in training: stop, or skip, which takes another clip and stops at the 101st frame",
        default="stop",
        choices=("stop", "skip"),
        may_change=True,
        rare=True,
    )
    nan_policy: str = _run(
        "A loss that becomes NaN: stop and keep the last good state, or ignore, which leaves out its gradients",
        default="stop",
        choices=("stop", "ignore"),
        may_change=True,
        rare=True,
    )
    augpipe: str = _regularisation(
        "Transforms: blit, geom, color, filter, noise, cutout, or b, bg, bgc, ... bgcfnc",
        default="bgc",
        choices=tuple(AUGMENTATIONS),
        rare=True,
        metavar="NAME",
    )
    p: float | None = _regularisation(
        "Probability for --aug=fixed; the first value for --aug=ada",
        default=None,
        low=0,
        high=1,
        default_text="0.2; 0 for ada",
        rare=True,
    )
    ada_kimg: float | None = _regularisation(
        "Training in thousand clips in which --aug=ada may move p from 0 to 1",
        default=None,
        unit="kimg",
        low=1e-9,
        high=1e9,
        default_text="500; 100 with --resume",
        rare=True,
    )
    target: float = _regularisation(
        "Value that --aug=ada aims at for the sign of the discriminator's logits on real clips",
        default=0.6,
        low=0,
        high=1,
        rare=True,
    )
    resume: str | None = _run(
        "A run folder, or `latest` in --outdir: go on with that run exactly where it stopped, in its folder; --data "
        "says where its data moved to. A checkpoint or URL: start a new run from what fits of its networks (transfer "
        "learning; counters and optimizers start anew); sizes of networks follow it unless given. A StyleGAN2 image "
        "model starts a video model whose every frame is the image at first",
        default=None,
        begins=True,
        metavar="DIR|latest|PKL",
    )
    freezed: int = _regularisation(
        "First layers of the discriminator that keep their weights (Freeze-D)",
        default=0,
        unit="layers",
        low=0,
        rare=True,
    )
    cbase: int | None = _model(
        "Capacity: feature maps times resolution",
        default=None,
        low=1,
        high=2**20,
        default_text="16384 below 512 px, else 32768",
    )
    cmax: int = _model("Most feature maps of a layer", default=512, low=1, high=2**14)
    glr: float | None = _optimiser(
        "Learning rate of the generator",
        default=None,
        low=0,
        default_text="0.8 of the discriminator's default; the whole of it with --pl-weight",
    )
    dlr: float | None = _optimiser(
        "Learning rate of the discriminator", default=None, low=0, default_text="0.0025 below 1024 px, else 0.002"
    )
    map_depth: int = _model("Layers of the mapping network", default=2, unit="layers", low=1, high=64, rare=True)
    mbstd_group: int = _regularisation(
        "Clips of a group in the minibatch standard deviation", default=4, unit="clips", low=1, high=2**12, rare=True
    )
    num_frames: int | None = _data(
        "Frames of a clip",
        default=None,
        unit="frames",
        low=1,
        high=1024,
        default_text=f"{_VIDEO_FRAMES}; 1 for {', '.join(IMAGE_PRESETS)}",
    )
    max_dist: int = _data(
        "Largest distance between the frames of a clip, below the length of the longest video",
        default=32,
        unit="frames",
        low=1,
        high=2**31,
    )
    motion_distance: int | None = _model(
        "Frames between motion anchors: 16 suits faces, 256 time-lapses",
        default=None,
        unit="frames",
        low=1,
        high=2**31,
        default_text="the data's hint, or 16",
    )
    min_period: float | None = _model(
        "Shortest period of motion in frames",
        default=None,
        unit="frames",
        low=1,
        high=1024,
        default_text="--motion-distance",
        rare=True,
    )
    motion_z_dim: int = _model("Size of motion noise and motion codes", default=512, low=1, high=2**14)
    latent_dim: int = _model("Size of the latent vectors z and w", default=512, low=2, high=2**14)
    style_mixing: float = _regularisation("Share of clips with mixed styles", default=0.0, low=0, high=1, rare=True)
    pl_weight: float = _regularisation("Weight of path length regularisation", default=0.0, low=0, rare=True)
    metrics: tuple[str, ...] = _run(
        "Metrics to measure at every snapshot, such as fvd2048_16f, see `stylegan-v metrics list`; with --host also "
        "the checkout's own, on single frames",
        default=(),
        may_change=True,
        metavar="NAME,...",
    )
    desc: str | None = _run("Text at the end of the run folder's name", default=None, begins=True, metavar="TEXT")
    kimg: float = _run(
        "Length of training in thousand clips", default=8333.0, unit="kimg", low=1e-9, high=1e9, may_change=True
    )
    max_hours: float | None = _run(
        "Hours after which the run saves and stops",
        default=None,
        unit="hours",
        low=0,
        high=math.inf,
        open_low=True,
        default_text="no limit",
        may_change=True,
    )
    snap_state: float = _run(
        "Minutes between writes of training-state-latest.pt, from which --resume=DIR goes on",
        default=10.0,
        unit="minutes",
        low=0,
        high=math.inf,
        may_change=True,
        rare=True,
    )
    tick: float = _run(
        "Training in thousand clips between lines of progress",
        default=4.0,
        unit="kimg",
        low=1e-9,
        high=math.inf,
        may_change=True,
    )
    snap: int = _run(
        "Ticks between snapshots; 0 for a snapshot at the end alone", default=50, unit="ticks", low=0, may_change=True
    )
    seed: int = _run("Seed of everything that is random", default=0, low=0, high=2**32 - 1)
    fp32: bool = _machine(
        "Compute in float32 alone; mixed precision is for CUDA, and for CPUs with AMX", default=False, rare=True
    )
    nobench: bool = _machine(
        "Do not let cuDNN choose algorithms by timing them", default=False, may_change=True, rare=True
    )
    tf32: bool = _machine(
        "Let GPUs round float32 to TF32 in matrix products and convolutions: faster, less exact",
        default=False,
        rare=True,
        aliases=("allow-tf32",),
    )
    compile: bool = _machine(
        "Run the networks through torch.compile if a step needs first derivatives alone; the first step takes "
        "minutes. On CPUs this is slower",
        default=False,
        rare=True,
    )
    workers: int = _machine(
        "Processes that read data; 0 reads in the main process", default=3, low=0, high=256, may_change=True
    )
    device: str = _machine(
        "Device to compute on: auto, cuda, cuda:1, cpu or mps (mps is untested)",
        default="auto",
        may_change=True,
        metavar="NAME",
    )
    host: str | None = _run(
        "Train with the loop, loss, augmentation and metrics of this stylegan3 or stylegan2-ada-pytorch checkout, "
        "unchanged, in place of the built-in engine",
        default=None,
        begins=True,
        recorded=False,
        environment="STYLEGAN_HOST",
        metavar="DIR",
    )
    skip_bad: bool = _data(
        "Train without videos that are damaged, too short or, with --cond, without a class",
        default=False,
        begins=True,
        recorded=False,
    )
    trust_pickle: bool = _run(
        "Unpickle --resume as Python does, which RUNS the code in the file",
        default=False,
        begins=True,
        recorded=False,
        rare=True,
    )
    allow_nan: bool = _run(
        "Start from networks with NaN or infinite weights, which otherwise end in an error",
        default=False,
        begins=True,
        recorded=False,
        rare=True,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked(field, getattr(self, field.name)))
        for name in ("outdir", "data", "resume", "host"):
            if path := getattr(self, name):
                object.__setattr__(self, name, os.path.expanduser(path))
        _check_texts(self)
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


def _check_texts(options: TrainOptions) -> None:
    """Raise `ValueError` for an empty place, and for a text that the name of a folder cannot hold."""
    for name in ("outdir", "data"):
        if not getattr(options, name):
            raise ValueError(f"--{name}= is empty; name a folder" + ", a file or an address" * (name == "data"))
    if options.desc is not None and {"/", "\0"} & set(options.desc):
        raise ValueError(f"--desc={printable(options.desc, 100)} cannot be part of a folder's name; leave out '/'")


def _check_frames(options: TrainOptions) -> None:
    """Raise `ValueError` unless the number of frames fits the preset and the largest distance."""
    frames = options.clip_frames
    asked = f"--num-frames={frames} with --cfg={options.cfg}"
    if options.preset.makes_images and frames != 1:
        raise ValueError(f"{asked}, which makes single frames; leave --num-frames out, or choose a video model")
    if frames == 1 and not options.preset.makes_images:
        raise ValueError(f"{asked}, which makes videos; use 2 frames or more, or --cfg={' or '.join(IMAGE_PRESETS)}")
    if options.max_dist < frames - 1:
        room = f"--max-dist={options.max_dist} has no room for {frames} frames"
        raise ValueError(f"{room}; use --max-dist={frames - 1} or more")
