"""Remedies for generators that cannot do a task."""

import shlex
from pathlib import Path

import pytest

from stylegan_v_ext.checkpoints import advice
from stylegan_v_ext.checkpoints.network import NetworkData


@pytest.mark.parametrize("name", ["net.pkl", "my net.pkl", "a; rm -rf x.pkl", "$(id).pkl", "it's.pkl"])
def test_a_command_that_a_message_shows_names_one_file(name):
    image_model = NetworkData("VideoGenerator", {"num_frames": 1}, {})
    command = advice.why_no_videos(Path("a folder") / name, image_model).split("`")[1]
    assert shlex.split(command)[-1] == f"--resume=a folder/{name}"
