"""From what a user asks for to the keyword arguments of networks, loss, optimizers and loop.

The result is one nested dict of plain values under the names that stylegan3's training loop takes;
it is printed, saved as `training_options.json`, and drives the engine.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import dnnlib
from stylegan_v_ext.classes import VIDEO_DATASET

PRESETS = {
    "stylegan-v": "StyleGAN-V: learned amplitudes, discriminator modulated by time distances",
    "stylegan-v-cvpr": "as the code released with the paper: no amplitudes, projection only",
    "stylegan-v-lstm": "baseline: an LSTM over the motion noise in place of convolutions",
    "stylegan2": "image GAN on single frames (num_frames = 1)",
}
AUGMENT_MODES = ("noaug", "ada", "fixed")


@dataclass
class TrainOptions:
    """What `train.py` was asked for; `None` means a default that depends on the rest."""

    outdir: str
    cfg: str
    data: str
    gpus: int = 1
    batch: int | None = None
    batch_gpu: int | None = None
    gamma: float | None = None
    cond: bool = False
    mirror: bool = False
    aug: str = "ada"
    on_bad_frame: str = "stop"
    nan_policy: str = "stop"
    augpipe: str = "bgc"
    p: float | None = None
    ada_kimg: float | None = None
    target: float = 0.6
    resume: str | None = None
    freezed: int = 0
    cbase: int | None = None
    cmax: int = 512
    glr: float | None = None
    dlr: float | None = None
    map_depth: int = 2
    mbstd_group: int = 4
    num_frames: int = 3
    max_dist: int = 32
    motion_distance: int | None = None
    min_period: float | None = None
    motion_z_dim: int = 512
    latent_dim: int = 512
    style_mixing: float = 0
    pl_weight: float = 0
    metrics: list[str] = field(default_factory=list)
    desc: str | None = None
    kimg: float = 8333
    max_hours: float | None = None
    snap_state: float = 10
    tick: float = 4
    snap: int = 50
    seed: int = 0
    fp32: bool = False
    nobench: bool = False
    tf32: bool = False
    compile: bool = False
    workers: int = 3
    device: str = "cpu"


def build_config(options: TrainOptions, training_set: Any, training_set_kwargs: dict[str, Any]) -> dnnlib.EasyDict:
    """Config for `options` on an opened training set.

    options.device: the device itself, "auto" already resolved, since mixed precision is for CUDA alone.

    Args:
        training_set: Gives resolution, name, number of classes and a recommended motion distance.

    Raises:
        ValueError: Naming value, bound and remedy.
    """
    o, res = options, training_set.resolution
    if o.cfg not in PRESETS:
        raise ValueError(f"--cfg={o.cfg} is not one of {', '.join(PRESETS)}")
    batch, batch_gpu = _batch_sizes(o, res)
    _check_freezed(o.freezed, res)
    lr = 0.0025 if res < 1024 else 0.002
    gamma = o.gamma if o.gamma is not None else 0.0002 * res**2 / batch

    c = dnnlib.EasyDict()
    c.G_kwargs = _generator_kwargs(o, training_set)
    c.D_kwargs = _discriminator_kwargs(o, training_set, mbstd_group=min(batch_gpu, o.mbstd_group))
    # A lazy phase for G slows its optimizer down by itself, to 4/5, as it does D's; without one that is the default.
    c.G_reg_interval = 4 if o.pl_weight else None
    c.D_reg_interval = 16
    c.G_opt_kwargs = _adam(lr, 0.99) if o.pl_weight else _adam(0.8 * lr, 0.99**0.8)
    c.D_opt_kwargs = _adam(lr, 0.99)
    c.G_opt_kwargs.lr = o.glr if o.glr is not None else c.G_opt_kwargs.lr
    c.D_opt_kwargs.lr = o.dlr if o.dlr is not None else c.D_opt_kwargs.lr
    c.loss_kwargs = dnnlib.EasyDict(
        class_name="stylegan_v_ext.engine.loss.StyleGAN2Loss",
        r1_gamma=gamma / training_set.num_frames,
        style_mixing_prob=o.style_mixing,
        pl_weight=o.pl_weight,
        **(dict(compiled=True) if o.compile else {}),
    )

    c.training_set_kwargs = dnnlib.EasyDict(training_set_kwargs)
    c.data_loader_kwargs = loader_kwargs(o.workers)
    if o.aug != "noaug":
        from stylegan_v_ext.engine.augment import AUGMENTATIONS

        c.augment_kwargs = dnnlib.EasyDict(
            class_name="stylegan_v_ext.engine.augment.AugmentPipe", **AUGMENTATIONS[o.augpipe]
        )
    c.augment_p = _start_of_p(o)
    c.ada_target = o.target if o.aug == "ada" else None
    c.ada_kimg = o.ada_kimg if o.ada_kimg is not None else 100 if o.resume else 500
    c.ema_kimg = batch * 10 / 32
    c.ema_rampup = None if o.resume else 0.05
    c.resume_pkl = o.resume

    c.batch_size, c.batch_gpu, c.num_gpus = batch, batch_gpu, o.gpus
    c.total_kimg, c.kimg_per_tick, c.max_hours = o.kimg, o.tick, o.max_hours
    c.snap_state_minutes = o.snap_state
    c.image_snapshot_ticks = c.network_snapshot_ticks = o.snap
    c.metrics = o.metrics
    c.on_bad_frame, c.nan_policy = o.on_bad_frame, o.nan_policy
    c.random_seed = o.seed
    c.cudnn_benchmark = not o.nobench
    c.allow_tf32 = o.tf32
    c.allow_bf16 = o.device == "cpu" and not o.fp32 and _has_fast_bfloat16()
    c.device = o.device
    desc = f"{o.cfg}-{training_set.name}-gpus{o.gpus}-batch{batch}-gamma{gamma:g}"
    c.run_desc = f"{desc}-{o.desc}" if o.desc else desc
    return c


def data_kwargs(options: TrainOptions, path: str, exclude: list[str]) -> dict[str, Any]:
    """Arguments of the training set, which its resolution and number of classes join once it is open.

    Args:
        path: Where the data lie.
        exclude: Folders of videos to leave out.
    """
    return {
        "class_name": VIDEO_DATASET,
        "path": path,
        "use_labels": options.cond,
        "xflip": options.mirror,
        "num_frames": options.num_frames,
        "max_dist": options.max_dist,
        "exclude": exclude,
    }


def loader_kwargs(workers: int) -> dnnlib.EasyDict:
    """Of the data loader, for that many processes; 0 for none but this one."""
    return dnnlib.EasyDict(num_workers=workers, **({"prefetch_factor": 2} if workers else {}))


def follow_source(
    config: dnnlib.EasyDict, generator: dict[str, Any], discriminator: dict[str, Any] | None, given: set[str]
) -> None:
    """Make a config's networks so that another model's weights fit them.

    Args:
        generator, discriminator: Arguments of the other's networks.
        given: Names of `TrainOptions` that the user chose; those stay.
    """
    G, D = config.G_kwargs, config.D_kwargs
    G.use_noise = generator["use_noise"]
    if generator["conv_clamp"] is not None or not G.num_fp16_res:  # 16 bits need a bound
        G.conv_clamp = generator["conv_clamp"]
    if generator.get("motion_kwargs") and "motion_kwargs" in G and "motion_z_dim" not in given:
        names = ("z_dim", "code_dim", "kernel_size")
        G.motion_kwargs |= {
            name: generator["motion_kwargs"][name] for name in names if name in generator["motion_kwargs"]
        }
    mapping = dict(generator["mapping_kwargs"] or {"num_layers": 2})
    if "map_depth" in given:
        mapping["num_layers"] = G.mapping_kwargs["num_layers"]
    G.mapping_kwargs = mapping
    if "latent_dim" not in given:
        G.z_dim, G.w_dim = generator["z_dim"], generator["w_dim"]
    for network, source in ((G, generator), (D, discriminator or generator)):
        if "cbase" not in given:
            network.channel_base = source["channel_base"]
        if "cmax" not in given:
            network.channel_max = source["channel_max"]


def _generator_kwargs(o: TrainOptions, training_set: Any) -> dnnlib.EasyDict:
    kwargs = dnnlib.EasyDict(
        class_name="stylegan_v_ext.networks.generator.VideoGenerator",
        z_dim=o.latent_dim,
        w_dim=o.latent_dim,
        num_frames=training_set.num_frames,
        mapping_kwargs={"num_layers": o.map_depth},
        use_noise=o.cfg == "stylegan2",
        **_capacity(o, training_set.resolution),
    )
    if training_set.num_frames > 1:
        distance = o.motion_distance or training_set.motion_distance or 16
        kwargs.motion_kwargs = {
            "z_dim": o.motion_z_dim,
            "code_dim": o.motion_z_dim,
            "distance": distance,
            "min_period": o.min_period or float(distance),
            "amplitude": o.cfg != "stylegan-v-cvpr",
            "strategy": "lstm" if o.cfg == "stylegan-v-lstm" else "conv",
        }
    return kwargs


def _discriminator_kwargs(o: TrainOptions, training_set: Any, mbstd_group: int) -> dnnlib.EasyDict:
    return dnnlib.EasyDict(
        class_name="stylegan_v_ext.networks.discriminator.TimeConditionedDiscriminator",
        num_frames=training_set.num_frames,
        time_conditioning="project" if o.cfg == "stylegan-v-cvpr" else "modulate",
        block_kwargs={"freeze_layers": o.freezed},
        mapping_kwargs={"num_layers": 2},
        epilogue_kwargs={"mbstd_group_size": mbstd_group},
        **_capacity(o, training_set.resolution),
    )


def _capacity(o: TrainOptions, resolution: int) -> dict[str, Any]:
    """Channels and precision, the same for both networks."""
    mixed = o.device.startswith("cuda") and not o.fp32
    return {
        "channel_base": o.cbase or (16384 if resolution < 512 else 32768),
        "channel_max": o.cmax,
        "num_fp16_res": 4 if mixed else 0,
        "conv_clamp": 256 if mixed else None,
    }


def _has_fast_bfloat16() -> bool:
    from stylegan_v_ext.networks import precision

    return precision.has_fast_bfloat16()


def _start_of_p(o: TrainOptions) -> float:
    """Probability of the augmentation in the first step."""
    if o.aug == "noaug":
        return 0.0
    return o.p if o.p is not None else 0.2 if o.aug == "fixed" else 0.0


def _adam(lr: float, beta2: float) -> dnnlib.EasyDict:
    return dnnlib.EasyDict(class_name="torch.optim.Adam", lr=lr, betas=[0.0, beta2], eps=1e-8)


def _batch_sizes(o: TrainOptions, resolution: int) -> tuple[int, int]:
    """(clips a step, clips at a time on each device)."""
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
    return batch, batch_gpu


def _check_freezed(freezed: int, resolution: int) -> None:
    """Raise `ValueError` for more layers than the discriminator can freeze."""
    most = 3 * (resolution.bit_length() - 3) + 1  # three in each block from `resolution` to 8, and fromrgb
    if freezed > most:
        raise ValueError(
            f"--freezed={freezed}: a discriminator of {resolution} px has {most} layers to freeze; use 0 to {most}"
        )


def _multiples(value: int, step: int) -> str:
    below = value // step * step
    return f"{below} or {below + step}" if below else str(step)
