"""The cache folder of a user without a home folder."""

from pathlib import Path

import pytest

import dnnlib
from stylegan_v_ext.data.archive import kept_index, open_archive
from stylegan_v_ext.host.checkout import recognise
from stylegan_v_ext.metrics import detectors
from tests.data.helpers import video_files, write_zip


@pytest.fixture
def homeless(monkeypatch):
    """A process without HOME whose user the system does not know."""

    def nowhere(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("DNNLIB_CACHE_DIR", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("dnnlib.cache._cache_dir", None)
    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.setattr(Path, "expanduser", nowhere)


def test_no_home_is_a_sentence_with_a_remedy(homeless, monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="no home folder for the cache; set DNNLIB_CACHE_DIR"):
        dnnlib.make_cache_dir_path("x")
    monkeypatch.setenv("DNNLIB_CACHE_DIR", str(tmp_path))
    assert dnnlib.make_cache_dir_path("x") == str(tmp_path / "x")


def test_archives_are_read_without_a_home(homeless, monkeypatch, tmp_path):
    monkeypatch.setattr(kept_index, "KEPT_FROM", 1)
    archive = open_archive(write_zip(tmp_path / "a.zip", video_files(2, 3)))
    assert len(archive.names) == 6 and archive.read(0)


def test_folders_of_the_user_are_named_as_they_are(homeless, monkeypatch):
    monkeypatch.setenv(detectors.ENVIRONMENT, "~nobody-of-this-name/x")
    assert detectors.detectors_folder() == Path("~nobody-of-this-name/x")
    with pytest.raises(ValueError, match="is no folder"):
        recognise("~nobody-of-this-name/x")
