"""The device of a command: chosen by its name, and the process is as before when the command has ended."""

import click
import pytest
import torch

from stylegan_v_ext import memory
from stylegan_v_ext.cli.common import computing, device_to_use
from stylegan_v_ext.cli.entry import Command
from stylegan_v_ext.execution import execution


@pytest.fixture(autouse=True)
def tf32_allowed():
    """A process in which somebody has allowed TF32."""
    with execution(tf32=True):
        yield


def settings():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, memory._blocks


def test_a_block_computes_in_32_bits_and_restores_the_process():
    before = settings()
    with computing("cpu") as device:
        assert device == torch.device("cpu") and settings() == (False, False, 1)
    assert settings() == before == (True, True, 0)
    with pytest.raises(RuntimeError), computing("cpu"):
        raise RuntimeError
    assert settings() == before
    with pytest.raises(ValueError, match="device 'tpu' is not available here; use --device=auto"), computing("tpu"):
        pass
    assert settings() == before


def test_a_command_computes_on_its_device_until_it_ends():
    seen = []

    @click.command(cls=Command)
    def work():
        seen.append((device_to_use("cpu"), settings()))

    work.main([], standalone_mode=False)
    assert seen == [(torch.device("cpu"), (False, False, 1))] and settings() == (True, True, 0)
