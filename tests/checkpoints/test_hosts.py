"""Importers and exports against the code of real checkouts, where `STYLEGAN_HOSTS` names some.

    STYLEGAN_HOSTS=/path/to/stylegan3:/path/to/stylegan2-ada-pytorch pytest tests/checkpoints/test_hosts.py

Their networks run on the `torch_utils` and `dnnlib` of this project, in a process of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import NetworkData, exports, load
from tests.conftest import relative_error

HOSTS = [path for path in os.environ.get("STYLEGAN_HOSTS", "").split(os.pathsep) if path]
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not HOSTS, reason="STYLEGAN_HOSTS names no checkouts")

MAKE_NETWORKS = """
import importlib.util, pickle, sys
import numpy as np, torch
folder, resolution, c_dim = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def found(name): return importlib.util.find_spec(name) is not None
def make(name, cls, seed, **kwargs):
    torch.manual_seed(seed)
    network = getattr(importlib.import_module(name), cls)(**kwargs).eval().requires_grad_(False)
    for key, p in network.named_parameters():
        if key.endswith(("bias", "noise_strength")): p.add_(0.3 * torch.randn_like(p))
    for key, b in network.named_buffers():
        if key.endswith("w_avg"): b.normal_(0, 0.2)
        if key.endswith("magnitude_ema"): b.fill_(0.7)
    return network
def save(name, G, D, **kwargs):
    z, c = torch.randn(4, 64), torch.eye(4)[:, :c_dim]
    x = torch.randn(4, 3, resolution, resolution)
    kwargs["force_fp32"] = True  # stylegan2-ada-pytorch takes float16 on a CPU as well
    result = dict(z=z, c=c, ws=G.mapping(z, c), img=G(z, c, **kwargs), psi=G(z, c, truncation_psi=0.6, **kwargs))
    if D is not None: result.update(x=x, d=D(x, c, force_fp32=True))
    np.savez(f"{folder}/{name}.npz", **{k: v.numpy() for k, v in result.items()})
    with open(f"{folder}/{name}.pkl", "wb") as file:
        pickle.dump(dict(G=G, D=D or torch.nn.Identity(), G_ema=G, augment_pipe=None, training_set_kwargs={}), file)

common = dict(c_dim=c_dim, img_resolution=resolution, img_channels=3)
capacity = dict(channel_base=2048, channel_max=64, num_fp16_res=4, conv_clamp=256)
flat = found("training.networks_stylegan2")
sg2 = "training.networks_stylegan2" if flat else "training.networks"
G = make(sg2, "Generator", 1, z_dim=64, w_dim=48, mapping_kwargs=dict(num_layers=3), **common,
         **(capacity if flat else dict(synthesis_kwargs=capacity)))
save("stylegan2", G, make(sg2, "Discriminator", 2, **common, **capacity), noise_mode="const")
if found("training.networks_stylegan3"):
    small = dict(channel_base=2048, channel_max=32)
    for name, extra in (("t", {}), ("r", dict(conv_kernel=1, use_radial_filters=True))):
        G = make("training.networks_stylegan3", "Generator", 3, z_dim=64, w_dim=48, **common, **small, **extra)
        save(f"stylegan3_{name}", G, None)
"""

OPEN_EXPORT = """
import sys, torch, legacy
with open(sys.argv[1], "rb") as file: data = legacy.load_network_pkl(file)
G = data["G_ema"]
torch.manual_seed(0)
torch.save(G(torch.randn(2, G.z_dim), None, noise_mode="const"), sys.argv[2])
"""


def run_in(host, program, *arguments):
    paths = os.pathsep.join([str(ROOT), str(host)])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("resolution", "c_dim"), [(32, 0), (32, 3), (64, 0), (64, 3)])
def test_networks_of_a_checkout_give_the_same_output_here(host, resolution, c_dim, tmp_path):
    run_in(host, MAKE_NETWORKS, tmp_path, resolution, c_dim)
    files = sorted(tmp_path.glob("*.pkl"))
    assert files
    for path in files:
        v = {name: torch.from_numpy(array) for name, array in np.load(path.with_suffix(".npz")).items()}
        checkpoint = load(path)
        generator = checkpoint.build_generator()
        mode = {"noise_mode": "const"} if path.stem == "stylegan2" else {}
        assert relative_error(generator.mapping(v["z"], v["c"]), v["ws"]) < 1e-4
        assert relative_error(generator(v["z"], v["c"], **mode), v["img"]) < 1e-4
        assert relative_error(generator(v["z"], v["c"], truncation_psi=0.6, **mode), v["psi"]) < 1e-4
        if "d" in v:
            assert relative_error(checkpoint.build("D")(v["x"], v["c"]), v["d"]) < 1e-4


@pytest.mark.parametrize("host", HOSTS)
def test_a_checkout_opens_our_images(host, tmp_path, make_generator):
    G = make_generator(use_noise=True).eval()
    exports.export_image(tmp_path / "image.pkl", exports.freeze(NetworkData.of(G), 40, 2), None)
    run_in(host, OPEN_EXPORT, tmp_path / "image.pkl", tmp_path / "out.pt")
    torch.manual_seed(0)
    ours = load(tmp_path / "image.pkl").build_generator()(torch.randn(2, 32), None, noise_mode="const")
    assert relative_error(ours, torch.load(tmp_path / "out.pt", weights_only=True)) < 1e-4
