"""Several `dataset.json` files in one archive: what counts for which video."""

import json

from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.metadata import nearest_metadata
from stylegan_v_ext.data.videos import list_videos
from tests.data.helpers import video_files, write_zip


def nearest(tmp_path, files):
    archive = open_archive(write_zip(tmp_path / "a.zip", files))
    found = nearest_metadata(archive, list_videos(archive))
    assert found.notes == []
    return found.above, found.problems


def test_each_file_speaks_for_what_lies_below_it_and_all_for_labels(tmp_path):
    a = {"labels": [["v0", 0], ["v1", 1]], "fps": 10, "motion_distance": 8}
    b = {"labels": {"v0": 1, "v1": 0}, "fps": 25}
    above, problems = nearest(tmp_path, {**video_files(2, 2, "a/", a), **video_files(2, 2, "b/c/", b)})
    assert problems == []
    assert [(above(name).fps, above(name).motion_distance) for name in ("a/v0", "b/c/v1", "b/v", "v")] == [
        (10, 8), (25, None), (None, None), (None, None),
    ]  # fmt: skip
    assert above("a/v0").labels == above("b/c/v0").labels == {"a/v0": 0, "a/v1": 1, "b/c/v0": 1, "b/c/v1": 0}


def test_what_is_wrong_with_a_file_is_said_once(tmp_path):
    files = {**video_files(1, 2, "a/", {"fps": -3}), **video_files(1, 2, "b/"), "b/dataset.json": b"{"}
    above, problems = nearest(tmp_path, files)
    assert len(problems) == 2 and any("a/dataset.json: fps -3" in problem for problem in problems)
    assert any("b/dataset.json is not valid JSON" in problem for problem in problems)
    assert above("a/v0").fps is None
    _, alone = nearest(tmp_path, {"dataset.json": json.dumps({"fps": "x"}).encode()})
    assert len(alone) == 1
