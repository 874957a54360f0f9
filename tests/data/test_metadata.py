"""What labels of other people's data sets mean for videos."""

import json
import unicodedata
import zipfile
from random import Random

import pytest

from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.check import check_dataset, summary_of_classes
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.metadata import class_sizes, read_metadata
from stylegan_v_ext.data.videos import list_videos
from tests.data.helpers import image_bytes, write_folder, write_zip

CAMERA = [0.1] * 25
FRAME = image_bytes()


def members(folders, num_frames=3):
    return {f"{folder}/{i}.png" if folder else f"{i}.png": FRAME for folder in folders for i in range(num_frames)}


@pytest.fixture
def described(tmp_path):
    """Makes a set of these video folders with this dataset.json, and reads what it says."""

    def describe(folders, labels, at="", **more):
        text = json.dumps({"labels": labels, **more})
        path = write_zip(tmp_path / "set.zip", {**members(folders), f"{at}dataset.json": text})
        return path, read_metadata(open_archive(path))

    return describe


FILES = [f"{folder}/{i}.png" for folder in ("a", "b") for i in range(3)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([["a", 1], ["b", 0]], {"a": 1, "b": 0}),
        ({"a": 1, "b": 0}, {"a": 1, "b": 0}),
        ([["a", 1.0], ["b", 0.0]], {"a": 1, "b": 0}),
        ([["a", "1"], ["b", "0"]], {"a": 1, "b": 0}),
        ([["a", "wolf"], ["b", "cat"]], {"a": 1, "b": 0}),
        ([["a", 1], ["b", 0], ["a", 1]], {"a": 1, "b": 0}),
        ([["./a/", 1], ["\\b", 0]], {"a": 1, "b": 0}),
        ([[name, name[0] == "a" and 6 or 2] for name in FILES], {"a": 6, "b": 2}),
        ([[name.replace("/", "\\"), 3] for name in FILES], {"a": 3, "b": 3}),
        ([[name.replace(".png", ".jpg"), 3] for name in FILES], {"a": 3, "b": 3}),
        ([["a", 1], ["b", None]], {"a": 1}),
        ([["a", 0], *[[name, 5] for name in FILES]], {"a": 0, "b": 5}),
        (None, {}),
        ([], {}),
    ],
)
def test_classes_of_every_spelling(described, labels, expected):
    _, metadata = described(["a", "b"], labels)
    assert metadata.labels == expected and not metadata.problems + metadata.label_problems


@pytest.mark.parametrize(
    ("folders", "labels", "at", "expected"),
    [
        (["set/a", "set/b"], [["a", 0], ["b", 1]], "", {"set/a": 0, "set/b": 1}),
        (["set/a", "set/b"], [["set/a", 0], ["set/b", 1]], "set/", {"set/a": 0, "set/b": 1}),
        (["a", "b"], [["set/a", 0], ["set/b", 1]], "", {"a": 0, "b": 1}),
        (["set/a", "set/b"], [[f"{v}/{i}.png", int(v == "b")] for v in "ab" for i in range(3)], "",
         {"set/a": 0, "set/b": 1}),
        (["a", "b"], [[f"set/{v}/{i}.png", int(v == "b")] for v in "ab" for i in range(3)], "", {"a": 0, "b": 1}),
        (["train/a", "test/a"], [["a", 0]], "", {}),
        (["a"], [["train/a", 0], ["test/a", 1]], "", {}),
        (["a", "x/b"], [["a", 0], ["old/a", 1], ["b", 1]], "", {"a": 0, "x/b": 1}),
        ([""], [["0.png", 4], ["1.png", 4], ["2.png", 4]], "", {"": 4}),
        ([""], [["gone", 4]], "", {}),
    ],
)  # fmt: skip
def test_a_folder_around_the_set_may_be_missing_or_added_if_that_is_clear(described, folders, labels, at, expected):
    _, metadata = described(folders, labels, at)
    assert metadata.labels == expected


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_labels_and_folders_may_have_different_normal_forms(described, forms):
    folder, label = (unicodedata.normalize(form, "caf\u00e9") for form in forms)
    assert folder != label
    _, metadata = described([folder, "b"], [[label, 1], ["b", 0]])
    assert metadata.labels == {folder: 1, "b": 0} and not metadata.label_problems


