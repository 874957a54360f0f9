"""Data sets of videos: reading them for training, checking them, and making them from videos of any kind.

The modules, in the order in which data pass through them:

- Places: `archive/` reads the files of a zip, a folder or shards by number, `remote` copies data from addresses,
  `recorded` checks paths that files name, `names` sorts names, `kinds` tells kinds of files apart.
- Pixels: `pictures/` reads pictures, `ffmpeg` reads videos by the process in `video/`, `geometry` crops and scales.
- Data sets: `videos` groups frames into videos, `thumbnails` finds pictures that are no frames, `metadata` and
  `labels` read `dataset.json`, `opening` opens a data set, `check` checks it, `fingerprint` recognises it.
- Training: `dataset` gives clips of sparse frames, `frames` gives single frames.
- Conversion: `sources/` finds the videos at a path, `source_reader` reads them, `convert`, `clips` and `writer` write a
  data set.
- `synthetic` makes a data set for the demo. `report_text` puts reports into words. `errors`, `findings` and `limits`
  serve all others.
"""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = [
    "ConvertOptions",
    "DataError",
    "FrameDataset",
    "SparseVideoDataset",
    "VideoReader",
    "check_dataset",
    "convert_dataset",
    "write_demo_dataset",
]

if TYPE_CHECKING:
    from stylegan_v_ext.data.check import check_dataset
    from stylegan_v_ext.data.convert import ConvertOptions, convert_dataset
    from stylegan_v_ext.data.dataset import SparseVideoDataset
    from stylegan_v_ext.data.errors import DataError
    from stylegan_v_ext.data.ffmpeg import VideoReader
    from stylegan_v_ext.data.frames import FrameDataset
    from stylegan_v_ext.data.synthetic import write_demo_dataset
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "ConvertOptions": "stylegan_v_ext.data.convert",
            "DataError": "stylegan_v_ext.data.errors",
            "FrameDataset": "stylegan_v_ext.data.frames",
            "SparseVideoDataset": "stylegan_v_ext.data.dataset",
            "VideoReader": "stylegan_v_ext.data.ffmpeg",
            "check_dataset": "stylegan_v_ext.data.check",
            "convert_dataset": "stylegan_v_ext.data.convert",
            "write_demo_dataset": "stylegan_v_ext.data.synthetic",
        },
    )
