"""Which folder of a video's path is its class."""

import unicodedata

import pytest

from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.sources.class_folders import class_folders, in_order


def classes(*places):
    names, notes = class_folders(places, [place.split("/")[:-1] for place in places])
    return names, notes


def test_the_first_folder_is_the_class():
    assert classes("cat/a", "cat/sub/b", "dog/c") == (["cat", "cat", "dog"], [])
    assert classes("happy/1", "happy/2") == (["happy", "happy"], [])
    assert classes("train/1", "car/2") == (["train", "car"], [])


@pytest.mark.parametrize("prefix", ["UCF/", "data/UCF 101/", "a/b/c/d/"])
def test_folders_that_hold_all_videos_are_passed_over_with_a_word(prefix):
    names, notes = classes(f"{prefix}Apply/g1", f"{prefix}Apply/g2", f"{prefix}Cut/sub/g1")
    assert names == ["Apply", "Apply", "Cut"]
    assert [note.split(" lie in ")[1] for note in notes] == [
        f"{folder}/; the class of a video is the folder below" for folder in prefix.split("/")[:-1]
    ]


@pytest.mark.parametrize("splits", ["train test", "Training validation TEST", "train val", "train valid testing"])
@pytest.mark.parametrize("prefix", ["", "UCF/"])
def test_splits_are_no_classes(splits, prefix):
    places = [f"{prefix}{split}/{kind}/{i}" for split in splits.split() for kind in ("cat", "dog") for i in range(2)]
    names, notes = classes(*places)
    assert names == [place.split("/")[-2] for place in places]
    assert all(f"{split}/" in notes[-1] for split in splits.split()) and "are all used" in notes[-1]
    assert len(notes) == (2 if prefix else 1)


def test_one_split_is_a_folder_that_holds_all():
    assert classes("train/cat/1", "train/dog/2")[0] == ["cat", "dog"]
    assert classes("train/1", "train/2") == (["train", "train"], [])


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["cat/1", "loose"], "^loose lies in no sub-folder"),
        (["cat/1", "a", "b"], r"^a lies in no sub-folder.* \(so do 1 more: b\)"),
        (["train/cat/1", "test/2"], "^test/2 lies in no folder below test/ and train/"),
        (["train/1", "test/2"], "^train/1 lies in no folder below"),
    ],
)
def test_a_video_without_a_class_is_named(places, message):
    with pytest.raises(DataError, match=message):
        classes(*places)


def test_one_name_in_two_forms_of_unicode_is_one_class():
    composed, apart = (unicodedata.normalize(form, "Kätzchen") for form in ("NFC", "NFD"))
    assert composed != apart
    names, _ = classes(f"{composed}/1", f"{apart}/2", "x/3")
    assert names == [composed, composed, "x"] and in_order(names) == [composed, "x"]


def test_classes_are_numbered_in_natural_order():
    assert in_order(["10", "9", "9", "1"]) == ["1", "9", "10"]


def test_parts_of_data_sets_under_longer_names_are_passed_over_if_they_share_a_class():
    places = ["k/train_256/run/1", "k/val_256/run/2", "k/val_256/jump/3"]
    names, notes = classes(*places)
    assert names == ["run", "run", "jump"] and "the videos of train_256/ and val_256/ are all used" in notes[1]
    assert classes("train_ride/a/1", "test_drive/b/2")[0] == ["train_ride", "test_drive"]
