"""The directory of zip files, against Python's zipfile."""

import io
import pickle
import random
import struct
import zipfile
import zlib

import numpy as np
import pytest

from stylegan_v_ext.data.archive import ZipArchive, kept_index, zip_directory
from stylegan_v_ext.data.archive.kept_index import open_zip_index
from stylegan_v_ext.data.archive.zip_directory import read_zip_index
from stylegan_v_ext.data.archive.zip_index import BadZip
from stylegan_v_ext.data.names import natural_sorted
from stylegan_v_ext.data.videos import list_videos


def agrees_with_zipfile(path):
    index = read_zip_index(path)
    with zipfile.ZipFile(path) as file:
        members = [member for member in file.infolist() if not member.is_dir()]
    assert index.names == [member.filename for member in members]
    for column, attribute in (
        (index.offset, "header_offset"), (index.packed_size, "compress_size"), (index.size, "file_size"),
        (index.crc, "CRC"), (index.method, "compress_type"),
    ):  # fmt: skip
        assert column.tolist() == [getattr(member, attribute) for member in members]
    assert index.encrypted.tolist() == [bool(member.flag_bits & 1) for member in members]
    return index


def write(path, names, **kwargs):
    with zipfile.ZipFile(path, "w", **kwargs) as file:
        for number, name in enumerate(names):
            file.writestr(name, b"x" * (number % 50))
    return path


def test_members_are_those_that_zipfile_finds(tmp_path):
    rng = random.Random(0)
    names = [f"{'ab/' * rng.randint(0, 3)}{rng.randint(0, 10 ** rng.randint(1, 9))}.jpg" for _ in range(300)]
    names = list(dict.fromkeys(names))
    agrees_with_zipfile(write(tmp_path / "a.zip", names))
    agrees_with_zipfile(write(tmp_path / "b.zip", names, compression=zipfile.ZIP_DEFLATED))
    agrees_with_zipfile(write(tmp_path / "c.zip", ["folder/", *names, "other/"]))
    assert read_zip_index(write(tmp_path / "d.zip", [])).names == []


def test_names_in_any_script_are_read(tmp_path):
    names = ["plain/1.jpg", "überall/1.jpg", "雲/2.jpg"]
    assert agrees_with_zipfile(write(tmp_path / "a.zip", names)).names == names


def raw_zip(path, members, flags=0, made_by=0):
    """A zip of stored members {raw name: content}, or pairs, with extra fields if a value is (content, extra)."""
    body, directory = b"", b""
    pairs = list(members.items() if isinstance(members, dict) else members)
    for name, value in pairs:
        content, extra = value if isinstance(value, tuple) else (value, b"")
        common = struct.pack("<5H3I", 20, flags, 0, 0, 0, zlib.crc32(content), len(content), len(content))
        directory += b"PK\x01\x02" + struct.pack("<BB", 20, made_by) + common
        directory += struct.pack("<5H2I", len(name), len(extra), 0, 0, 0, 0, len(body)) + name + extra
        body += b"PK\x03\x04" + common + struct.pack("<2H", len(name), 0) + name + content
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(pairs), len(pairs), len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path


def second_name(text, raw):
    content = b"\x01" + struct.pack("<I", zlib.crc32(raw)) + text.encode()
    other = struct.pack("<2H", 0x5455, 5) + b"\x03up\0\0"
    return other + struct.pack("<2H", 0x7075, len(content)) + content


def test_names_without_the_flag_are_in_utf8_if_all_of_them_can_be(tmp_path):
    names = ["plain/1.jpg", "überall/1.jpg", "雲/2.jpg", "🎥/3.jpg"]
    assert read_zip_index(raw_zip(tmp_path / "a.zip", {name.encode(): b"x" for name in names})).names == names
    for encoding in ("cp437", "cp932", "gbk", "cp866"):
        word = {"cp437": "über", "cp932": "雲海", "gbk": "猫联通", "cp866": "привет"}[encoding]
        raw = {f"{word}{number}/1.jpg".encode(encoding): b"x" for number in range(3)}
        found = list(read_zip_index(raw_zip(tmp_path / "b.zip", raw | {b"plain/1.jpg": b"x"})).names)
        assert found == [name.decode("cp437") for name in raw] + ["plain/1.jpg"]