@pytest.mark.parametrize(
    ("labels", "sentence", "mistake"),
    [
        ([["a", 0], ["a", 1], ["b", 0]], "a has the classes 0 and 1 in dataset.json; a video has one class", True),
        ([["a", 0], ["./a/", 1], ["b", 0]], "a has the classes 0 and 1 in dataset.json; a video has one class", True),
        ([["b", 0]], "a has no label", True),
        ([["a", -1], ["b", 0]], "a is labelled -1, but classes are numbered from 0", True),
        ([["a", 70000], ["b", 0]], "a is labelled 70000, above the highest class 65536", True),
        ([["a", True], ["b", 0]], "a is labelled true, which is no class number", True),
        ([["a", "cat"], ["b", 0]], "a is labelled 'cat', while other labels are numbers", True),
        ([["a/0.png", 1], ["a/2.png", 1], ["b", 0]], "a has 1 of 3 files without a label", True),
        ([["a", CAMERA], ["b", 0]], "a is labelled with a vector of 25 numbers, which is no class", False),
        ([["a/0.png", CAMERA], ["b", 0]], "a is labelled with a vector of 25 numbers, which is no class", False),
        ([["a", 0.53], ["b", 0]], "a is labelled 0.53, which is no class", False),
        ([["a", {"age": 3}], ["b", 0]], "a is labelled {'age': 3}, which is no class", False),
        ([[f"a/{i}.png", i] for i in range(3)] + [["b", 0]], "a has files of the classes 0, 1 and 2; a class belongs "
         "to a whole video, so move files of each class to a folder of their own and label the folders", False),
    ],
)  # fmt: skip
def test_a_video_without_a_class_has_a_reason_and_stops_classes_alone(described, labels, sentence, mistake):
    path, metadata = described(["a", "b"], labels)
    assert metadata.labels == {"b": 0} and metadata.reason(list_videos(open_archive(path))[0]).mistake == mistake
    report = check_dataset(path)
    assert (report.label_problems if mistake else report.label_notes) == [sentence] and report.problems == []
    assert report.stopping(use_labels=False) == [] and report.left_out(use_labels=False) == []
    assert report.stopping(use_labels=True) == [sentence] and report.left_out(use_labels=True) == ["a"]
    assert len(SparseVideoDataset(path)) == 2
    with pytest.raises(DataError, match="a (is|has) .*; mend dataset.json, or train with --skip-bad or without --cond"):
        SparseVideoDataset(path, use_labels=True)
    assert SparseVideoDataset(path, use_labels=True, exclude=["a"]).num_classes == max(metadata.num_classes, 1)


def test_labels_without_a_video_are_a_mistake_that_leaves_the_others_sound(described):
    path, metadata = described(["a", "b"], [["a", 0], ["b", 1], ["gone", 5]])
    report = check_dataset(path)
    assert report.label_problems == ["label for gone, which is not in the data"]
    assert report.is_curable(use_labels=True) and report.left_out(use_labels=True) == []
    assert SparseVideoDataset(path, use_labels=True).num_classes == 6 == metadata.num_classes
    _, metadata = described(["a"], [["a", 0], *[[f"gone{i}", 1] for i in range(40)]])
    assert metadata.label_problems == [
        "40 labels are for videos that are not in the data (gone0, gone1, gone2 and 37 more)"
    ]


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ([1, 2, 3], "no video has class 0; classes are numbered from 0, the highest here is 3"),
        ([0, 2, 5], "no video has class 1 and 3 to 4; classes are numbered from 0, the highest here is 5"),
        ([0, 1, 1], None),
    ],
)
def test_classes_that_no_video_has_are_said(described, numbers, sentence):
    path, metadata = described(["a", "b", "c"], [[name, number] for name, number in zip("abc", numbers, strict=True)])
    assert metadata.notes == ([sentence] if sentence else []) and not metadata.label_problems
    assert SparseVideoDataset(path, use_labels=True).num_classes == max(numbers) + 1


