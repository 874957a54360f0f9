"""A run, resolved: every value that networks, loss, optimizers and loop work with.

`TrainOptions` is what a user asks for, with None for "choose for me". `build_config` makes a `RunConfig` of it. The
trainer reads a `RunConfig` and nothing else; `config.stock` alone knows the dictionaries that stock loops and
`training_options.json` have.
"""

import math
from dataclasses import dataclass
from typing import Any

from stylegan_v_ext.classes import VIDEO_DATASET
from stylegan_v_ext.config.fields import Checked, setting


@dataclass(frozen=True, kw_only=True)
class MappingConfig(Checked):
    """Mapping network (StyleGAN2, section 2; StyleGAN-V, section 3)."""

    num_layers: int = setting("Number of fully connected layers", default=2, low=1, high=64)
    lr_multiplier: float | None = setting(
        "Learning rate relative to the other layers; None for the default of the network", default=None
    )
    w_avg_beta: float | None = setting(
        "Decay of the running average of w; None for the default of the network", default=None, low=0, high=1
    )


@dataclass(frozen=True, kw_only=True)
class MotionConfig(Checked):
    """Motion codes and their positional encoding (StyleGAN-V, section 3)."""

    z_dim: int = setting("Size of the motion noise", default=512, low=1, high=2**14)
    code_dim: int = setting("Size of the motion codes", default=512, low=1, high=2**14)
    distance: int = setting("Distance between motion anchors", default=16, unit="frames", low=1, high=2**31)
    min_period: float = setting("Shortest period of the encoding", default=16.0, unit="frames", low=1, high=1024)
    amplitude: bool = setting("Whether amplitudes are learned", default=True)
    strategy: str = setting("How motion codes are made of motion noise", default="conv", choices=("conv", "lstm"))
    kernel_size: int | None = setting(
        "Kernel of the convolutions over anchors; None for the default of the network", default=None, low=1, high=255
    )


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(Checked):
    """Generator. Number of labels, resolution and channels of colour follow from the data set."""

    class_name: str = setting("Path of the class", default="stylegan_v_ext.networks.generator.VideoGenerator")
    num_frames: int = setting("Frames of a clip", default=3, unit="frames", low=1, high=1024)
    z_dim: int = setting("Size of the content noise z", default=512, low=1, high=2**14)
    w_dim: int = setting("Size of the content code w", default=512, low=2, high=2**14)
    mapping: MappingConfig = setting("Mapping network", factory=MappingConfig)
    motion: MotionConfig | None = setting("Motion; None for an image model", default=None)
    use_noise: bool = setting("Whether layers add noise to their pixels", default=False)
    channel_base: int = setting("Feature maps times resolution", default=32768, low=1, high=2**20)
    channel_max: int = setting("Most feature maps of a layer", default=512, low=1, high=2**14)
    num_fp16_res: int = setting("Number of the highest resolutions that compute in 16 bits", default=0, low=0, high=64)
    conv_clamp: float | None = setting("Bound on activations; None for no bound", default=None)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig(Checked):
    """Discriminator. Number of labels, resolution and channels of colour follow from the data set."""

    class_name: str = setting(
        "Path of the class", default="stylegan_v_ext.networks.discriminator.TimeConditionedDiscriminator"
    )
    num_frames: int = setting("Frames of a clip", default=3, unit="frames", low=1, high=1024)
    time_conditioning: str = setting(
        "How the distances in time between frames enter", default="modulate", choices=("modulate", "project")
    )
    freeze_layers: int = setting("First layers that keep their weights (Freeze-D)", default=0, low=0, high=2**31)
    mbstd_group_size: int = setting(
        "Group of the minibatch standard deviation", default=4, unit="clips", low=1, high=2**12
    )
    mapping: MappingConfig = setting("Mapping network of the condition", factory=MappingConfig)
    channel_base: int = setting("Feature maps times resolution", default=32768, low=1, high=2**20)
    channel_max: int = setting("Most feature maps of a layer", default=512, low=1, high=2**14)
    num_fp16_res: int = setting("Number of the highest resolutions that compute in 16 bits", default=0, low=0, high=64)
    conv_clamp: float | None = setting("Bound on activations; None for no bound", default=None)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Checked):
    """Optimizer of a network."""

    class_name: str = setting("Path of the class", default="torch.optim.Adam")
    lr: float = setting("Learning rate, before the correction for a lazy regulariser", default=0.0025, low=0)
    betas: tuple[float, float] = setting(
        "Decay of the mean and of the mean square of gradients", default=(0.0, 0.99), low=0, high=1
    )
    eps: float = setting("Number that is added to the denominator of a step", default=1e-8, low=0)
    reg_interval: int | None = setting(
        "Steps between two lazy regularisations (StyleGAN2, appendix B); None for no such phase",
        default=None,
        unit="steps",
        low=1,
        high=2**20,
    )


