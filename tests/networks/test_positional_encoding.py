"""The layers and frequencies of the acyclic positional encoding; test_motion.py compares it with its equations."""

import pytest
import torch

from stylegan_v_ext.networks.positional_encoding import AcyclicPositionalEncoding


def test_without_amplitudes_the_encoding_has_no_such_layer():
    encoding = AcyclicPositionalEncoding(8, 8, amplitude=False)
    assert encoding.amplitudes is None and not any("amplitude" in name for name in encoding.state_dict())


def test_frequencies_ascend_from_the_longest_to_the_shortest_period():
    encoding = AcyclicPositionalEncoding(8, 16, min_period=16, max_period=1024)
    periods = 2 * torch.pi / encoding.freqs
    assert periods[0] == pytest.approx(1024) and periods[-1] == pytest.approx(16)
    assert torch.allclose(encoding.phase_scales * periods, torch.full([8], 1024.0))
