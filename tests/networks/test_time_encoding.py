"""Features of the time between frames."""

import torch

from stylegan_v_ext.networks.time_encoding import TimeEncoding


def test_time_encoding_features():
    encoding = TimeEncoding(64, embed_dim=4)
    assert encoding.out_dim == 4 + 2 * 6
    features = encoding(torch.tensor([[3.0, 10.4]]))[0]
    assert torch.equal(features[:4], encoding.embed.weight[7])
    j = torch.arange(6)
    assert torch.allclose(features[4:10], torch.sin(torch.pi * 2.0**j * 7.4 / 64), atol=1e-5)
    assert torch.allclose(features[10:], torch.cos(torch.pi * 2.0**j * 7.4 / 64), atol=1e-5)
