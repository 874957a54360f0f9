"""Random mirroring and brightness of images."""

import torch

from torch_utils import persistence


@persistence.persistent_class
class AugmentPipe(torch.nn.Module):
    """Mirrors and shifts the brightness of images `[N, C, H, W]` with probability p."""

    def __init__(self, xflip=0, brightness=0, **others):
        super().__init__()
        self.xflip, self.brightness = xflip, brightness
        self.register_buffer("p", torch.ones([]))

    def forward(self, images):
        n = images.shape[0]
        mirrored = (torch.rand([n, 1, 1, 1], device=images.device) < self.p * self.xflip).to(images.dtype)
        images = images * (1 - mirrored) + images.flip(3) * mirrored
        brighter = (torch.rand([n, 1, 1, 1], device=images.device) < self.p * self.brightness).to(images.dtype)
        return images + 0.2 * brighter * torch.randn([n, 1, 1, 1], device=images.device)
