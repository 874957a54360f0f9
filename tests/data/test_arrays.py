"""Clips in .npy and .npz files: layouts that are clear are read to the right values, all others are refused."""

import io
import zipfile

import numpy as np
import pytest

from stylegan_v_ext.data.archive import ZipArchive
from stylegan_v_ext.data.convert import ConvertOptions, convert_dataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.geometry import Geometry
from stylegan_v_ext.data.source_reader import OpenArrays, SourceReader, read_clip
from stylegan_v_ext.data.sources import find_sources
from stylegan_v_ext.metrics.sources import Pick, VideoFiles
from tests.data.helpers import write_zip

SIDE = 16
SMALL = Geometry((SIDE, SIDE))


def pixels(count=5, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [count, SIDE, SIDE, 3], dtype=np.uint8)


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


LAYOUTS = {
    "T H W 3": lambda x: x,
    "T 3 H W": lambda x: x.transpose(0, 3, 1, 2).copy(),
    "big-endian float32 in 0 to 1": lambda x: (x / 255).astype(">f4"),
    "float64 in -1 to 1": lambda x: x / 127.5 - 1,
    "float16 in 0 to 1": lambda x: (x / 255).astype(np.float16),
    "T 3 H W, float32 in -1 to 1": lambda x: (x / 127.5 - 1).astype(np.float32).transpose(0, 3, 1, 2).copy(),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_clear_layouts_give_the_pixels(tmp_path, layout):
    clip = pixels()
    np.save(tmp_path / "a.npy", LAYOUTS[layout](clip))
    read = read_clip(str(tmp_path / "a.npy"), SMALL)
    slack = 1 if "float16" in layout else 0
    assert np.abs(read.frames.astype(int) - clip).max() <= slack and read.fps is None and read.notes == []
    write_zip(tmp_path / "a.zip", {"sub/a.npy": (tmp_path / "a.npy").read_bytes()}, zipfile.ZIP_DEFLATED)
    assert np.array_equal(read_clip(str(tmp_path / "a.zip"), SMALL).frames, read.frames)


def test_grey_is_repeated_and_frames_are_cut_to_a_square(tmp_path):
    wide = np.zeros([4, SIDE, 3 * SIDE, 1], np.uint8)
    wide[:, :, SIDE : 2 * SIDE] = 10 * np.arange(4).reshape(4, 1, 1, 1)
    np.save(tmp_path / "a.npy", wide)
    frames = read_clip(str(tmp_path / "a.npy"), SMALL).frames
    assert frames.shape == (4, SIDE, SIDE, 3)
    assert (frames[:, 4:12, 4:12] == 10 * np.arange(4).reshape(4, 1, 1, 1)).all()


@pytest.mark.parametrize("first", [False, True])
def test_an_array_of_several_videos_is_several_videos(tmp_path, first):
    videos = np.stack([pixels(seed=seed) for seed in range(3)])
    np.save(tmp_path / "a.npy", videos.transpose(0, 1, 4, 2, 3).copy() if first else videos)
    found = find_sources(str(tmp_path))
    assert [item.name for item in found.sources] == [f"a.npy/{number:06d}" for number in range(3)]
    for video, item in zip(videos, found.sources, strict=True):
        assert np.array_equal(np.stack(list(SourceReader(item, SMALL))), video)


def test_an_npz_gives_its_videos_and_names_the_rest(tmp_path):
    a, b = pixels(), np.stack([pixels(seed=1), pixels(seed=2)])
    np.savez_compressed(tmp_path / "a.npz", a=a, b=b, labels=np.arange(3))
    found = find_sources(str(tmp_path / "a.npz"))
    assert [item.name for item in found.sources] == ["a.npz/a", "a.npz/b/000000", "a.npz/b/000001"]
    assert len(found.notes) == 1 and "a.npz: its array labels is left out, since it holds int64 [3]" in found.notes[0]
    read = [np.stack(list(SourceReader(item, SMALL))) for item in found.sources]
    assert all(np.array_equal(x, y) for x, y in zip(read, [a, *b], strict=True))


REFUSED = {
    "channels first and last": (np.zeros([5, 3, 16, 3], np.uint8), "may mean several things"),
    "channels before time": (np.zeros([3, 4, 16, 16], np.uint8), "may mean several things"),
    "time between": (np.zeros([3, 16, 16, 16], np.uint8), "may mean several things or no video"),
    "Moving MNIST": (np.zeros([20, 30, 16, 16], np.uint8), "may mean several things or no video"),
    "no channels": (np.zeros([5, 16, 16], np.uint8), r"its shape is \[5, 16, 16\]; expected uint8 \[T, H, W, C\]"),
    "no frames": (np.zeros([0, 16, 16, 3], np.uint8), "it holds no frames"),
    "integers": (np.zeros([5, 16, 16, 3], np.int64), "it holds int64"),
    "16 bits": (np.zeros([5, 16, 16, 3], np.uint16), "it holds uint16"),
    "floats to 255": (np.full([5, 16, 16, 3], 200.0), "numbers from 200 to 200; expected uint8"),
    "NaN": (np.full([5, 16, 16, 3], np.nan), "numbers from nan to nan"),
    "Fortran's order": (np.asfortranarray(pixels()), "Fortran's order; save numpy.ascontiguousarray"),
    "objects": (np.array([{"a": 1}, None], dtype=object), "Python objects"),
    "records": (np.zeros(5, [("a", np.uint8)]), "Python objects or records"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_unclear_is_refused_with_the_remedy(tmp_path, name):
    array, message = REFUSED[name]
    (tmp_path / "a.npy").write_bytes(npy(array))
    with pytest.raises(DataError, match=rf"a.npy cannot be used: .*{message}"):
        find_sources(str(tmp_path / "a.npy"))
    np.save(tmp_path / "b.npy", pixels())
    found = find_sources(str(tmp_path))
    assert [item.name for item in found.sources] == ["b.npy"] and "a.npy: it is left out, since" in found.notes[0]


def test_pickles_in_a_file_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "a.npy").write_bytes(npy(np.array([Bomb()], dtype=object), allow_pickle=True))
    np.savez(tmp_path / "b.npz", a=np.array([Bomb()], dtype=object))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(DataError, match="holds Python objects"):
            find_sources(str(tmp_path / name))
    assert not (tmp_path / "ran").exists()


def test_damaged_files_give_the_frames_before_the_damage(tmp_path):
    data = npy(pixels())
    rng = np.random.default_rng(0)
    (tmp_path / "a.npy").write_bytes(data[:-SIDE])
    (item,) = find_sources(str(tmp_path / "a.npy")).sources
    reader, seen = SourceReader(item, SMALL), []
    with pytest.raises(DataError, match="^a.npy: it is cut off"):
        for frame in reader:
            seen.append(frame)
    assert np.array_equal(seen, pixels()[:4])
    for number in range(200):
        changed = bytearray(data[: rng.integers(len(data))] if number % 2 else data)
        for at in rng.integers(0, 128, size=3):
            if len(changed) > at:
                changed[at] = rng.integers(256)
        (tmp_path / "a.npy").write_bytes(changed)
        try:
            for item in find_sources(str(tmp_path / "a.npy")).sources[:3]:
                list(SourceReader(item, SMALL, most=20))
        except DataError as error:
            assert "a.npy" in str(error)


@pytest.mark.parametrize("shape", [(10**12, 16, 16, 3), (1, 9000, 9000, 3), (10**6, 10**3, 16, 16, 3)])
def test_an_array_that_claims_a_flood_is_refused_before_it_is_read(tmp_path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": shape, "fortran_order": False, "descr": "|u1"})
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with pytest.raises(DataError, match="the most is 10000000 frames"):
        find_sources(str(tmp_path / "a.npy"))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("several", [False, True])
def test_a_file_of_many_videos_is_copied_and_unpacked_once(tmp_path, monkeypatch, packed, several):
    clips = np.stack([pixels(4, seed) for seed in range(6)])
    save = np.savez_compressed if packed else np.savez
    save(tmp_path / "a.npz", **({f"c{number}": clip for number, clip in enumerate(clips)} if several else {"c": clips}))
    path = write_zip(tmp_path / "a.zip", {"a.npz": (tmp_path / "a.npz").read_bytes()})
    found = find_sources(path)
    copies, opened, read = [], [], []
    unpacked, open_member, take = ZipArchive._unpacked, zipfile.ZipFile.open, zipfile.ZipExtFile._read1
    monkeypatch.setattr(ZipArchive, "_unpacked", lambda *a: copies.append(a) or unpacked(*a))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda self, *a, **k: opened.append(a) or open_member(self, *a, **k))

    def counted(file, size):
        data = take(file, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "_read1", counted)
    with OpenArrays() as arrays:
        for clip, item in zip(clips, found.sources, strict=True):
            assert np.array_equal(np.stack(list(SourceReader(item, SMALL, arrays=arrays))), clip)
        assert list(SourceReader(found.sources[1], SMALL, most=1, arrays=arrays))[0].tolist() == clips[1, 0].tolist()
    assert len(copies) == 1 and len(opened) == (7 if several else 1)
    again = 1 if several else 2  # videos that are passed on the way back to the second one
    assert sum(read) < clips.nbytes + again * clips[0].nbytes + 10_000


def test_all_that_reads_many_videos_of_a_file_copies_it_once(tmp_path, monkeypatch):
    clips = np.stack([pixels(3, seed) for seed in range(6)])
    path = write_zip(tmp_path / "a.zip", {"a.npy": npy(clips)})
    copies, unpacked = [], ZipArchive._unpacked
    monkeypatch.setattr(ZipArchive, "_unpacked", lambda *a: copies.append(a) or unpacked(*a))
    report = convert_dataset(path, str(tmp_path / "out.zip"), ConvertOptions(SMALL))
    assert (report.num_videos, len(copies)) == (6, 2), "to look at it, to read it"
    videos = VideoFiles(path, SIDE)
    for number, clip in enumerate(clips):
        assert np.array_equal(videos.read([Pick(number, np.arange(3))])[0], clip)
    videos.close()
    assert len(copies) == 5, "and to count the frames"
