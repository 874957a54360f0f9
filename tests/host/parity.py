"""Losses and gradients of the built-in engine and of a checkout, on the same weights, batch and draws.

python tests/host/parity.py DIR        prints a line of JSON: the largest relative difference by case
"""

import importlib
import inspect
import json
import sys

import torch

from stylegan_v_ext import host
from stylegan_v_ext.engine.loss import StyleGAN2Loss
from stylegan_v_ext.networks.discriminator import TimeConditionedDiscriminator
from stylegan_v_ext.networks.generator import VideoGenerator
from torch_utils import training_stats

RESOLUTION, CLIPS, GAMMA, INTERVAL = 32, 4, 2.0, 16


def networks(num_frames, num_classes):
    kwargs = dict(
        img_resolution=RESOLUTION, img_channels=3, channel_base=512, channel_max=32, num_fp16_res=0, conv_clamp=None,
        num_frames=num_frames,
    )  # fmt: skip
    motion = dict(motion_kwargs=dict(z_dim=24, code_dim=24)) if num_frames > 1 else {}
    torch.manual_seed(0)
    G = VideoGenerator(num_classes + num_frames, z_dim=32, w_dim=32, **kwargs, **motion)
    D = TimeConditionedDiscriminator(num_classes + num_frames, **kwargs)
    return G.requires_grad_(False), D.requires_grad_(False)


def batch(num_frames, num_classes):
    t = torch.rand(CLIPS, num_frames).mul(30).sort(1)[0]
    classes = torch.eye(num_classes)[torch.arange(CLIPS) % num_classes] if num_classes else torch.zeros(CLIPS, 0)
    real = torch.rand(CLIPS, 3, num_frames * RESOLUTION, RESOLUTION) * 2 - 1
    return torch.randn(CLIPS, 32), torch.cat([classes, t], 1), real


def stock_loss(G, D):
    """The checkout's loss without what draws random numbers of its own."""
    loss_class = importlib.import_module("training.loss").StyleGAN2Loss
    accepted = inspect.signature(loss_class).parameters
    modules = (G, D) if "G" in accepted else (G.mapping, G.synthesis, D)
    off = {name: 0 for name in ("style_mixing_prob", "pl_weight") if name in accepted}
    loss = loss_class(torch.device("cpu"), *modules, r1_gamma=GAMMA, **off)
    loss.mapping_kwargs = loss.synthesis_kwargs = loss.D_kwargs = {}  # of the small host
    return loss


def measure(network, step):
    """(gradients by name, reported means by name) of a step from a fixed random state."""
    stats = training_stats.Collector(regex="Loss/.*", keep_previous=False)
    stats.update()
    for parameter in network.parameters():
        parameter.grad = None
    torch.manual_seed(5)
    network.requires_grad_(True)
    step()
    network.requires_grad_(False)
    stats.update()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return gradients, {name: torch.tensor(value.mean) for name, value in stats.as_dict().items() if value.num}


def difference(ours, theirs, same_names):
    """Largest difference relative to the largest value; a tensor that one side lacks counts as zero."""
    worst = 0.0
    for name in {*ours, *theirs} if same_names else set(ours) & set(theirs):
        a, b = (side.get(name, torch.zeros([])) for side in (ours, theirs))
        scale = max(float(b.abs().max()), 1e-12)
        if float((a - b).abs().max()) > 0:
            worst = max(worst, float((a - b).abs().max()) / scale)
    return worst


def compare(num_frames, num_classes):
    """Results of the three phases for networks with that many frames and classes."""
    G, D = networks(num_frames, num_classes)
    z, c, real = batch(num_frames, num_classes)
    ours, theirs = StyleGAN2Loss(torch.device("cpu"), G, D, r1_gamma=GAMMA), stock_loss(G, D)
    takes = inspect.signature(theirs.accumulate_gradients).parameters
    extra = {name: value for name, value in (("sync", True), ("cur_nimg", 0)) if name in takes}

    def phase(name, gain):
        theirs.accumulate_gradients(name, real_img=real, real_c=c, gen_z=z, gen_c=c, gain=gain, **extra)

    steps = {
        "Gmain": (G, lambda: ours.generator_step(z, c), lambda: phase("Gmain", 1)),
        "Dmain": (D, lambda: ours.discriminator_step(real, c, z, c), lambda: phase("Dmain", 1)),
        "Dreg": (D, lambda: ours.r1_step(real, c, INTERVAL), lambda: phase("Dreg", INTERVAL)),
    }
    results = {}
    for name, (network, mine, stock) in steps.items():
        (our_gradients, our_losses), (gradients, losses) = measure(network, mine), measure(network, stock)
        results[f"{name} F={num_frames} K={num_classes}"] = {
            "gradients": difference(our_gradients, gradients, same_names=True), "tensors": len(our_gradients),
            "losses": difference(our_losses, losses, same_names=False), "compared": sorted({*our_losses} & {*losses}),
        }  # fmt: skip
    return results


if __name__ == "__main__":
    host.enter(sys.argv[1])
    found = {}
    for case in ((3, 0), (3, 2), (1, 0), (1, 3)):
        found |= compare(*case)
    print("RESULT " + json.dumps(found))