def test_a_second_name_in_unicode_counts(tmp_path):
    for encoding, name in (("cp932", "雲/1.jpg"), ("gbk", "猫狗/1.jpg"), ("ascii", "雲/1.jpg")):
        raw = name.encode(encoding, "replace")
        data = {raw: (b"x", second_name(name, raw)), b"group/2.jpg": b"y"}
        assert read_zip_index(raw_zip(tmp_path / "a.zip", data)).names == [name, "group/2.jpg"]
        stale = {raw: (b"x", second_name(name, b"renamed since"))}
        assert read_zip_index(raw_zip(tmp_path / "b.zip", stale)).names == [raw.decode("cp437")]
    with pytest.raises(BadZip, match="leads out of it"):
        read_zip_index(raw_zip(tmp_path / "c.zip", {b"1.jpg": (b"x", second_name("../1.jpg", b"1.jpg"))}))


def test_backslashes_part_folders_as_windows_writes_them(tmp_path):
    names = [b"v0\\", b"v0\\1.jpg", b"v0/2.jpg", b"v1\\deep\\1.jpg", "über\\雲.jpg".encode()]
    index = read_zip_index(raw_zip(tmp_path / "a.zip", dict.fromkeys(names, b"")))
    assert index.names == ["v0/1.jpg", "v0/2.jpg", "v1/deep/1.jpg", "über/雲.jpg"]
    half = "ソ/1.jpg".encode("cp932")
    assert half[1:2] == b"\\"
    with pytest.raises(BadZip, match="unknown encoding; zip it again with names in UTF-8"):
        read_zip_index(raw_zip(tmp_path / "b.zip", {half: b"x"}))
    ok = {half: (b"x", second_name("ソ/1.jpg", half))}
    assert read_zip_index(raw_zip(tmp_path / "c.zip", ok)).names == ["ソ/1.jpg"]


def test_dots_and_doubled_slashes_in_names_go(tmp_path):
    names = ["./v0/1.jpg", "v0//2.jpg", "v0/./3.jpg", ".\\v0\\4.jpg", "./", ".", "v0/.", "data/v1/1.jpg"]
    index = read_zip_index(raw_zip(tmp_path / "a.zip", {name.encode(): b"" for name in names}))
    assert index.names == ["v0/1.jpg", "v0/2.jpg", "v0/3.jpg", "v0/4.jpg", "data/v1/1.jpg"]
    with pytest.raises(BadZip, match="without a name"):
        read_zip_index(raw_zip(tmp_path / "b.zip", {b"": b"x", b"a.jpg": b""}))


@pytest.mark.parametrize(
    "name", ["//server/1.jpg", "\\\\server\\1.jpg", "c:\\1.jpg", "v/..\\..\\1.jpg", ".\\..\\1.jpg"]
)
def test_names_of_windows_may_not_lead_out_either(tmp_path, name):
    with pytest.raises(BadZip, match="leads out of it"):
        read_zip_index(raw_zip(tmp_path / "a.zip", {name.encode(): b"x"}))


def test_folders_without_a_slash_are_no_files(tmp_path):
    data = bytearray(raw_zip(tmp_path / "a.zip", {b"v0": b"", b"v0/1.jpg": b"x"}).read_bytes())
    data[data.find(b"PK\x01\x02") + 38] = 0x10
    (tmp_path / "a.zip").write_bytes(data)
    assert read_zip_index(tmp_path / "a.zip").names == ["v0/1.jpg"]


