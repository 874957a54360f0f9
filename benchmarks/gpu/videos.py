"""Our side of the comparison of generation at full size, for `benchmarks.sides`."""

from collections.abc import Callable
from pathlib import Path

GRID = 4  # columns and rows of several videos in one picture


def videos(
    resolution: int, count: int, frames: int, path: str | None, device: str, channels: dict[str, int] | None = None
) -> Callable[[], None]:
    """Frames of one video, or of a grid of 16 that are made side by side.

    Args:
        count: 1 or 16 videos.
        frames: Frames of each.
        path: MP4 file that the frames go into; None leaves the encoder out.
        channels: Capacity of the network; None is that of training by default.
    """
    import torch

    from benchmarks.common import precision, use_training_settings
    from stylegan_v_ext.generate.layout import Layout
    from stylegan_v_ext.generate.sampler import VideoName, VideoSampler, frame_times
    from stylegan_v_ext.generate.writers import write_video
    from stylegan_v_ext.networks.generator import VideoGenerator

    torch.manual_seed(0)
    use_training_settings()  # as all other sides
    channels = channels or {"channel_base": 16384 if resolution < 512 else 32768, "channel_max": 512}
    generator = VideoGenerator(3, resolution, 3, **channels, **precision()).requires_grad_(False)
    sampler = VideoSampler(generator, torch.device(device))
    named = [sampler.scene(VideoName(seed)) for seed in range(count)]

    def make() -> None:
        times = frame_times(frames)
        stream = sampler.render(named[0], times) if count == 1 else sampler.grid(named, Layout(GRID), times)
        if path is None:
            for _ in stream:
                pass
        else:
            write_video(Path(path), stream, fps=25)

    return make
