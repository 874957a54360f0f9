"""Measure how far the videos of one folder are from the videos of another folder.

    python examples/measure_folders.py REAL FAKE

Each side is a folder or zip of video files of any model, or a data set.

The metrics below need no download. FVD, the metric of the papers, is `fvd2048_16f`. It looks through the network I3D,
whose file is downloaded at first use, or taken from the folder that STYLEGAN_V_DETECTORS names (docs/metrics.md).
`rfvd...` is not FVD: it looks through fixed random filters, and its figures can only be
compared with each other.
"""

import argparse

from stylegan_v_ext import measure

METRICS = ("rfvd256_16f", "motion256_16f")


def main(real: str, fake: str, *, metrics: tuple[str, ...] = METRICS) -> dict[str, dict[str, float]]:
    """Print the figures of each metric.

    Args:
        real: Folder, zip or data set of real videos.
        fake: Folder, zip or data set of generated videos.
        metrics: Names of metrics; the first number is the number of clips, the second their length in frames.

    Returns:
        Figures by name, for each metric.
    """
    figures = measure(metrics, real=real, fake=fake, resolution=64)
    for metric, values in figures.items():
        for name, value in values.items():
            print(f"{metric:>14}  {name:<28} {value:.6g}")
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real")
    parser.add_argument("fake")
    main(**vars(parser.parse_args()))
