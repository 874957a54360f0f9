"""Numbers and sizes on the command line: digits 0 to 9 alone, of a bounded length."""

import click
import pytest

from stylegan_v_ext.cli.types import FrameSize, GridSize, LayerSpan, ScheduleType, SeedList
from stylegan_v_ext.metrics.catalogue import parse_metric

TYPES = {
    SeedList(): ("{0}", "0-{0}", "1,{0}"), GridSize(): ("{0}x2", "2x{0}"), LayerSpan(): ("{0}", "8-{0}"),
    FrameSize(): ("{0}", "256x{0}"), ScheduleType(): ("{0}", "{0}:1", "0:{0}"),
}  # fmt: skip
OTHERS = ["٣", "²", "１", "३", "⑧", "8٣", "三", "", "1" * 5000 + "x"]


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type(type_).__name__)
def test_digits_of_other_scripts_and_endless_numbers_are_refused(type_):
    for form in TYPES[type_]:
        for number in OTHERS:
            if number or form in ("{0}", "{0}x2"):
                with pytest.raises(click.BadParameter):
                    type_.convert(form.format(number), None, None)
    if not isinstance(type_, ScheduleType):
        with pytest.raises(click.BadParameter):
            type_.convert(TYPES[type_][0].format("1" * 5000), None, None)


def test_numbers_of_ascii_digits_are_taken():
    assert SeedList().convert("0-2,4294967295", None, None) == [0, 1, 2, 4294967295]
    assert GridSize().convert("4x2", None, None) == (4, 2)
    assert LayerSpan().convert("16-64", None, None) == (16, 64)
    assert FrameSize().convert("512x288", None, None) == (512, 288)
    assert ScheduleType().convert("0:0.5,64:1e0", None, None) == [(0, 0.5), (64, 1)]


@pytest.mark.parametrize("number", ["٣", "²", "1" * 5000])
def test_names_of_metrics_have_ascii_digits(number):
    assert parse_metric("fvd256_16f") is not None
    for name in ("fvd{0}_16f", "fvd256_{0}f", "fid{0}k_full", "is{0}", "isv{0}_ucf", "pr{0}k3_full", "motion256_{0}f"):
        assert parse_metric(name.format(number)) is None


def test_seeds_are_bounded_before_they_are_listed():
    assert len(SeedList().convert("0-999999", None, None)) == 1_000_000
    for text in ("0-4294967295", "0-999999,7"):
        with pytest.raises(click.BadParameter, match="has more than 1,000,000 seeds; ask for fewer"):
            SeedList().convert(text, None, None)