@dataclass(frozen=True, kw_only=True)
class LossConfig(Checked):
    """Adversarial loss and regularisers."""

    class_name: str = setting("Path of the class", default="stylegan_v_ext.engine.loss.StyleGAN2Loss")
    r1_gamma: float = setting(
        "Weight of R1 on a strip: the weight per frame over the number of frames", default=10.0, low=0
    )
    style_mixing_prob: float = setting("Share of clips with mixed styles", default=0.0, low=0, high=1)
    pl_weight: float = setting("Weight of path length regularisation; 0 for no regularisation", default=0.0, low=0)
    compiled: bool = setting("Whether networks run through torch.compile", default=False)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Checked):
    """Augmentation of what the discriminator sees (StyleGAN2-ADA)."""

    class_name: str = setting("Path of the class", default="stylegan_v_ext.engine.augment.AugmentPipe")
    strengths: dict[str, float] = setting("Strength of each transform by name", factory=dict)


@dataclass(frozen=True, kw_only=True)
class AdaConfig(Checked):
    """Probability of the augmentation, and how it adapts (StyleGAN2-ADA, section 3)."""

    p: float = setting("Probability in the first step", default=0.0, low=0, high=1)
    target: float | None = setting(
        "Target for the sign of D's logits on real clips; None keeps p", default=None, low=0, high=1
    )
    kimg: float = setting("Training in which p may move from 0 to 1", default=500.0, unit="kimg", low=1e-9, high=1e9)


@dataclass(frozen=True, kw_only=True)
class AverageConfig(Checked):
    """Exponential moving average of the generator."""

    kimg: float = setting("Half-life", default=10.0, unit="kimg", low=0, high=1e9)
    rampup: float | None = setting(
        "Largest half-life as a share of the training so far; None for no ramp-up", default=0.05, low=0
    )


@dataclass(frozen=True, kw_only=True)
class DataConfig(Checked):
    """Training set."""

    class_name: str = setting("Path of the class", default=VIDEO_DATASET)
    path: str = setting("Zip, folder, shards or address")
    use_labels: bool = setting("Whether classes condition the networks", default=False)
    xflip: bool = setting("Whether mirrored videos are added", default=False)
    num_frames: int = setting("Frames of a clip", default=3, unit="frames", low=1, high=1024)
    max_dist: int = setting(
        "Largest distance between the frames of a clip", default=32, unit="frames", low=1, high=2**31
    )
    exclude: tuple[str, ...] = setting("Folders of videos that are left out", default=())
    resolution: int = setting("Side of a frame", unit="pixels", low=8, high=8192)
    num_classes: int = setting("Classes; 0 for data without labels", default=0, low=0, high=2**16 + 1)


@dataclass(frozen=True, kw_only=True)
class LoaderConfig(Checked):
    """Data loader."""

    num_workers: int = setting("Processes that read data; 0 reads in the main process", default=3, low=0, high=256)
    prefetch_factor: int | None = setting(
        "Batches that a worker reads ahead; None without workers", default=2, low=1, high=16
    )


@dataclass(frozen=True, kw_only=True)
class BatchConfig(Checked):
    """Sizes of a batch."""

    size: int = setting("Clips of a training step", unit="clips", low=1, high=2**16)
    per_gpu: int = setting(
        "Clips at a time on one device; gradients accumulate over the rest", unit="clips", low=1, high=2**12
    )
    num_gpus: int = setting("Number of processes, one for each device", default=1, low=1, high=2**16)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Checked):
    """Length of a run, and the times at which it writes its files."""

    total_kimg: float = setting("Length of training", default=8333.0, unit="kimg", low=1e-9, high=1e9)
    kimg_per_tick: float = setting(
        "Training between two lines of progress (a tick)", default=4.0, unit="kimg", low=1e-9, high=math.inf
    )
    max_hours: float | None = setting(
        "Hours after which a run stops; None for no limit", default=None, unit="hours", low=0, high=math.inf
    )
    snap_state_minutes: float = setting(
        "Minutes between two writes of the state", default=10.0, unit="minutes", low=0, high=math.inf
    )
    image_snapshot_ticks: int = setting(
        "Ticks between two sheets of samples; 0 for the end alone", default=50, unit="ticks", low=0
    )
    network_snapshot_ticks: int = setting(
        "Ticks between two snapshots; 0 for the end alone", default=50, unit="ticks", low=0
    )
    metrics: tuple[str, ...] = setting("Metrics of every snapshot", default=())


