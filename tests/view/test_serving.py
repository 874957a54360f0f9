"""What is opened for a page, and the settings of the process while it is served."""

import os

import pytest

from stylegan_v_ext.view import open_studio
from stylegan_v_ext.view.serving import _gradio_settings


def test_settings_of_gradio_end_with_the_page(monkeypatch):
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    with pytest.raises(KeyboardInterrupt), _gradio_settings("files"):
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False" and os.environ["GRADIO_TEMP_DIR"] == "files"
        raise KeyboardInterrupt
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "True" and "GRADIO_TEMP_DIR" not in os.environ


def test_a_studio_is_opened_from_a_checkpoint(trained_path):
    studio = open_studio(trained_path, device="cpu")
    assert studio.title == trained_path.name and studio.frame(studio.first_controls(), 3).shape == (64, 64, 3)
    with pytest.raises(ValueError, match="is no StyleGAN2 image generator"):
        open_studio(trained_path, image=trained_path, device="cpu")
