"""Curves of a run's figures."""

import json

import PIL.Image
import pytest

from stylegan_v_ext.metrics.plot import plot_run, read_curves


def write(folder, metric, *points):
    lines = [
        json.dumps({"results": {metric: value, f"{metric}_std": 1}, "snapshot_pkl": f"network-snapshot-{kimg:06d}.pkl"})
        for kimg, value in points
    ]
    (folder / f"metric-{metric}.jsonl").write_text("\n".join(lines) + "\n" + lines[0][:20])


def test_curves_are_read_by_kimg_with_the_last_value_of_each(tmp_path):
    write(tmp_path, "fvd2048_16f", (8, 20.0), (4, 30.0), (8, 10.0))
    assert read_curves(tmp_path) == {"fvd2048_16f": [(4, 30.0), (8, 10.0)]}


def test_the_picture_marks_the_best(tmp_path):
    write(tmp_path, "fvd2048_16f", (4, 30.0), (8, 10.0), (12, 11.0))
    write(tmp_path, "is50k_mean", (4, 3.0), (8, 5.0))
    assert plot_run(tmp_path, tmp_path / "m.png") == [("fvd2048_16f", 3, 10.0, 8.0), ("is50k_mean", 2, 5.0, 8.0)]
    with PIL.Image.open(tmp_path / "m.png") as image:
        assert image.width > 900


def test_a_folder_without_figures_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no figures of snapshots"):
        plot_run(tmp_path, tmp_path / "m.png")
    assert not list(tmp_path.iterdir())
