"""The layer swap from end to end, on models trained here: does the result move as the one and look as the other?

    python -m benchmarks.layer_swap OUTDIR [--image-minutes 6] [--video-minutes 16]

Trains an image model on the sky, fine-tunes it to a sky with red and blue exchanged, starts a video
model from the first, swaps its fine layers for the second's, and measures.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from benchmarks.common import print_table
from stylegan_v_ext.checkpoints import find_snapshot, load
from stylegan_v_ext.data.convert import encode_frame
from stylegan_v_ext.data.synthetic import FPS, MOTION_DISTANCE, sky_video
from stylegan_v_ext.data.writer import DatasetWriter
from stylegan_v_ext.generate.layout import tile
from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times

RESOLUTION, NUM_VIDEOS, NUM_FRAMES = 32, 96, 64
SMALL = [
    "--cbase=512", "--cmax=64", "--latent-dim=64", "--workers=1", "--aug=noaug", "--mirror=1", "--tick=2", "--snap=0",
]  # fmt: skip
SPLIT = 16
VIDEOS, FRAMES = 16, 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--image-minutes", type=float, default=6, help="training of the image model; tuning takes half")
    parser.add_argument("--video-minutes", type=float, default=16, help="training of the video model")
    parser.add_argument("--split", type=int, default=SPLIT)
    args = parser.parse_args()
    day, red = args.outdir / "day.zip", args.outdir / "red.zip"
    write_data(day, lambda image: image)
    write_data(red, lambda image: image[:, :, ::-1])
    images = ["--cfg=stylegan2", "--batch=16", "--gamma=0.5", "--glr=0.003", "--dlr=0.003"]
    first = train(args.outdir / "first", day, args.image_minutes, *images)
    second = train(args.outdir / "second", red, args.image_minutes / 2, *images, f"--resume={first}")
    video = train(args.outdir / "video", day, args.video_minutes, "--cfg=stylegan-v", "--batch=8", "--gamma=2",
                  "--motion-z-dim=64", "--glr=0.003", "--dlr=0.003", f"--resume={first}")  # fmt: skip
    swapped = args.outdir / f"swapped-{args.split}.pkl"
    if not swapped.exists():
        run("swap", f"--video={video}", f"--image={second}", f"--split={args.split}", f"--output={swapped}",
            "--preview", "--seeds=0-5")  # fmt: skip
    report(args.outdir, first, second, video, swapped)


def write_data(path, recolour):
    if path.exists():
        return
    with DatasetWriter(path) as writer:
        for video in range(NUM_VIDEOS):
            for frame, image in enumerate(sky_video(video, NUM_FRAMES, RESOLUTION)):
                writer.write(f"{video:05d}/{frame:05d}.jpg", encode_frame(np.ascontiguousarray(recolour(image))))
        writer.write_metadata({"fps": FPS, "motion_distance": MOTION_DISTANCE, "labels": None})


def train(outdir, data, minutes, *options):
    if not outdir.exists():
        run("train", f"--data={data}", f"--outdir={outdir}", f"--max-hours={minutes / 60}", *SMALL, *options)
    return find_snapshot(next(outdir.iterdir()))


def run(*arguments):
    subprocess.run([sys.executable, "-m", "stylegan_v_ext.cli.main", *arguments], check=True)


def videos_of(path):
    """Videos uint8 `[VIDEOS, FRAMES, H, W, 3]`."""
    sampler = VideoSampler(load(path).build_generator(), torch.device("cpu"))
    return np.stack([list(sampler.frames(VideoName(seed), frame_times(FRAMES))) for seed in range(VIDEOS)])


def images_of(path, count=256):
    sampler = VideoSampler(load(path).build_generator(), torch.device("cpu"))
    return np.stack([sampler.image(VideoName(seed)) for seed in range(count)])


def motion_profile(videos):
    """Mean absolute change of brightness from frame to frame, `[VIDEOS, FRAMES - 1]`."""
    brightness = videos.astype(np.float64).mean(-1)
    return np.abs(np.diff(brightness, axis=1)).mean((2, 3))


def motion_maps(videos):
    """Change of brightness of every pixel, `[VIDEOS, values]`."""
    return np.diff(videos.astype(np.float64).mean(-1), axis=1).reshape(len(videos), -1)


def correlation(a, b):
    """Mean over videos of the correlation of two rows."""
    return float(np.mean([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]))


def colour_distance(a, b, bins=32):
    """Distance of two colour histograms, summed over channels: area between the cumulative ones, in 0 ... 255."""

    def cumulative(pixels):
        return np.stack([np.cumsum(np.histogram(pixels[..., c], bins, (0, 256), density=True)[0]) for c in range(3)])

    return float(np.abs(cumulative(a) - cumulative(b)).sum() * (256 / bins) ** 2)


def report(outdir, first, second, video, swapped):
    before, after = videos_of(video), videos_of(swapped)
    original, recoloured = images_of(first), images_of(second)
    rows = [
        ["correlation of frame-difference profiles, video model and result",
         f"{correlation(motion_profile(before), motion_profile(after)):.3f}"],
        ["correlation of pixels' changes, video model and result",
         f"{correlation(motion_maps(before), motion_maps(after)):.3f}"],
        ["colour distance of the result to the first image model", f"{colour_distance(after, original):.1f}"],
        ["colour distance of the result to the second image model", f"{colour_distance(after, recoloured):.1f}"],
        ["colour distance of the video model to the first", f"{colour_distance(before, original):.1f}"],
        ["colour distance of the video model to the second", f"{colour_distance(before, recoloured):.1f}"],
    ]  # fmt: skip
    print_table(["measure", "value"], rows)
    strips = []
    for seed in range(4):
        strips += list(before[seed, ::10]) + [recoloured[seed]] + list(after[seed, ::10])
    PIL.Image.fromarray(tile(strips, len(strips) // 4)).save(outdir / "swap.png")


if __name__ == "__main__":
    main()
