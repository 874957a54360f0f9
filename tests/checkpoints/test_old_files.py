"""Snapshots of version 0.1.0 open: as data, and by the code inside them, which imports modules by their old names."""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.strip import unpack_strip

OLD = Path(__file__).parents[1] / "data" / "v0.1.0.tar.xz"
SHA256 = {  # of names and tensors, by version 0.1.0
    "G": "a405510949f95aeac548476ce45caa37f2841d8bb299154c06f50f8a7c8a18dd",
    "D": "36d35bfa8303af3275a2bb9c158156ab2303f8771e9ea88ca08cbf231c2f620a",
    "G_ema": "bf6d63ed5614c065cc7c9ff3eb17addb7af62f6517d7b1fea7a66133e4da1aa8",
}
PIXELS = (0.372623, 2.021552, 0.718077)  # by version 0.1.0


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(OLD) as archive:
        archive.extract("run/network-snapshot-000000.pkl", folder, filter="data")
    return folder / "run" / "network-snapshot-000000.pkl"


@pytest.mark.parametrize("trusted", [False, True])
def test_networks_of_version_0_1_0_are_read_to_the_bit(snapshot, trusted):
    checkpoint = load(snapshot, trust_pickle=trusted)
    for key, expected in SHA256.items():
        digest = hashlib.sha256()
        for name, tensor in sorted(checkpoint.network(key).state.items()):
            digest.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
        assert digest.hexdigest() == expected
    assert checkpoint.training_set_kwargs["class_name"] == "stylegan_v_ext.data.dataset.SparseVideoDataset"


def test_videos_of_version_0_1_0_look_the_same(snapshot):
    generator = load(snapshot).build_generator()
    z = torch.from_numpy(np.random.RandomState(3).randn(1, generator.z_dim)).float()
    times = torch.tensor([[0.0, 8.5]], dtype=torch.float64)
    with torch.no_grad():
        strip = generator.synthesis(generator.mapping(z, torch.zeros([1, 0]), t=times), noise_mode="const")
    assert unpack_strip(strip)[0, 1, :, 5, 7].tolist() == pytest.approx(PIXELS, abs=1e-4)