def test_the_last_member_of_a_name_counts(tmp_path, monkeypatch):
    members = [(b"v/1.jpg", b"old"), (b"v/2.jpg", b"two"), (b"v/1.jpg", b"newer"), (b"w/1.jpg", b"w"),
               (b"v\\1.jpg", b"the newest"), (b"./v/2.jpg", b"second")]  # fmt: skip
    path = raw_zip(tmp_path / "a.zip", members)
    for at_once in (2, 1 << 16):
        monkeypatch.setattr(zip_directory, "_AT_ONCE", at_once)
        index = read_zip_index(path)
        assert index.names == ["w/1.jpg", "v/1.jpg", "v/2.jpg"]
        assert index.size.tolist() == [1, 10, 6]
    archive = ZipArchive(path)
    assert [archive.read(number) for number in range(3)] == [b"w", b"the newest", b"second"]


def test_a_part_of_a_split_archive_is_named(tmp_path):
    data = bytearray(raw_zip(tmp_path / "a.zip", {b"v/1.jpg": b"x"}).read_bytes())
    struct.pack_into("<2H", data, len(data) - 18, 2, 2)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(BadZip, match="one part of a split archive"):
        read_zip_index(tmp_path / "a.zip")


def test_large_archives_and_members_have_64_bit_fields(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(3):
            with file.open(f"{number}.jpg", "w", force_zip64=True) as member:
                member.write(b"data")
    agrees_with_zipfile(path)
    agrees_with_zipfile(write(tmp_path / "many.zip", [f"v/{number}.jpg" for number in range(66_000)]))


def test_64_bit_values_of_a_member_are_taken_from_its_extra_field(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 3)  # as if everything were large
    path = write(tmp_path / "a.zip", [f"{number}.jpg" for number in range(20)])
    monkeypatch.undo()
    index = agrees_with_zipfile(path)
    assert index.size.tolist() == list(range(20))


def test_something_in_front_or_a_comment_behind_is_fine(tmp_path):
    path = write(tmp_path / "a.zip", ["v/1.jpg", "v/2.jpg"])
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"made by hand" * 100
    agrees_with_zipfile(path)
    (tmp_path / "b.zip").write_bytes(b"#!/bin/sh\nexit\n" + path.read_bytes())
    agrees_with_zipfile(tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"PK\5\6 is how a zip ends" + bytes(20)
    assert list(read_zip_index(path).names) == ["v/1.jpg", "v/2.jpg"]


@pytest.mark.parametrize("content, reason", [(b"", "it is empty"), (b"<html>", "it is no zip"), (b"PK\3\4", "cut off")])
def test_a_file_without_an_end_is_named_for_what_it_is(tmp_path, content, reason):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(BadZip, match=reason):
        read_zip_index(tmp_path / "a.zip")


def test_damaged_archives_are_refused_and_nothing_else_is_raised(tmp_path):
    data = write(tmp_path / "a.zip", [f"videos/{number:03d}.jpg" for number in range(30)]).read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken) - 2200, len(broken))] = rng.randrange(256)
        broken = broken[: rng.choice([len(broken), rng.randrange(len(broken))])]
        (tmp_path / "b.zip").write_bytes(broken)
        try:
            read_zip_index(tmp_path / "b.zip")
        except BadZip:
            refused += 1
    assert refused > 1000


def test_what_is_no_zip_is_refused(tmp_path):
    far_away = b"x" * 60 + struct.pack("<4sIQI", b"PK\x06\x07", 0, 2**64 - 1, 1) + b"PK\x05\x06" + bytes(18)
    cut_short = b"PK\x05\x06" + bytes(10)
    for content in (b"", b"PK", b"x" * 100_000, b"PK\x05\x06" + b"\xff" * 18, cut_short, far_away):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(BadZip):
            read_zip_index(tmp_path / "a.zip")


class Names:
    """An archive of which only the names count."""

    def __init__(self, names):
        self.names = names


