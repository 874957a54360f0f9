"""The same work by a checkout of stylegan2-ada-pytorch or stylegan3, with its own networks, loss and ops.

Its image model has as many layers and channels as our video model, and no noise inputs, and sees as many frames.
"""

import copy
import importlib
import inspect
import sys
from pathlib import Path

import torch

from benchmarks.common import CHANNELS, CLIPS, FRAMES, precision

LR, EMA_BETA, R1_INTERVAL = 0.002, 0.999, 16
_ADA = "training.networks"  # of stylegan2-ada-pytorch; stylegan3 has several


def generator(folder, resolution):
    """An untrained generator in eval mode, on the device at hand."""
    networks = _networks(folder)
    synthesis = dict(CHANNELS, use_noise=False, **precision())
    return networks.Generator(
        z_dim=512, c_dim=0, w_dim=512, img_resolution=resolution, img_channels=3, mapping_kwargs=dict(num_layers=2),
        **(dict(synthesis_kwargs=synthesis) if networks.__name__ == _ADA else synthesis),
    ).eval().requires_grad_(False).to(device())  # fmt: skip


def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def training_step(folder, resolution):
    """A function that trains for one iteration: G, D, R1 at every 16th call, EMA."""
    G = generator(folder, resolution).train()
    D = _networks(folder).Discriminator(
        c_dim=0, img_resolution=resolution, img_channels=3, epilogue_kwargs=dict(mbstd_group_size=4), **CHANNELS,
        **precision(),
    ).train().requires_grad_(False).to(device())  # fmt: skip
    G_ema = copy.deepcopy(G).eval()
    phase = _phases(G, D)
    optimizers = {
        network: torch.optim.Adam(network.parameters(), lr=LR, betas=(0.0, 0.99), eps=1e-8) for network in (G, D)
    }
    images = CLIPS * FRAMES
    reals = torch.rand([images, 3, resolution, resolution], device=device()) * 2 - 1
    calls = 0

    def update(network, name, gain):
        network.requires_grad_(True)
        optimizers[network].zero_grad(set_to_none=True)
        phase(name, reals, torch.randn([images, 512], device=device()), gain)
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
        calls += 1

    return step


def video(folder, resolution, frames, batch=16):
    """A function that makes uint8 frames from as many latents, some at a time."""
    G = generator(folder, resolution)

    @torch.inference_mode()
    def generate():
        for _ in range(frames // batch):
            ws = G.mapping(torch.randn([batch, 512], device=device()), None)
            images = G.synthesis(ws, noise_mode="const")
            (images.permute(0, 2, 3, 1) * 127.5 + 128).clamp(0, 255).to(torch.uint8).cpu().numpy()

    return generate


def _networks(folder):
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))  # before ours, so that its torch_utils and dnnlib are found
    ada = (Path(folder) / "training" / "networks.py").exists()
    return importlib.import_module(_ADA if ada else "training.networks_stylegan2")


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