def test_names_of_classes_give_numbers(described):
    _, metadata = described(["a", "b"], [["a", "happy"], ["b", "angry"]], classes=["happy", "sad", "angry"])
    assert metadata.labels == {"a": 0, "b": 2} and metadata.class_names == ["happy", "sad", "angry"]
    assert metadata.notes == ["no video has class 1; classes are numbered from 0, the highest here is 2"]
    _, metadata = described(["a"], [["a", 0]], classes=["happy", "sad"])
    assert metadata.num_classes == 1 and "no label has the last of the 2 classes" in metadata.notes[0]
    _, metadata = described(["a", "b"], [["a", 1], ["b", 2]], classes=["happy", "sad"])
    assert metadata.class_names is None and metadata.labels == {"a": 1, "b": 2}
    assert metadata.notes[0] == "dataset.json names 2 classes, and labels go up to 2; the names are not used"
    path, metadata = described(["a", "b", "c"], [["a", "take 10"], ["b", "take 2"], ["c", "take 2"]])
    assert metadata.labels == {"a": 1, "b": 0, "c": 0} and metadata.class_names == ["take 2", "take 10"]
    assert class_sizes(metadata, list_videos(open_archive(path))) == [("take 2", 2), ("take 10", 1)]
    _, metadata = described(["a", "b"], [["a", 0], ["b", 1]], classes="faces")
    assert metadata.class_names is None and metadata.labels == {"a": 0, "b": 1}
    assert metadata.notes == ["dataset.json: classes 'faces' is not a list of names, and is not used"]


def test_sets_beside_each_other_may_not_name_their_classes_differently(tmp_path):
    def pair(first, second):
        return read_metadata(open_archive(write_zip(tmp_path / "two.zip", {
            **members(["x/a", "y/b"]),
            "x/dataset.json": json.dumps({"labels": [["a", 0]], "classes": first}),
            "y/dataset.json": json.dumps({"labels": [["b", 1]], "classes": second}),
        })))  # fmt: skip

    assert pair(["happy", "sad"], ["happy", "sad"]).labels == {"x/a": 0, "y/b": 1}
    assert pair(["happy"], ["happy", "sad"]).labels == {"x/a": 0, "y/b": 1}
    metadata = pair(["happy", "sad"], ["angry", "happy"])
    assert metadata.labels == {} and metadata.unusable.keys() == {"x/a", "y/b"}
    assert metadata.label_problems == ["y/dataset.json names its classes differently from another dataset.json"]


def test_classes_in_words():
    assert summary_of_classes([("Apply", 2), ("Bowling", 2), ("Cut", 2)]) == "3 (Apply 2, Bowling 2, Cut 2)"
    assert summary_of_classes([("0", 4), ("1", 0)]) == "2 (0: 4, 1: 0)" and summary_of_classes([]) == ""
    many = summary_of_classes([(f"class {number}", number) for number in range(101)])
    assert summary_of_classes([("x", 1)] * 12).endswith(", and 2 more of 1 video each)")
    assert many.startswith("101 (class 0 0, ") and many.endswith("class 9 9, and 91 more of 10 to 100 videos)")


def test_hints_that_differ_are_said(tmp_path):
    files = {f"{folder}/dataset.json": json.dumps({"fps": fps}) for folder, fps in (("x", 25), ("y", 12.5))}
    metadata = read_metadata(open_archive(write_zip(tmp_path / "two.zip", {**members(["x/a", "y/b"]), **files})))
    assert metadata.fps == 12.5
    assert metadata.notes == ["y/dataset.json gives fps 12.5, another dataset.json differs; training uses the last"]


@pytest.mark.parametrize("content", [b"[1]", b'[["a", 1]]', b'{"a": 1}', b"3", b"null"])
def test_a_file_of_another_kind_is_said_and_not_used(tmp_path, content):
    path = write_zip(tmp_path / "a.zip", {**members(["a"]), "dataset.json": content})
    report = check_dataset(path)
    assert not report.problems and len(report.notes) == 1 and "is not used" in report.notes[0]


