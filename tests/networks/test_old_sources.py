"""Snapshots of version 0.1.0 carry the source of their modules, which stock code runs on today's package."""

import ast
import importlib
import pickle
import pickletools
import tarfile
from pathlib import Path

import pytest
import torch

import torch_utils.ops.bias_act
import torch_utils.ops.conv2d_resample
from stylegan_v_ext.networks import modulation

RUN = Path(__file__).parents[1] / "data" / "v0.1.0.tar.xz"


@pytest.fixture(scope="module")
def snapshot():
    with tarfile.open(RUN) as run:
        return run.extractfile("run/network-snapshot-000000.pkl").read()


def sources(snapshot):
    """The texts of all modules in a snapshot."""
    texts = {argument for _, argument, _ in pickletools.genops(snapshot) if isinstance(argument, str)}
    return [text for text in texts if "@persistence.persistent_class" in text]


def test_all_names_that_the_old_sources_import_are_there(snapshot):
    seen = set()
    for source in sources(snapshot):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("stylegan_v_ext", "torch_utils"):
                for alias in node.names:
                    seen.add(f"{node.module}.{alias.name}")
                    module = importlib.import_module(node.module)
                    assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")
    assert {"stylegan_v_ext.clip", "stylegan_v_ext.networks.noise", "torch_utils.ops.bias_act"} < seen
    assert len(seen) == 22


def test_sources_take_our_own_ops_where_they_exist():
    """Old and new sources fall back to slower functions if these imports fail."""
    assert modulation.gain_before is torch_utils.ops.bias_act.gain_before
    assert modulation.scaled_bias_act is torch_utils.ops.bias_act.scaled_bias_act
    assert modulation.conv2d_resample_bias_act is torch_utils.ops.conv2d_resample.conv2d_resample_bias_act


def test_old_networks_run_and_can_be_made_anew_from_their_arguments(snapshot):
    content = pickle.loads(snapshot)
    generator, discriminator = content["G_ema"].eval(), content["D"].eval()
    again = type(generator)(*generator.init_args, **generator.init_kwargs).eval()
    again.load_state_dict(generator.state_dict())
    z, t = torch.randn(2, generator.z_dim), torch.tensor([[0.0, 3.5, 40.0]]).expand(2, -1)
    strip = generator(z, None, t=t)
    assert torch.allclose(again(z, None, t=t), strip, atol=1e-6)
    assert discriminator(
        strip[:, :, : discriminator.num_frames * strip.shape[3]], t[:, : discriminator.num_frames]
    ).shape == (2, 1)
    assert content["augment_pipe"] is None or content["augment_pipe"](strip, 1.0).shape == strip.shape
