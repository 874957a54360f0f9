"""Which metric sees which fault of a video: synthetic skies, damaged more and more.

    python -m benchmarks.sensitivity

Both sides are skies of their own; the fake ones are damaged. Printed is each metric's rise over the undamaged
figure at the strongest damage, and whether it rose with every level. FVD needs the I3D detector and is left out
where that is not found locally.
"""

import numpy as np
import scipy.ndimage
import torch

from benchmarks.common import machine
from stylegan_v_ext.data.synthetic import sky_video
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import parse_metric
from stylegan_v_ext.metrics.comparison import compare
from stylegan_v_ext.metrics.motion import STATISTICS
from stylegan_v_ext.metrics.video_source import VideoSource

LENGTH, LONGEST, SIDE, CLIPS = 32, 128, 64, 96


class Clips(VideoSource):
    """Clips in memory. frames: uint8 [N, T, H, W, 3]."""

    name, resolution = "clips", SIDE

    def __init__(self, frames):
        self.frames = frames

    @property
    def lengths(self):
        return [len(clip) for clip in self.frames]

    @property
    def fingerprint(self):
        return "unused"

    def video_name(self, video):
        return str(video)

    def read(self, picks):
        return [self.frames[pick.video][pick.frames] for pick in picks]


def skies(first_seed):
    return np.stack([np.stack(list(sky_video(first_seed + n, LONGEST, SIDE))) for n in range(CLIPS)])


def noise(clip, level, random):
    return clip[:LENGTH] + random.normal(0, (4, 8, 16, 32)[level], clip[:LENGTH].shape)


def blur(clip, level, random):
    return scipy.ndimage.gaussian_filter(clip[:LENGTH].astype(float), [0, *[(0.5, 1, 2, 4)[level]] * 2, 0])


def shuffling(clip, level, random):
    order = np.arange(LENGTH)
    chosen = random.choice(LENGTH, LENGTH * (level + 1) // 4, replace=False)
    order[np.sort(chosen)] = chosen
    return clip[order]


def freezing(clip, level, random):
    return clip[np.minimum(np.arange(LENGTH), LENGTH * (3 - level) // 4)]


def looping(clip, level, random):
    return clip[np.arange(LENGTH) % (24, 16, 8, 4)[level]]


def back_and_forth(clip, level, random):
    period = (24, 16, 8, 4)[level]
    phase = np.arange(LENGTH) % (2 * period - 2)
    return clip[np.minimum(phase, 2 * period - 2 - phase)]


def speeding_up(clip, level, random):
    return clip[np.arange(LENGTH) * (level + 1)] if level else clip[np.arange(LENGTH) * 3 // 2]


def slowing_down(clip, level, random):
    return clip[np.arange(LENGTH) // (2, 3, 4, 8)[level]]


def flickering(clip, level, random):
    return clip[:LENGTH] + (4, 8, 16, 32)[level] * (-1.0) ** np.arange(LENGTH)[:, None, None, None]


def drifting(clip, level, random):
    return clip[:LENGTH] + (10, 20, 40, 80)[level] * np.linspace(0, 1, LENGTH)[:, None, None, None]


FAULTS = (noise, blur, shuffling, freezing, looping, back_and_forth, speeding_up, slowing_down, flickering, drifting)


def damaged(clips, fault, level):
    random = np.random.RandomState(level)
    result = [fault(clip, level, random) for clip in clips]
    return Clips(np.stack([np.clip(clip, 0, 255).astype(np.uint8) for clip in result]))


def figures(real, fake, names):
    values = {}
    for name in names:
        values |= compare(parse_metric(name), real, fake, torch.device("cpu"), use_cache=False).values
    prefix = f"motion{CLIPS}_{LENGTH}f_"
    found = {key: value for key, value in values.items() if not key.startswith(prefix)}
    return found | {key: values[prefix + key] for key in ("spectrum_db", *STATISTICS)}


def main():
    print(machine())
    names = [f"rfvd{CLIPS}_{LENGTH}f", f"motion{CLIPS}_{LENGTH}f"]
    if detectors.local_detector(detectors.I3D):
        names.insert(0, f"fvd{CLIPS}_{LENGTH}f")
    real, other = skies(0)[:, :LENGTH], skies(10_000)
    real = Clips(real)
    clean = figures(real, Clips(other[:, :LENGTH]), names)
    columns = list(clean)
    print("| damage | " + " | ".join(columns) + " |\n| --- |" + " --- |" * len(columns))
    print("| none | " + " | ".join(f"{clean[name]:.3g}" for name in columns) + " |")
    for fault in FAULTS:
        levels = [figures(real, damaged(other, fault, level), names) for level in range(4)]
        cells = []
        for name in columns:
            course = [clean[name]] + [level[name] for level in levels]
            rises = all(later > earlier for earlier, later in zip(course, course[1:], strict=False))
            ratio = course[-1] / max(clean[name], 1e-9)
            text = f"x {ratio:.3g}" if clean[name] > 1e-6 else f"{course[-1]:.3g}"
            cells.append(f"**{text}**" if rises and ratio > 2 else text)
        print(f"| {fault.__name__.replace('_', ' ')} | " + " | ".join(cells) + " |", flush=True)
    print("\nBold: rose with every level, and to more than twice the undamaged figure.")


if __name__ == "__main__":
    main()
