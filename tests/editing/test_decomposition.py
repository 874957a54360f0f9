"""Content and motion are apart in a network that was trained on a real clip."""

import torch

from stylegan_v_ext.generate.sampler import VideoSampler
from tests.editing.decomposition import grid_figures, grid_videos


def test_rows_share_motion_and_columns_content(trained):
    sampler = VideoSampler(trained, torch.device("cpu"))
    pairwise, to_row, apart = grid_figures(grid_videos(sampler, psi=1, amplitude=1))
    assert to_row > 0.95 and pairwise > 0.85 and apart < 0.2
    pairwise, to_row, apart = grid_figures(grid_videos(sampler, psi=0.7, amplitude=0.5))
    assert to_row > 0.95 and pairwise > 0.95 and apart < 0.2
