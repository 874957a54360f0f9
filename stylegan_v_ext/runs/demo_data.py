"""The built-in data set, a synthetic sky time-lapse."""

from pathlib import Path

from stylegan_v_ext.data.synthetic import write_demo_dataset
from stylegan_v_ext.listener import SILENT, Listener

_NUM_VIDEOS = 96


def demo_data(
    folder: str | Path, *, resolution: int = 64, num_videos: int = _NUM_VIDEOS, listener: Listener = SILENT
) -> str:
    """Make the built-in data set unless it is there already.

    Args:
        folder: Where its zip is, or goes.
        resolution: Side of the frames in pixels.
        num_videos: Videos of a new data set.
        listener: Hears how many videos are made.

    Returns:
        Path of the zip.

    Raises:
        OSError: If the zip cannot be written.
    """
    path = Path(folder) / f"demo-sky-{resolution}.zip"
    if not path.exists():
        with listener.progress(f"Making {path}", num_videos) as advance:
            write_demo_dataset(str(path), resolution, num_videos, progress=lambda done: advance(1))
    return str(path)


def is_demo_data(path: str) -> bool:
    """Return whether a data set has the name of the built-in one."""
    return Path(path).name.startswith("demo-sky-")
