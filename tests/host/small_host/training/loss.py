"""Logistic loss, as the losses of both codebases are called."""

import torch

from torch_utils import misc, training_stats
from torch_utils.ops import conv2d_gradfix


class StyleGAN2Loss:
    """mapping, synthesis: of the generator, perhaps wrapped; D: the discriminator."""

    def __init__(self, device, mapping, synthesis, D, augment_pipe=None, r1_gamma=10):
        self.device, self.mapping, self.synthesis, self.D = device, mapping, synthesis, D
        self.augment_pipe, self.r1_gamma = augment_pipe, r1_gamma

    def images(self, z, c, sync):
        with misc.ddp_sync(self.mapping, sync):
            ws = self.mapping(z, c, **self.mapping_kwargs)
        with misc.ddp_sync(self.synthesis, sync):
            return self.synthesis(ws, **self.synthesis_kwargs)

    def logits(self, images, c, sync, **kwargs):
        if self.augment_pipe is not None:
            images = self.augment_pipe(images)
        with misc.ddp_sync(self.D, sync):
            return self.D(images, c, **kwargs)

    def accumulate_gradients(self, phase, real_img, real_c, gen_z, gen_c, gain, sync=True):
        softplus = torch.nn.functional.softplus
        if phase in ("Gmain", "Gboth"):
            logits = self.logits(self.images(gen_z, gen_c, sync), gen_c, False, **self.D_kwargs)
            training_stats.report("Loss/G/loss", softplus(-logits)).mean().mul(gain).backward()
        if phase in ("Dmain", "Dboth"):
            with torch.no_grad():
                fake = self.images(gen_z, gen_c, False)
            fake_logits = self.logits(fake, gen_c, False, **self.D_kwargs)
            softplus(fake_logits).mean().mul(gain).backward()
            real_logits = self.logits(real_img, real_c, sync, **self.D_kwargs)
            training_stats.report("Loss/signs/real", real_logits.sign())
            training_stats.report("Loss/D/loss", softplus(fake_logits) + softplus(-real_logits))
            softplus(-real_logits).mean().mul(gain).backward()
        if phase in ("Dreg", "Dboth") and self.r1_gamma:
            real = real_img.detach().requires_grad_(True)
            logits = self.logits(real, real_c, sync, **self.D_kwargs)
            with conv2d_gradfix.no_weight_gradients():
                gradient = torch.autograd.grad([logits.sum()], [real], create_graph=True, only_inputs=True)[0]
            penalty = gradient.square().sum([1, 2, 3]) * (self.r1_gamma / 2)
            training_stats.report("Loss/r1_penalty", penalty)
            (logits.sum() * 0 + penalty.mean()).mul(gain).backward()