@dataclass(frozen=True, kw_only=True)
class MachineConfig(Checked):
    """Device and precision of a run, and what it does about faults."""

    device: str = setting("Device to compute on: cpu, cuda, cuda:1 or mps", default="cpu")
    random_seed: int = setting("Seed of everything that is random", default=0, low=0, high=2**32 - 1)
    cudnn_benchmark: bool = setting("Whether cuDNN chooses algorithms by timing", default=True)
    allow_tf32: bool = setting("Whether float32 may round to TF32 on GPUs", default=False)
    allow_bf16: bool = setting("Whether a CPU with matrix units for bfloat16 computes in bfloat16", default=False)
    on_bad_frame: str = setting("What happens at a frame that cannot be read", default="stop", choices=("stop", "skip"))
    nan_policy: str = setting("What happens at a loss that is NaN", default="stop", choices=("stop", "ignore"))


@dataclass(frozen=True, kw_only=True)
class StartConfig(Checked):
    """Networks that a run starts from."""

    path: str = setting("Path or address of the checkpoint")
    trusted: bool = setting("Whether code in the file may run", default=False)
    allow_nan: bool = setting("Whether NaN and infinite weights are accepted", default=False)


@dataclass(frozen=True, kw_only=True)
class RunConfig(Checked):
    """A whole run."""

    generator: GeneratorConfig = setting("Generator")
    discriminator: DiscriminatorConfig = setting("Discriminator")
    generator_optimizer: OptimizerConfig = setting("Optimizer of the generator")
    discriminator_optimizer: OptimizerConfig = setting("Optimizer of the discriminator")
    loss: LossConfig = setting("Loss")
    augmentation: AugmentConfig | None = setting("Augmentation; None for no augmentation", default=None)
    ada: AdaConfig = setting("Probability of the augmentation", factory=AdaConfig)
    average: AverageConfig = setting("Average of the generator", factory=AverageConfig)
    data: DataConfig = setting("Training set")
    loader: LoaderConfig = setting("Data loader", factory=LoaderConfig)
    batch: BatchConfig = setting("Batch")
    schedule: ScheduleConfig = setting("Schedule", factory=ScheduleConfig)
    machine: MachineConfig = setting("Machine", factory=MachineConfig)
    start: StartConfig | None = setting("Networks to start from; None for random weights", default=None)
    name: str = setting("End of the run folder's name", default="")
    num_videos: int | None = setting(
        "Videos of the training set; None if nobody has counted them", default=None, low=1, high=2**31
    )
    launch: str | None = setting(
        "Name that torchrun gives to a launch, restarts included; None without torchrun", default=None
    )
    options: dict[str, Any] = setting("What the user asked for, by option", factory=dict)

    def __post_init__(self) -> None:
        """Check that the parts fit together. Messages name the entries of `training_options.json`."""
        super().__post_init__()
        if self.batch.size % self.batch.per_gpu:
            raise ValueError(f"batch_size {self.batch.size} is not a multiple of batch_gpu {self.batch.per_gpu}")
        frames = {
            "training_set_kwargs": self.data.num_frames,
            "G_kwargs": self.generator.num_frames,
            "D_kwargs": self.discriminator.num_frames,
        }
        if len(set(frames.values())) > 1:
            raise ValueError("num_frames differs: " + ", ".join(f"{name} {value}" for name, value in frames.items()))
        if self.ada.target is not None and self.augmentation is None:
            raise ValueError("ada_target is given without augment_kwargs")
        if bool(self.loss.pl_weight) != (self.generator_optimizer.reg_interval is not None):
            interval, weight = self.generator_optimizer.reg_interval, self.loss.pl_weight
            raise ValueError(
                f"G_reg_interval {interval} and pl_weight {weight:g} do not fit: a weight above 0 needs an interval, "
                "and an interval needs a weight"
            )
