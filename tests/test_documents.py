"""JSON and arrays from strangers: one error for whatever they hold."""

import json
import zipfile

import numpy as np
import pytest

from stylegan_v_ext.documents import check_arrays, parse_json, read_json, read_json_lines
from stylegan_v_ext.generate.directions import load_directions
from stylegan_v_ext.generate.latents import load_latents

DEEP = "[" * 100_000


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, "", "{", b"\xff", "\x00"])
def test_what_is_no_document_is_a_value_error(text, tmp_path):
    with pytest.raises(ValueError):
        parse_json(text)
    (tmp_path / "a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError):
        read_json(tmp_path / "a.json")
    assert list(read_json_lines(tmp_path / "a.json")) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_documents_of_any_editor_are_read(encoding, tmp_path):
    (tmp_path / "a.json").write_bytes('{"é": 1}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"é": 1}


def test_lines_that_are_torn_are_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\n{DEEP}\n[]\n{{"a": 2}}\n{{"a"')
    assert [entry["a"] for entry in read_json_lines(tmp_path / "a.jsonl")] == [1, 2]


@pytest.mark.parametrize("settings", [DEEP, "[]", "5", json.dumps({"class_index": [1]}), "{}"])
def test_arrays_with_odd_settings_are_refused_in_one_line(settings, tmp_path):
    arrays = dict(w=np.zeros([1, 1, 4]), motion=np.zeros([3, 4]), times=np.zeros(1), first_anchor=0, motion_seed=0)
    np.savez(tmp_path / "a.npz", settings=settings, about=settings, vectors=np.zeros([1, 4]), **arrays)
    for load in (load_latents, load_directions):
        with pytest.raises(ValueError, match=r"a\.npz holds no"):
            load(tmp_path / "a.npz")


def test_arrays_that_unpack_to_very_much_are_refused_before(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("w.npy", "w") as member,
    ):
        for _ in range(1025):
            member.write(bytes(2**20))
    assert (tmp_path / "a.npz").stat().st_size < 2**21
    with pytest.raises(ValueError, match="more than 1 GiB"):
        check_arrays(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="holds no video latents"):
        load_latents(tmp_path / "a.npz")
