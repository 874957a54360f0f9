"""Statistics between updates."""

import math

import pytest
import torch

from torch_utils import training_stats


@pytest.fixture(autouse=True)
def _empty():
    with training_stats.recording(training_stats.Statistics()):
        yield


def test_mean_and_deviation_since_the_last_update():
    collector = training_stats.Collector(regex="Loss/.*")
    training_stats.report("Loss/a", torch.tensor([1.0, 3.0]))
    training_stats.report("Loss/a", 5)
    training_stats.report("Other", 1)
    collector.update()
    assert collector.names() == ["Loss/a"]
    assert collector.num("Loss/a") == 3 and collector["Loss/a"] == 3
    assert collector.std("Loss/a") == pytest.approx(math.sqrt(8 / 3))
    training_stats.report("Loss/a", [7.0])
    collector.update()
    assert collector.as_dict()["Loss/a"] == {"num": 1, "mean": 7, "std": 0}


def test_collectors_do_not_disturb_each_other():
    first, second = training_stats.Collector(), training_stats.Collector()
    training_stats.report("x", 2)
    first.update()
    training_stats.report("x", 4)
    second.update()
    assert first["x"] == 2 and second["x"] == 3


def test_previous_values_are_kept_or_not():
    keeps, drops = training_stats.Collector(), training_stats.Collector(keep_previous=False)
    training_stats.report("x", 2)
    for collector in (keeps, drops):
        collector.update()
        collector.update()
    assert keeps["x"] == 2 and math.isnan(drops["x"]) and math.isnan(drops.std("x"))


def test_report_returns_its_value_and_takes_empty_lists():
    assert training_stats.report("x", []) == []
    value = torch.ones(3)
    assert training_stats.report0("x", value) is value


def test_what_was_reported_before_a_collector_is_not_counted():
    training_stats.report("x", 100)
    collector = training_stats.Collector()
    training_stats.report("x", 1)
    collector.update()
    assert collector["x"] == 1


def test_runs_that_record_apart_do_not_mix_their_numbers():
    outside, inside = training_stats.Collector(), training_stats.Statistics()
    with training_stats.recording(inside):
        collector = training_stats.Collector()
        training_stats.report("x", 4)
    training_stats.report("x", 2)
    training_stats.report("y", 2)
    for reader in (collector, outside):
        reader.update()
    assert collector.names() == ["x"] and collector["x"] == 4
    assert outside["x"] == 2 and outside.num("x") == 1
    assert inside.state_dict()["x"].tolist() == [1, 4, 16]


def test_statistics_go_on_from_those_of_another_process():
    training_stats.report("x", 2)
    first, second = training_stats.Statistics(), training_stats.Statistics()
    with training_stats.recording(first):
        training_stats.report("x", [1.0, 3.0])
    with training_stats.recording(second):
        training_stats.report("x", 100)
        second.load_state_dict(first.state_dict())
        training_stats.report("x", 4)
    assert second.state_dict()["x"].tolist() == [3, 8, 26]
