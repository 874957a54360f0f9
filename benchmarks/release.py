"""The same work by a checkout of universome/stylegan-v, the paper's own code, with its own networks, loss and ops.

Settings are those of the paper. It needs the packages omegaconf, PyYAML and requests.
"""

import importlib
import math

import numpy as np
import torch

from benchmarks import checkouts
from benchmarks.common import CHANNELS, CLIPS, FRAMES, precision
from benchmarks.stock import device, iteration, to_uint8

VIDEO_LENGTH = 40  # frames of a real video, as in the data set that ours trains on
MOTION_DISTANCE = 16  # frames between motion codes


def training_step(
    folder,
    resolution,
    fp32=False,
    clips=CLIPS,
    frames=FRAMES,
    channel_base=CHANNELS["channel_base"],
    channel_max=CHANNELS["channel_max"],
    channels_last=False,
):
    """A function that trains for one iteration: G, D, R1 at every 16th call, EMA.

    Args:
        folder: The checkout.
        resolution: Width and height of a frame in pixels, at least 32.
        fp32: Leave out mixed precision, which is for CUDA alone.
        clips: Clips in a batch.
        frames: Frames of a clip, at least two.
        channel_base: Channels times width of a layer, up to the maximum.
        channel_max: Most channels of a layer.
        channels_last: Use channels-last memory for float16 layers, which is off in the checkout by default.
    """
    checkouts.enter(folder)
    config, arguments = _config(frames), _arguments(fp32, channel_base, channel_max)
    G = _generator(config, resolution, arguments, channels_last).train()
    D = importlib.import_module("training.networks").Discriminator(
        c_dim=0, img_resolution=resolution, img_channels=3, cfg=config.model.discriminator,
        mapping_kwargs=dict(num_layers=2), epilogue_kwargs=dict(mbstd_group_size=math.gcd(clips, 4)),
        block_kwargs=dict(fp16_channels_last=channels_last), **arguments,
    ).train().requires_grad_(False).to(device())  # fmt: skip
    loss = importlib.import_module("training.loss").StyleGAN2Loss(
        cfg=config, device=device(), G_mapping=G.mapping, G_synthesis=G.synthesis, D=D, r1_gamma=1,
        style_mixing_prob=0, pl_weight=0,
    )  # fmt: skip
    sample_frames = importlib.import_module("training.layers").sample_frames
    reals = torch.rand([clips, frames, 3, resolution, resolution], device=device()) * 2 - 1
    labels = torch.zeros([clips, 0], device=device())

    def times(fractional):
        rows = [
            sample_frames(G.sampling_dict, use_fractional_t=fractional, total_video_len=VIDEO_LENGTH)
            for _ in range(clips)
        ]
        return torch.from_numpy(np.stack(rows)).to(device())

    def accumulate(name, gain):
        latents = torch.randn([clips, 512], device=device())
        loss.accumulate_gradients(
            phase=name, real_img=reals, real_c=labels, real_t=times(False), gen_z=latents, gen_c=labels,
            gen_t=times(True), sync=True, gain=gain,
        )  # fmt: skip

    return iteration(G, D, accumulate)


def video(
    folder,
    resolution,
    frames,
    batch=16,
    fp32=False,
    channel_base=CHANNELS["channel_base"],
    channel_max=CHANNELS["channel_max"],
    channels_last=False,
    start=0.0,
):
    """A function that makes uint8 frames of one video.

    Args:
        folder: The checkout.
        resolution: Width and height of a frame in pixels.
        frames: Frames to make.
        batch: Frames in one call of the network.
        fp32, channel_base, channel_max, channels_last: As for `training_step`.
        start: Time of the first frame, in frames of the training data.
    """
    checkouts.enter(folder)
    G = _generator(_config(FRAMES), resolution, _arguments(fp32, channel_base, channel_max), channels_last)
    labels = torch.zeros([1, 0], device=device())
    times = start + torch.arange(frames, device=device(), dtype=torch.float32)[None]

    @torch.inference_mode()
    def generate():
        ws = G.mapping(torch.randn([1, 512], device=device()), labels)
        noise = G.synthesis.motion_encoder(c=labels, t=times)["motion_z"]
        for part in times.split(batch, dim=1):
            to_uint8(G.synthesis(ws, t=part, c=labels, motion_z=noise, noise_mode="const"))

    return generate


def _arguments(fp32, channel_base, channel_max):
    return dict(channel_base=channel_base, channel_max=channel_max, **precision(fp32))


def _generator(config, resolution, arguments, channels_last):
    """An untrained generator in eval mode, on the device at hand."""
    cfg = config.model.generator
    return importlib.import_module("training.networks").Generator(
        c_dim=0, w_dim=512, img_resolution=resolution, img_channels=3, cfg=cfg,
        mapping_kwargs=dict(num_layers=2, cfg=cfg),
        synthesis_kwargs=dict(arguments, fp16_channels_last=channels_last),
    ).eval().requires_grad_(False).to(device())  # fmt: skip


def _config(frames):
    """The options that its networks and its loss read, with the values of the paper."""
    from omegaconf import OmegaConf

    sampling = dict(
        type="random", num_frames_per_video=frames, max_num_frames=1024, max_dist=32,
        total_dists=[2**power for power in range(12)],
    )  # fmt: skip
    motion = dict(
        z_dim=512, v_dim=512, motion_z_distance=MOTION_DISTANCE, gen_strategy="conv", kernel_size=11, fourier=True,
    )  # fmt: skip
    time_enc = dict(cond_type="concat_const", dim=256, min_period_len=MOTION_DISTANCE, max_period_len=1024)
    generator = dict(
        sampling=sampling, use_noise=False, input=dict(type="temporal"), z_dim=512, w_dim=512, c_dim=0, motion=motion,
        time_enc=time_enc,
    )  # fmt: skip
    discriminator = dict(sampling=sampling, concat_res=16, num_frames_div_factor=2, dummy_c=False)
    return OmegaConf.create(
        dict(sampling=sampling, model=dict(generator=generator, discriminator=discriminator, loss_kwargs={}))
    )
