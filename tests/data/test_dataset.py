"""The training set and the check that goes before it."""

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_v_ext.data.check import check_dataset
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.errors import DataError
from tests.data.helpers import image_bytes, video_files, write_folder, write_zip

LABELS = {"labels": [["v0", 1], ["v1", 0], ["v2", 2]], "fps": 12.5, "motion_distance": 256}


@pytest.fixture
def labelled(tmp_path):
    return write_zip(tmp_path / "set.zip", video_files(3, 9, metadata=LABELS))


def test_items_are_strips_of_the_frames_their_label_names(labelled):
    dataset = SparseVideoDataset(labelled, use_labels=True)
    for _ in range(20):
        for index in range(3):
            strip, label = dataset[index]
            assert strip.dtype == np.uint8 and strip.shape == (3, 48, 16)
            assert label.dtype == np.float32 and label.shape == (6,)
            values = strip.reshape(3, 3, 16, 16)[0, :, 0, 0]
            assert (values == 20 * index + label[3:]).all()
            assert label[:3].argmax() == [1, 0, 2][index]


def test_contract_attributes(labelled):
    dataset = SparseVideoDataset(labelled, use_labels=True)
    assert (len(dataset), dataset.name, dataset.resolution, dataset.num_channels) == (3, "set", 16, 3)
    assert dataset.image_shape == [3, 48, 16] and dataset.label_shape == [6] and dataset.label_dim == 6
    assert dataset.has_labels and dataset.has_onehot_labels
    assert dataset.fps == 12.5 and dataset.motion_distance == 256
    details = dataset.get_details(2)
    assert (details.raw_idx, details.xflip, details.folder, details.num_frames) == (2, False, "v2", 9)
    assert details.raw_label.tolist() == [0, 0, 1]


def test_unlabelled_labels_are_timestamps_alone(labelled):
    dataset = SparseVideoDataset(labelled)
    assert not dataset.has_labels and dataset.label_dim == 3 and dataset.get_details(0).raw_label.size == 0


def test_get_label_draws_fresh_fractional_times(labelled):
    dataset = SparseVideoDataset(labelled, use_labels=True)
    first, second = dataset.get_label(1), dataset.get_label(1)
    assert first[:3].tolist() == second[:3].tolist() == [1, 0, 0]
    assert (first[3:] != second[3:]).any() and (first[3:] % 1 != 0).any()


def test_num_classes_overrides_use_labels(labelled):
    assert SparseVideoDataset(labelled, use_labels=True, num_classes=0).label_dim == 3
    assert SparseVideoDataset(labelled, num_classes=5).label_dim == 8
    with pytest.raises(DataError, match="3 classes, more than the 2 of the model; .* or start a new run"):
        SparseVideoDataset(labelled, num_classes=2)


def test_mirrored_copies_follow_the_originals(tmp_path):
    half = np.zeros((16, 16, 3), dtype=np.uint8)
    half[:, 8:] = 255
    import io

    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.fromarray(half).save(buffer, format="PNG")
    path = write_zip(tmp_path / "a.zip", {f"v{v}/{i}.png": buffer.getvalue() for v in range(2) for i in range(4)})
    dataset = SparseVideoDataset(path, xflip=True)
    assert len(dataset) == 4 and dataset.get_details(2).xflip
    assert (dataset[2][0] == dataset[0][0][..., ::-1]).all() and dataset[0][0][0, 0, -1] == 255
    assert (dataset.read_video(3)[..., 0] == 255).all()


def test_max_size_is_a_seeded_choice(labelled):
    chosen = [SparseVideoDataset(labelled, max_size=2, random_seed=seed).get_details(0).raw_idx for seed in range(8)]
    assert len(set(chosen)) > 1
    assert chosen == [
        SparseVideoDataset(labelled, max_size=2, random_seed=seed).get_details(0).raw_idx for seed in range(8)
    ]
    assert len(SparseVideoDataset(labelled, max_size=2, xflip=True)) == 4


def test_only_the_sampled_frames_are_read(labelled, monkeypatch):
    dataset = SparseVideoDataset(labelled)
    read = []
    original = dataset._archive.read
    monkeypatch.setattr(dataset._archive, "read", lambda index: read.append(index) or original(index))
    dataset[0]
    assert len(read) == 3


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loader_workers_of_both_kinds(labelled, method):
    dataset = SparseVideoDataset(labelled)
    dataset[0]
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=3, num_workers=2, multiprocessing_context=method, sampler=[0, 1, 2] * 6
    )
    for strips, labels in loader:
        values = strips.reshape(3, 3, 3, 16, 16)[:, 0, :, 0, 0]
        assert torch.equal(values.float(), labels + 20 * torch.arange(3)[:, None])


def test_dataset_is_picklable(labelled):
    dataset = SparseVideoDataset(labelled)
    np.random.seed(3)
    expected = dataset[1]
    np.random.seed(3)
    again = pickle.loads(pickle.dumps(dataset))[1]
    assert all((a == b).all() for a, b in zip(expected, again, strict=True))


def test_unequal_lengths_are_sampled_within_their_own(tmp_path):
    files = {f"v{v}/{i}.png": image_bytes(i) for v, n in enumerate([3, 30]) for i in range(n)}
    dataset = SparseVideoDataset(write_folder(tmp_path / "set", files))
    assert {tuple(dataset[0][1]) for _ in range(5)} == {(0, 1, 2)}
    assert max(dataset[1][1].max() for _ in range(200)) > 20