def test_videos_and_frames_are_in_natural_order_however_they_are_named():
    rng = random.Random(0)
    for _ in range(300):
        stem, suffix = rng.choice(["", "f", "a1b", "frame-"]), rng.choice([".jpg", ".PNG", "x.jpeg"])
        width = rng.choice([1, 2, 6])
        numbers = rng.sample(range(120), rng.randint(1, 12))
        bases = [f"{stem}{number:0{width}d}{rng.choice(['', 'b']) if width == 1 else ''}{suffix}" for number in numbers]
        if rng.random() < 0.5:
            bases.sort()
        bases = list(dict.fromkeys(bases))
        names = [f"v{rng.randint(0, 11)}/{base}" for base in bases] + ["v1/.hidden.jpg", ".trash/1.jpg", "v2/notes.txt"]
        videos = list_videos(Names(names))
        shown = [name for name in names if name[-4:] != ".txt" and "." not in (name[0], name.split("/")[1][0])]
        folders = natural_sorted({name.split("/")[0] for name in shown})
        assert [video.folder for video in videos] == folders
        for video in videos:
            found = [names[i] for i in video.frames]
            assert found == natural_sorted(name for name in shown if name.startswith(video.folder + "/"))
            assert video.frames.dtype == np.int64


@pytest.mark.parametrize("name", ["../1.jpg", "v/../../1.jpg", "/etc/1.jpg", "C:/1.jpg", "v\\..\\1.jpg", "a/.."])
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path, name):
    with pytest.raises(BadZip, match="leads out of it"):
        read_zip_index(write(tmp_path / "a.zip", ["v/1.jpg", name]))


def test_dots_and_colons_that_lead_nowhere_are_fine(tmp_path):
    agrees_with_zipfile(write(tmp_path / "a.zip", ["v..1/1..2.jpg", "v/12:30.jpg", "...jpg"]))


def test_links_in_archives_are_refused(tmp_path):
    link = zipfile.ZipInfo("v/2.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("v/1.jpg", b"x")
        file.writestr(link, b"/etc/passwd")
    with pytest.raises(BadZip, match="'v/2.jpg' is a link"):
        read_zip_index(tmp_path / "a.zip")


def test_large_directories_are_kept_in_a_file_that_all_processes_map(tmp_path, monkeypatch):
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_index, "KEPT_FROM", 10)
    path = write(tmp_path / "a.zip", [f"v/\u00fc{number:03d}.jpg" for number in range(50)])
    expected = read_zip_index(path)
    for _ in range(2):
        index = open_zip_index(path)
        assert index.mapped is not None and index.mapped.is_file()
        assert len(pickle.dumps(index)) < 300, "a place, not the columns"
        for found in (index, pickle.loads(pickle.dumps(index)), pickle.loads(pickle.dumps(expected))):
            assert found.names == expected.names and found.names[7:9] == list(expected.names)[7:9]
            for name in ("offset", "packed_size", "size", "crc", "method", "encrypted"):
                assert np.array_equal(getattr(found, name), getattr(expected, name))
    index.mapped.write_bytes(index.mapped.read_bytes()[:-5])
    assert open_zip_index(path).names == expected.names, "damaged: read anew"
    write(path, [f"w/{number:03d}.jpg" for number in range(60)])
    assert open_zip_index(path).names[0] == "w/000.jpg"
    assert len(list((tmp_path / "cache" / "zip-index").iterdir())) == 1, "that of the earlier state is gone"
    assert open_zip_index(write(tmp_path / "small.zip", ["v/1.jpg"])).mapped is None


def test_without_room_for_it_the_directory_stays_in_memory(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(kept_index, "KEPT_FROM", 10)
    index = open_zip_index(write(tmp_path / "a.zip", [f"v/{number:03d}.jpg" for number in range(50)]))
    assert index.mapped is None and len(index.names) == 50


def test_a_directory_is_read_from_its_file_alone(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("v/1.jpg", b"PK\x05\x06" + bytes(18))  # looks like an end record
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    agrees_with_zipfile(tmp_path / "a.zip")
