"""Helpers around tensors, samplers and networks."""

import itertools

import numpy as np
import pytest
import torch

from torch_utils import custom_ops, misc


def test_constants_are_made_once():
    first = misc.constant([1.0, 2.0], shape=[3, 2])
    assert misc.constant([1.0, 2.0], shape=[3, 2]) is first
    assert first.tolist() == [[1, 2]] * 3
    assert misc.constant(np.float32(2), dtype=torch.int64).dtype == torch.int64


def test_assert_shape_names_both_shapes():
    misc.assert_shape(torch.zeros(2, 3), [2, None])
    for wrong in ([2], [2, 4], [2, 3, 1]):
        with pytest.raises(AssertionError, match=r"\[2, 3\]"):
            misc.assert_shape(torch.zeros(2, 3), wrong)


def take(sampler, count):
    return list(itertools.islice(iter(sampler), count))


def test_sampler_goes_through_the_data_evenly_and_differently_each_time():
    order = take(misc.InfiniteSampler(range(20), seed=1), 2000)
    counts = np.bincount(order, minlength=20)
    assert counts.min() > 70 and counts.max() < 130
    assert sorted(order[:20]) != order[:20] and order[:20] != order[20:40]
    assert order == take(misc.InfiniteSampler(range(20), seed=1), 2000)
    assert order != take(misc.InfiniteSampler(range(20), seed=2), 2000)


def test_sampler_deals_out_to_replicas_what_one_process_would_see():
    whole = take(misc.InfiniteSampler(range(7), seed=3), 60)
    parts = [take(misc.InfiniteSampler(range(7), rank=r, num_replicas=3, seed=3), 20) for r in range(3)]
    assert [index for group in zip(*parts, strict=True) for index in group] == whole


def test_sampler_without_shuffling_counts():
    assert take(misc.InfiniteSampler(range(3), shuffle=False), 7) == [0, 1, 2, 0, 1, 2, 0]
    with pytest.raises(ValueError, match="empty"):
        misc.InfiniteSampler([])
    with pytest.raises(ValueError, match="out of range"):
        misc.InfiniteSampler([1], rank=2, num_replicas=2)


def test_networks_are_copied_by_name():
    source, target = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    source.weight.data.fill_(5)
    source.running_mean.fill_(7)
    misc.copy_params_and_buffers(source, target, require_all=True)
    assert target.weight.tolist() == [5] * 3 and target.running_mean.tolist() == [7] * 3
    with pytest.raises(ValueError, match="weight has shape"):
        misc.copy_params_and_buffers(torch.nn.BatchNorm1d(4), target)
    with pytest.raises(ValueError, match="missing"):
        misc.copy_params_and_buffers(torch.nn.LayerNorm(3), target, require_all=True)
    assert [name for name, _ in misc.named_params_and_buffers(target)][0] == "weight"
    assert len(misc.params_and_buffers(target)) == 5


def test_module_summary_counts_parameters_once(capsys):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    out = misc.print_module_summary(model, [torch.zeros(5, 4)])
    text = capsys.readouterr().out
    assert out.shape == (5, 2)
    assert "[5, 3]" in text and "Total" in text and "23" in text


def test_profiled_function_keeps_its_name():
    @misc.profiled_function
    def double(x):
        return 2 * x

    assert double.__name__ == "double" and double(2) == 4


def test_gradients_are_exchanged_unless_a_block_switches_it_off(tmp_path):
    model = torch.nn.Linear(2, 2)
    with misc.ddp_sync(model, sync=False):
        assert model(torch.zeros(1, 2)).shape == (1, 2)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        shared = torch.nn.parallel.DistributedDataParallel(model)
        for sync in (True, False):
            with misc.ddp_sync(shared, sync=sync):
                assert shared.require_backward_grad_sync == sync
        assert shared.require_backward_grad_sync
    finally:
        torch.distributed.destroy_process_group()


def test_a_tensor_that_differs_from_rank_0_is_named(monkeypatch):
    model, on_rank0 = torch.nn.Linear(2, 2), {"weight": torch.ones(2, 2), "bias": torch.zeros(2)}
    model.load_state_dict(on_rank0)
    sent = iter(())

    def broadcast(tensor, src):
        assert src == 0
        tensor.copy_(next(sent))

    def check(**kwargs):
        nonlocal sent
        names = [name for name in on_rank0 if "ignore_regex" not in kwargs or name != "bias"]
        sent = iter([on_rank0[name] for name in names])
        misc.check_ddp_consistency(model, **kwargs)
        assert next(sent, None) is None, "every tensor is compared"

    monkeypatch.setattr(torch.distributed, "broadcast", broadcast)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 3)
    check()
    on_rank0["bias"] = torch.tensor([0.0, 1e-7])
    with pytest.raises(RuntimeError, match="Linear.bias differs between rank 0 and rank 3"):
        check()
    check(ignore_regex=r".*\.bias")


def test_verbosity_is_checked():
    custom_ops.set_verbosity("full")
    assert custom_ops.verbosity == "full"
    custom_ops.set_verbosity("brief")
    with pytest.raises(ValueError, match="not one of"):
        custom_ops.set_verbosity("loud")
