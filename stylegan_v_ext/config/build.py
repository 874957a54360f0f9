"""From what a user asks for to a whole run: the defaults that depend on one another."""

import math
from dataclasses import dataclass

from stylegan_v_ext.config.augmentations import AUGMENTATIONS
from stylegan_v_ext.config.options import TrainOptions
from stylegan_v_ext.config.run import (
    AdaConfig,
    AugmentConfig,
    AverageConfig,
    BatchConfig,
    DataConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    LoaderConfig,
    LossConfig,
    MachineConfig,
    MappingConfig,
    MotionConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    StartConfig,
)

_LONGEST_PERIOD = 1024  # frames


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What a run has to know about its training set.

    Attributes:
        path: Absolute path or address.
        name: Short name, for the run folder.
        resolution: Side of a frame in pixels.
        num_classes: Classes; 0 without labels.
        num_videos: Items of the training set, mirrored videos included.
        motion_distance: Frames between motion anchors that the data recommend; None for no recommendation.
        exclude: Folders of videos that are left out.
    """

    path: str
    name: str
    resolution: int
    num_classes: int = 0
    num_videos: int | None = None
    motion_distance: int | None = None
    exclude: tuple[str, ...] = ()


def build_config(options: TrainOptions, facts: DataFacts, *, device: str, fast_bfloat16: bool) -> RunConfig:
    """Decide on everything that options leave open.

    Args:
        options: What the user asks for.
        facts: What is known about the data.
        device: Device that the run computes on, such as "cuda"; never "auto".
        fast_bfloat16: Whether the CPU has matrix units for bfloat16.

    Returns:
        The whole run.

    Raises:
        ValueError: If options do not fit together, with value, bound and remedy.
    """
    o = options
    batch = _batch_sizes(o, facts.resolution)
    _check_freezed(o.freezed, facts.resolution)
    gamma = o.gamma if o.gamma is not None else 0.0002 * facts.resolution**2 / batch.size
    name = f"{o.cfg}-{facts.name}-gpus{o.gpus}-batch{batch.size}-gamma{gamma:g}"
    generator_optimizer, discriminator_optimizer = _optimizers(o, facts.resolution)
    return RunConfig(
        generator=_generator(o, facts, device),
        discriminator=_discriminator(o, facts, device, batch.per_gpu),
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        loss=LossConfig(
            r1_gamma=gamma / o.clip_frames,
            style_mixing_prob=o.style_mixing,
            pl_weight=o.pl_weight,
            compiled=o.compile,
        ),
        augmentation=None if o.aug == "noaug" else AugmentConfig(strengths=dict(AUGMENTATIONS[o.augpipe])),
        ada=_ada(o),
        average=AverageConfig(kimg=batch.size * 10 / 32, rampup=None if o.resume else 0.05),
        data=_data(o, facts),
        loader=loader_config(o.workers),
        batch=batch,
        schedule=_schedule(o),
        machine=_machine(o, device, fast_bfloat16=fast_bfloat16),
        start=StartConfig(path=o.resume, trusted=o.trust_pickle, allow_nan=o.allow_nan) if o.resume else None,
        name=f"{name}-{o.desc}" if o.desc else name,
        num_videos=facts.num_videos,
        options={**o.recorded(), "device": device},
    )


def loader_config(workers: int) -> LoaderConfig:
    """Return the data loader of a number of worker processes; 0 reads in the main process."""
    return LoaderConfig(num_workers=workers, prefetch_factor=2 if workers else None)


def _generator(o: TrainOptions, facts: DataFacts, device: str) -> GeneratorConfig:
    return GeneratorConfig(
        num_frames=o.clip_frames,
        z_dim=o.latent_dim,
        w_dim=o.latent_dim,
        mapping=MappingConfig(num_layers=o.map_depth),
        motion=None if o.preset.makes_images else _motion(o, facts),
        use_noise=o.preset.use_noise,
        channel_base=_channel_base(o, facts.resolution),
        channel_max=o.cmax,
        num_fp16_res=4 if _is_mixed(o, device) else 0,
        conv_clamp=256 if _is_mixed(o, device) else None,
    )


def _motion(o: TrainOptions, facts: DataFacts) -> MotionConfig:
    distance = o.motion_distance or facts.motion_distance or 16
    if o.min_period is None and distance > _LONGEST_PERIOD:
        raise ValueError(
            f"the shortest period of motion would be the distance between anchors, {distance} frames, which is above "
            f"{_LONGEST_PERIOD}; use --min-period={_LONGEST_PERIOD} or less"
        )
    return MotionConfig(
        z_dim=o.motion_z_dim,
        code_dim=o.motion_z_dim,
        distance=distance,
        min_period=o.min_period or float(distance),
        amplitude=o.preset.amplitude,
        strategy=o.preset.strategy,
    )


def _discriminator(o: TrainOptions, facts: DataFacts, device: str, batch_gpu: int) -> DiscriminatorConfig:
    return DiscriminatorConfig(
        num_frames=o.clip_frames,
        time_conditioning=o.preset.time_conditioning,
        freeze_layers=o.freezed,
        mbstd_group_size=min(batch_gpu, o.mbstd_group),
        mapping=MappingConfig(num_layers=2),
        channel_base=_channel_base(o, facts.resolution),
        channel_max=o.cmax,
        num_fp16_res=4 if _is_mixed(o, device) else 0,
        conv_clamp=256 if _is_mixed(o, device) else None,
    )


def _channel_base(o: TrainOptions, resolution: int) -> int:
    return o.cbase or (16384 if resolution < 512 else 32768)


def _is_mixed(o: TrainOptions, device: str) -> bool:
    return device.startswith("cuda") and not o.fp32


def _optimizers(o: TrainOptions, resolution: int) -> tuple[OptimizerConfig, OptimizerConfig]:
    """Return the optimizers of generator and discriminator.

    A lazy phase lowers the learning rate of its optimizer, for the generator to 4/5 (StyleGAN2, appendix B). Without
    path length regularisation the generator has no lazy phase, so its default is the lower rate.
    """
    lr = 0.0025 if resolution < 1024 else 0.002
    discriminator = OptimizerConfig(lr=o.dlr if o.dlr is not None else lr, betas=(0.0, 0.99), reg_interval=16)
    rate, beta2, interval = (lr, 0.99, 4) if o.pl_weight else (0.8 * lr, 0.99**0.8, None)
    generator = OptimizerConfig(lr=o.glr if o.glr is not None else rate, betas=(0.0, beta2), reg_interval=interval)
    return generator, discriminator


def _ada(o: TrainOptions) -> AdaConfig:
    return AdaConfig(
        p=_start_of_p(o),
        target=o.target if o.aug == "ada" else None,
        kimg=o.ada_kimg if o.ada_kimg is not None else 100 if o.resume else 500,
    )


def _start_of_p(o: TrainOptions) -> float:
    """Return the probability of the augmentation in the first step."""
    if o.aug == "noaug":
        return 0.0
    return o.p if o.p is not None else 0.2 if o.aug == "fixed" else 0.0


def _data(o: TrainOptions, facts: DataFacts) -> DataConfig:
    return DataConfig(
        path=facts.path,
        use_labels=o.cond,
        xflip=o.mirror,
        num_frames=o.clip_frames,
        max_dist=o.max_dist,
        exclude=tuple(facts.exclude),
        resolution=facts.resolution,
        num_classes=facts.num_classes,
    )


def _schedule(o: TrainOptions) -> ScheduleConfig:
    return ScheduleConfig(
        total_kimg=o.kimg,
        kimg_per_tick=o.tick,
        max_hours=o.max_hours,
        snap_state_minutes=o.snap_state,
        image_snapshot_ticks=o.snap,
        network_snapshot_ticks=o.snap,
        metrics=o.metrics,
    )


def _machine(o: TrainOptions, device: str, *, fast_bfloat16: bool) -> MachineConfig:
    return MachineConfig(
        device=device,
        random_seed=o.seed,
        cudnn_benchmark=not o.nobench,
        allow_tf32=o.tf32,
        allow_bf16=device == "cpu" and not o.fp32 and fast_bfloat16,
        on_bad_frame=o.on_bad_frame,
        nan_policy=o.nan_policy,
    )


def _batch_sizes(o: TrainOptions, resolution: int) -> BatchConfig:
    batch = o.batch if o.batch is not None else max(min(o.gpus * min(4096 // resolution, 32), 64), o.gpus)
    if batch % o.gpus:
        raise ValueError(f"--batch={batch} is not divisible by --gpus={o.gpus}; use {_multiples(batch, o.gpus)}")
    batch_gpu = o.batch_gpu if o.batch_gpu is not None else batch // o.gpus
    if batch % (o.gpus * batch_gpu):
        step = o.gpus * batch_gpu
        raise ValueError(
            f"--batch={batch} is not divisible by --gpus times --batch-gpu = {step}; use {_multiples(batch, step)}"
        )
    group = min(batch_gpu, o.mbstd_group)
    if batch_gpu % group:
        raise ValueError(
            f"--batch-gpu={batch_gpu} is not divisible by --mbstd-group={o.mbstd_group}; "
            f"use --mbstd-group={math.gcd(batch_gpu, o.mbstd_group)}"
        )
    return BatchConfig(size=batch, per_gpu=batch_gpu, num_gpus=o.gpus)


def _multiples(value: int, step: int) -> str:
    below = value // step * step
    return f"{below} or {below + step}" if below else str(step)


def _check_freezed(freezed: int, resolution: int) -> None:
    """Raise `ValueError` for more layers than the discriminator can freeze."""
    most = 3 * (resolution.bit_length() - 3) + 1  # three in each block from `resolution` to 8, and fromrgb
    if freezed > most:
        raise ValueError(
            f"--freezed={freezed}: a discriminator of {resolution} px has {most} layers to freeze; use 0 to {most}"
        )