def test_the_class_that_old_runs_know_a_video_by_stays_in_the_fingerprint(tmp_path, described):
    path, _ = described(["a", "b"], [["a", 0], ["b", 1], ["a", 2]])
    twice = SparseVideoDataset(path).fingerprint()["labels"]
    path, _ = described(["a", "b"], [["a", 2], ["b", 1]])
    assert twice == SparseVideoDataset(path).fingerprint()["labels"]
    assert twice == "22e7e927f66095ec7fff4b388f9d5f02bf47db28052a3ee866a29c168d4cc4e9"


def test_folders_and_zips_and_shards_give_the_same_classes(tmp_path):
    files = {**members(["a", "b"]), "dataset.json": json.dumps({"labels": [["a/", 1], ["./b", 0]]}).encode()}
    with zipfile.ZipFile(write_zip(tmp_path / "s-00000.zip", files)) as file:
        assert len(file.namelist()) == 7
    for path in (write_folder(tmp_path / "folder", files), write_zip(tmp_path / "a.zip", files), tmp_path / "s.zip"):
        labels = read_metadata(open_archive(path)).labels
        assert {folder.rpartition("/")[2]: number for folder, number in labels.items()} == {"a": 1, "b": 0}


class Described:
    """An archive of these folders and of this dataset.json."""

    def __init__(self, folders, num_frames, at, content):
        self.names = [f"{folder}/{i}.jpg" for folder in folders for i in range(num_frames)] + [f"{at}dataset.json"]
        self.content = json.dumps(content).encode()

    def read(self, index):
        return self.content


def spelling(random, name):
    """The name as somebody else may write it."""
    name = unicodedata.normalize(random.choice(["NFC", "NFD"]), name)
    name = random.choice(["", "./", "/"]) + name
    return name.replace("/", "\\") if random.random() < 0.3 else name


@pytest.mark.parametrize("seed", range(60))
def test_any_spelling_of_names_and_classes_gives_the_same_classes(seed):
    random = Random(seed)
    parts = ["caf\u00e9", "\u304c\u304e", "v 1", "2020.01", "A", "a", "x.y", "\u00c5ngstr\u00f6m"]
    inner = random.sample(parts, random.randint(2, 5))
    depth = random.choice(["", "deep/", "class/b/"])
    around, named_around = random.choice([("", ""), ("set/", ""), ("", "set/"), ("set/", "set/")])
    at = "set/" if around and not named_around and random.random() < 0.5 else ""
    folders = [around + depth + unicodedata.normalize(random.choice(["NFC", "NFD"]), name) for name in inner]
    classes = [random.randrange(4) for _ in inner]
    names = ["angry", "happy", "sad", "zest"]
    form = random.choice([int, float, str, names.__getitem__])
    labels = []
    for name, number in zip(inner, classes, strict=True):
        written = [named_around + depth + name]
        if random.random() < 0.5:
            written = [f"{written[0]}/{i}.{random.choice(['jpg', 'png', 'JPEG'])}" for i in range(3)]
        labels += [[spelling(random, text), form(number)] for text in written]
    random.shuffle(labels)
    content = {"labels": dict(labels) if len(dict(labels)) == len(labels) and seed % 2 else labels, "classes": names}
    metadata = read_metadata(Described(folders, 3, at, content))
    assert metadata.labels == dict(zip(folders, classes, strict=True)), (folders, content)
    assert not metadata.problems + metadata.label_problems and not metadata.unusable


def test_a_label_of_a_folder_of_videos_is_said_to_be_one(described):
    _, metadata = described(["v0", "deep/v1"], {"v0": 0, "deep": 1, "gone": 0})
    assert "label for deep, which is a folder of videos, not a video; label each of them" in metadata.label_problems
    assert "label for gone, which is not in the data" in metadata.label_problems


@pytest.mark.parametrize("labels", [{"a.mp4": 1, "x/b.avi": 0}, {"videos/a.mov": 1, "b": 0}])
def test_labels_of_the_videos_that_frames_are_from_are_taken_for_the_frames(described, labels):
    _, metadata = described(["a", "x/b"], labels)
    assert metadata.labels == {"a": 1, "x/b": 0} and metadata.label_problems == []
    assert any("is used for" in note for note in metadata.notes)
