"""Images from a snapshot of the small host."""

import sys

import legacy
import numpy as np
import PIL.Image
import torch

import dnnlib

with dnnlib.util.open_url(sys.argv[1]) as network:
    G = legacy.load_network_pkl(network)["G_ema"].to(torch.device("cuda"))
label = torch.zeros([1, G.c_dim], device=torch.device("cuda"))
z = torch.from_numpy(np.random.RandomState(0).randn(1, G.z_dim)).to(torch.device("cuda"))
image = G(z, label, truncation_psi=0.7, noise_mode="const")
pixels = (image[0].permute(1, 2, 0) * 127.5 + 128).clamp(0, 255).to(torch.uint8)
PIL.Image.fromarray(pixels.cpu().numpy(), "RGB").save(sys.argv[2])
