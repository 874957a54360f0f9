"""The same work by a checkout of stylegan2-ada-pytorch or stylegan3, with its own networks, loss and ops.

Its image model has as many layers and channels as our video model, and no noise inputs, and sees as many frames.
"""

import copy
import importlib
import inspect
import math

import torch

from benchmarks import checkouts
from benchmarks.common import CHANNELS, CLIPS, FRAMES, precision

LR, EMA_BETA, R1_INTERVAL = 0.002, 0.999, 16
_ADA = "training.networks"  # in stylegan2-ada-pytorch; stylegan3 has several


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
        resolution: Width and height of a frame in pixels.
        fp32: Leave out mixed precision, which is for CUDA alone.
        clips: Clips in a batch.
        frames: Frames of a clip. The image model sees clips * frames images.
        channel_base: Channels times width of a layer, up to the maximum.
        channel_max: Most channels of a layer.
        channels_last: Use channels-last memory for float16 layers, which is off in the checkout by default.
    """
    networks, images = _networks(folder), clips * frames
    arguments = dict(channel_base=channel_base, channel_max=channel_max, **precision(fp32))
    G = _generator(networks, resolution, arguments, channels_last).train()
    D = networks.Discriminator(
        c_dim=0, img_resolution=resolution, img_channels=3, epilogue_kwargs=dict(mbstd_group_size=math.gcd(images, 4)),
        block_kwargs=dict(fp16_channels_last=channels_last), **arguments,
    ).train().requires_grad_(False).to(device())  # fmt: skip
    phase = _phases(G, D)
    reals = torch.rand([images, 3, resolution, resolution], device=device()) * 2 - 1
    return iteration(G, D, lambda name, gain: phase(name, reals, torch.randn([images, 512], device=device()), gain))


def iteration(G, D, accumulate):
    """The training iteration that all these codebases have in common, as a function to call again and again.

    Args:
        G: Generator on its device, in training mode, without gradients.
        D: Discriminator, likewise.
        accumulate: Function of a phase's name and gain that adds the gradients of the phase.
    """
    G_ema = copy.deepcopy(G).eval()
    optimizers = {
        network: torch.optim.Adam(network.parameters(), lr=LR, betas=(0.0, 0.99), eps=1e-8) for network in (G, D)
    }
    calls = 0

    def update(network, name, gain):
        network.requires_grad_(True)
        optimizers[network].zero_grad(set_to_none=True)
        accumulate(name, gain)
        network.requires_grad_(False)
        for parameter in network.parameters():
            if parameter.grad is not None:
                torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
        optimizers[network].step()

    def step():
        nonlocal calls
        update(G, "Gmain", 1)
        update(D, "Dmain", 1)
        if calls % R1_INTERVAL == 0:
            update(D, "Dreg", R1_INTERVAL)
        with torch.no_grad():
            for average, value in zip(G_ema.parameters(), G.parameters(), strict=True):
                average.copy_(value.lerp(average, EMA_BETA))
            for average, value in zip(G_ema.buffers(), G.buffers(), strict=True):
                average.copy_(value)
        calls += 1

    return step


def video(
    folder,
    resolution,
    frames,
    batch=16,
    fp32=False,
    channel_base=CHANNELS["channel_base"],
    channel_max=CHANNELS["channel_max"],
    channels_last=False,
):
    """A function that makes uint8 frames from as many latents.

    Args:
        folder: The checkout.
        resolution: Width and height of a frame in pixels.
        frames: Frames to make; a multiple of `batch`.
        batch: Frames in one call of the network.
        fp32, channel_base, channel_max, channels_last: As for `training_step`.
    """
    arguments = dict(channel_base=channel_base, channel_max=channel_max, **precision(fp32))
    G = _generator(_networks(folder), resolution, arguments, channels_last)

    @torch.inference_mode()
    def generate():
        for _ in range(frames // batch):
            ws = G.mapping(torch.randn([batch, 512], device=device()), None)
            to_uint8(G.synthesis(ws, noise_mode="const"))

    return generate


def to_uint8(images):
    """Images `[N, 3, H, W]` in -1..1 as an array `[N, H, W, 3]` of bytes in the memory of the CPU."""
    return (images.permute(0, 2, 3, 1) * 127.5 + 128).clamp(0, 255).to(torch.uint8).cpu().numpy()


def _networks(folder):
    """The checkout's module with the networks of StyleGAN2."""
    checkouts.enter(folder)
    try:
        return importlib.import_module("training.networks_stylegan2")
    except ModuleNotFoundError:
        return importlib.import_module(_ADA)


def _generator(networks, resolution, arguments, channels_last):
    """An untrained generator in eval mode, on the device at hand."""
    synthesis = dict(arguments, use_noise=False, fp16_channels_last=channels_last)
    if networks.__name__ == _ADA:
        keywords = dict(synthesis_kwargs=synthesis)
    else:  # its train.py turns grouped convolutions off while it trains StyleGAN2
        keywords = dict(synthesis, fused_modconv_default="inference_only")
    return networks.Generator(
        z_dim=512, c_dim=0, w_dim=512, img_resolution=resolution, img_channels=3, mapping_kwargs=dict(num_layers=2),
        **keywords,
    ).eval().requires_grad_(False).to(device())  # fmt: skip


def _phases(G, D):
    """The checkout's loss as a function of phase, real images, latents and gain."""
    loss_class = importlib.import_module("training.loss").StyleGAN2Loss
    accepted = inspect.signature(loss_class).parameters
    modules = dict(G=G) if "G" in accepted else dict(G_mapping=G.mapping, G_synthesis=G.synthesis)
    loss = loss_class(device=device(), D=D, r1_gamma=1, style_mixing_prob=0, pl_weight=0, **modules)
    takes = inspect.signature(loss.accumulate_gradients).parameters
    extra = {name: value for name, value in (("sync", True), ("cur_nimg", 0)) if name in takes}

    def phase(name, reals, latents, gain):
        labels = torch.zeros([len(reals), 0], device=device())
        loss.accumulate_gradients(name, real_img=reals, real_c=labels, gen_z=latents, gen_c=labels, gain=gain, **extra)

    return phase
