"""Grids of every content with every motion, and whether the two are apart in them."""

import itertools

import numpy as np
import torch

from stylegan_v_ext.editing.comparison import motion_profile
from stylegan_v_ext.generate import tracks
from stylegan_v_ext.generate.recipe import Recipe
from stylegan_v_ext.generate.sampler import VideoName, frame_times

GRID, FRAMES = 4, 40


def grid_videos(sampler, psi, amplitude):
    """Videos `[T, H, W, C]` by motion and content, in grey levels, not rounded."""
    recipe = Recipe(truncation=tracks.constant(psi), amplitude=amplitude)
    rows = []
    for motion in range(GRID):
        videos = [
            recipe.scene(sampler, tracks.still(sampler.content(VideoName(content))), VideoName(0, motion))
            for content in range(GRID)
        ]
        strips = [torch.cat(list(sampler.strips(video, frame_times(FRAMES)))) for video in videos]
        rows.append([((strip + 1) * 127.5).permute(0, 2, 3, 1).numpy() for strip in strips])
    return rows


def grid_figures(rows):
    """Correlation of motion profiles within rows, pairwise and to the row's mean curve, and how much nearer the
    mean frames within a column are than those of different columns."""
    pairs = list(itertools.combinations(range(GRID), 2))
    profiles = [[motion_profile(video) for video in row] for row in rows]
    pairwise = [np.corrcoef(row[a], row[b])[0, 1] for row in profiles for a, b in pairs]
    curves = [np.mean([profile / profile.mean() for profile in row], axis=0) for row in profiles]
    to_row = [np.corrcoef(profile, c)[0, 1] for row, c in zip(profiles, curves, strict=True) for profile in row]
    means = [[video.mean(0) for video in row] for row in rows]

    def distance(a, b):
        return float(np.sqrt(np.square(a - b).mean()))

    within = np.mean([distance(means[a][c], means[b][c]) for c in range(GRID) for a, b in pairs])
    between = np.mean([distance(row[a], row[b]) for row in means for a, b in pairs])
    return float(np.mean(pairwise)), float(np.mean(to_row)), float(within / between)
