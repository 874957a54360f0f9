"""Data sets at addresses, copied once."""

from pathlib import Path

import fsspec
import pytest

from stylegan_v_ext.data.archive import open_archive
from stylegan_v_ext.data.dataset import SparseVideoDataset
from stylegan_v_ext.data.errors import DataError
from stylegan_v_ext.data.remote import absolute, is_remote, local_copy


@pytest.fixture
def store(tmp_path, monkeypatch, sky_zip):
    """A store in memory with the sky videos, as one zip and as shards."""
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    data = Path(sky_zip).read_bytes()
    for name in ("/sky.zip", "/shards/sky-00000.zip", "/shards/sky-00001.zip"):
        system.pipe(name, data)
    yield system
    system.rm("/", recursive=True)


def test_a_zip_is_copied_once_and_again_when_it_changes(store, sky_zip, capsys):
    dataset = SparseVideoDataset("memory://sky.zip")
    assert len(dataset) == len(SparseVideoDataset(sky_zip))
    assert "Copying /sky.zip" in capsys.readouterr().out
    open_archive("memory://sky.zip")
    assert capsys.readouterr().out == ""
    store.pipe("/sky.zip", Path(sky_zip).read_bytes() + b" ")
    assert local_copy("memory://sky.zip").read_bytes().endswith(b" ")


def test_shards_are_copied_into_one_folder(store, sky_zip):
    assert len(SparseVideoDataset("memory://shards/sky.zip")) == 2 * len(SparseVideoDataset(sky_zip))
    store.rm("/shards/sky-00001.zip")
    assert len(SparseVideoDataset("memory://shards/sky.zip")) == len(SparseVideoDataset(sky_zip))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://nothing.zip", "does not exist, nor do shards"),
        ("memory://sky.tar", "is no address of a .zip"),
        ("file:///etc/a.zip", "is no address of a .zip"),
        ("nosuchdriver://a/b.zip", "cannot be copied"),
    ],
)
def test_what_cannot_be_copied_is_named(store, address, message):
    with pytest.raises(DataError, match=message):
        open_archive(address)


def test_a_copy_that_breaks_off_leaves_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setattr(type(store), "size", lambda self, path: 10**9)
    with pytest.raises(DataError, match="ended after"):
        open_archive("memory://sky.zip")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_addresses_stay_and_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("s3://a/b.zip") == "s3://a/b.zip" and absolute("b.zip") == str(tmp_path / "b.zip")
    assert is_remote("https://a/b.zip") and not is_remote("C:/b.zip") and not is_remote(tmp_path)
