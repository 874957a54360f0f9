"""Settings of the process are set for a block, and are afterwards what they were before."""

import numpy as np
import pytest
import torch

from stylegan_v_ext.execution import execution
from stylegan_v_ext.networks import precision

CPU = torch.device("cpu")


def settings():
    return (
        precision.working_dtype(CPU, use_fp16=False),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )


def drawn(device=CPU):
    return np.random.rand(), float(torch.rand([], device=device)), float(torch.rand([]))


@pytest.mark.parametrize("wanted", [False, True])
def test_settings_hold_inside_the_block_alone(wanted):
    before = settings()
    with execution(bfloat16_on_cpu=wanted, tf32=wanted, cudnn_benchmark=wanted):
        inside = (torch.bfloat16 if wanted else torch.float32, wanted, wanted, wanted)
        assert settings() == inside
        with execution(bfloat16_on_cpu=not wanted, tf32=not wanted):
            assert settings() != inside
        with execution():
            assert settings() == inside
    assert settings() == before


def test_an_error_restores_too():
    before = settings()
    with pytest.raises(KeyError), execution(seed=1, bfloat16_on_cpu=True, tf32=True):
        drawn()
        raise KeyError
    assert settings() == before


@pytest.mark.quick
def test_random_numbers_go_on_as_if_a_seeded_block_had_not_been_there(device):
    expected = []
    for inner in (0, 1, 3):
        np.random.seed(5)
        torch.manual_seed(5)
        numbers = [drawn(device)]
        for _ in range(inner):
            with execution(seed=7):
                drawn(device)
        expected.append([*numbers, drawn(device)])
    assert expected[0] == expected[1] == expected[2]


def test_a_seed_gives_the_same_numbers_every_time():
    with execution(seed=7):
        first = drawn()
    drawn()
    with execution(seed=7):
        second = drawn()
    with execution(seed=8):
        third = drawn()
    assert first == second != third


def test_a_block_without_a_seed_leaves_the_generators_alone():
    np.random.seed(5)
    torch.manual_seed(5)
    plain = [drawn(), drawn()]
    np.random.seed(5)
    torch.manual_seed(5)
    with execution(tf32=False):
        first = drawn()
    assert [first, drawn()] == plain