def test_a_sound_set_has_no_problems(labelled):
    done = []
    report = check_dataset(labelled, progress=done.append)
    assert report.problems == [] and report.bad_videos == [] and sum(done) == 27
    assert (report.num_videos, report.num_frames, report.resolution, report.num_classes) == (3, 27, 16, 3)
    assert (report.shortest, report.longest, report.fps) == (9, 9, 12.5)


def broken_jpeg():
    rng = np.random.RandomState(0)
    import io

    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.fromarray(rng.randint(0, 255, (16, 16, 3)).astype(np.uint8)).save(buffer, format="JPEG")
    return buffer.getvalue()[:-80]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v1/2.png": broken_jpeg()}, "v1/2.png is truncated or damaged"),
        ({"v1/2.png": b"not an image"}, "v1/2.png is not a readable image"),
        ({"v1/2.png": image_bytes(size=(32, 32))}, "v1/2.png is 32x32, expected 16x16"),
        ({"v1/2.png": image_bytes(size=(16, 8))}, "v1/2.png is 16x8, expected 16x16"),
        ({"v1/2.png": image_bytes(mode="L")}, "v1/2.png has colour mode L, expected RGB"),
        ({"v1/2.png": image_bytes(mode="RGBA")}, "v1/2.png has colour mode RGBA, expected RGB"),
        ({"v9/1.png": image_bytes()}, "v9 has 1 frame, a clip needs 3"),
    ],
)
def test_faulty_videos_are_named_and_can_be_left_out(tmp_path, change, message):
    path = write_zip(tmp_path / "bad.zip", {**video_files(3, 5), **change})
    report = check_dataset(path)
    assert report.problems == [message] and report.fatal == []
    assert len(report.bad_videos) == 1
    dataset = SparseVideoDataset(path, exclude=report.bad_videos)
    assert len(dataset) == (3 if "v9" in message else 2)
    dataset[len(dataset) - 1]


def test_headers_alone_show_all_but_broken_pixels(tmp_path):
    files = {**video_files(2, 5), "v0/2.png": broken_jpeg(), "v1/1.png": image_bytes(mode="L")}
    report = check_dataset(write_zip(tmp_path / "bad.zip", files), headers_only=True)
    assert report.problems == ["v1/1.png has colour mode L, expected RGB"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (b"{", "dataset.json is not valid JSON"),
        (b'{"fps": "fast"}', "fps 'fast' is not a number above 0"),
    ],
)
def test_unreadable_metadata_is_fatal(tmp_path, metadata, message):
    report = check_dataset(write_zip(tmp_path / "bad.zip", {**video_files(2, 5), "dataset.json": metadata}))
    assert len(report.fatal) == 1 and message in report.fatal[0]


def test_labels_and_videos_that_do_not_match_are_named(tmp_path):
    metadata = {"labels": [["v0", 0], ["ghost", 1]]}
    report = check_dataset(write_zip(tmp_path / "bad.zip", video_files(2, 5, metadata=metadata)))
    assert report.label_problems == ["label for ghost, which is not in the data", "v1 has no label"]
    assert report.unlabelled == ["v1"] and report.problems == report.bad_videos == []
    with pytest.raises(DataError, match="v1 has no label"):
        SparseVideoDataset(str(tmp_path / "bad.zip"), use_labels=True)


def test_sizes_that_are_no_power_of_two_are_fatal(tmp_path):
    report = check_dataset(write_zip(tmp_path / "bad.zip", video_files(2, 5, size=(24, 24))))
    assert "resolution 24 is not a power of two" in report.fatal[0]


def test_empty_sets_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for call in (check_dataset, SparseVideoDataset):
        with pytest.raises(DataError, match="holds no frames"):
            call(str(tmp_path / "empty"))


def test_dataset_names_what_is_wrong(tmp_path):
    path = write_zip(tmp_path / "a.zip", {**video_files(2, 5), "v5/1.png": image_bytes()})
    with pytest.raises(DataError, match="v5 has 1 frame, a clip needs 3"):
        SparseVideoDataset(path)
    with pytest.raises(DataError, match="has no labels"):
        SparseVideoDataset(path, use_labels=True, exclude=["v5"])
    with pytest.raises(DataError, match="resolution 16, not 32"):
        SparseVideoDataset(path, resolution=32, exclude=["v5"])


def test_damaged_zips_end_in_a_report_or_one_line(tmp_path):
    whole = Path(write_zip(tmp_path / "a.zip", video_files(2, 4, metadata=LABELS), zipfile.ZIP_DEFLATED)).read_bytes()
    rng = np.random.RandomState(0)
    outcomes = {"read": 0, "refused": 0}
    for round_number in range(200):
        data = bytearray(whole)
        for position in rng.randint(len(whole), size=1 + round_number % 5):
            data[position] = rng.randint(256)
        (tmp_path / "b.zip").write_bytes(data)
        try:
            report = check_dataset(str(tmp_path / "b.zip"))
            SparseVideoDataset(str(tmp_path / "b.zip"), exclude=report.bad_videos)[0]
            outcomes["read"] += 1
        except DataError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


def test_a_directory_entry_that_is_no_text_is_an_error(tmp_path):
    path = Path(write_zip(tmp_path / "a.zip", {**video_files(2, 4), "v0/\u00e9.png": b""}))
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xfe"))
    with pytest.raises(DataError, match="is not a sound zip archive"):
        check_dataset(str(path))
