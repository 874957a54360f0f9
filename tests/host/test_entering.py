"""Entering a checkout and leaving it: the process is as it was before, and has room for another checkout."""

import os
import sys

import pytest
import torch

import dnnlib
from stylegan_v_ext import host
from stylegan_v_ext.checkpoints import load
from stylegan_v_ext.config import TrainOptions
from stylegan_v_ext.distributed import ALONE
from stylegan_v_ext.host.measuring import opened_in_host
from stylegan_v_ext.metrics.measurement import MeasureRequest
from stylegan_v_ext.runs import train
from tests.host.conftest import MARKS, make_host

CHECKOUT = ("training", "metrics", "legacy", "mine")


@pytest.fixture(autouse=True)
def _restored():
    """No test leaves anything behind."""
    before = process()
    yield
    assert process() == before


def process():
    """What an entry changes, and the random numbers and switches that stock loops change."""
    modules = {name for name in sys.modules if name.partition(".")[0] in CHECKOUT}
    backends = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return (
        list(sys.path), list(sys.meta_path), environment, dnnlib.util.open_url, modules, backends,
        torch.get_rng_state().tolist(),
    )  # fmt: skip


def test_an_entry_ends_with_its_block(small_host):
    (small_host / "mine.py").write_text(
        "import os, sys\nsys.path.insert(0, '/nowhere')\nos.environ['OF_THE_HOST'] = '1'\ndel os.environ['PATH']\n"
    )
    with host.entered(small_host) as checkout:
        import mine
        from metrics import metric_main

        assert "fvd2048_16f" in metric_main.list_valid_metrics()
        assert mine.__file__ == str(checkout.path / "mine.py") and "OF_THE_HOST" in os.environ
        with host.entered(small_host):
            assert host.enter(small_host) == checkout
        assert sys.modules["mine"] is mine, "an inner block does not leave"


def test_an_entry_that_fails_leaves_nothing_behind(small_host):
    (small_host / "metrics" / "metric_utils.py").write_text("import not_to_be_found\n")
    with pytest.raises(ValueError, match="needs the package not_to_be_found"):
        host.enter(small_host)
    with pytest.raises(RuntimeError, match="inside"), host.entered(make_host(small_host / "other", "stylegan3")):
        raise RuntimeError("inside")


def test_two_checkouts_train_one_after_the_other_in_one_process(sky_zip, tmp_path):
    for number, codebase in enumerate((*MARKS, next(iter(MARKS)))):
        folder = make_host(tmp_path / str(number), codebase)
        options = TrainOptions(
            data=sky_zip, outdir=str(tmp_path / "runs"), host=str(folder), batch=4, cbase=256, cmax=16, latent_dim=32,
            motion_z_dim=24, workers=0, kimg=0.008, gamma=1, p=0.2,
        )  # fmt: skip
        last = train(options)
        assert last.parent.name.startswith(f"0000{number}-stylegan-v-sky")
        assert f"Engine: {codebase} in {folder}" in (last.parent / "log.txt").read_text()
        assert all(tensor.isfinite().all() for tensor in load(last).network("G").state.values())


def test_packages_that_are_installed_inside_of_a_checkout_are_not_patched(small_host):
    installed = small_host / ".venv" / "site-packages" / "mine"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    (installed / "inner.py").write_text("options = dict(betas=[0,0.99])\n")
    with host.entered(small_host):
        sys.path.append(str(installed.parent))  # as a virtual environment does
        import mine.inner

        assert mine.inner.options["betas"][0] == 0 and isinstance(mine.inner.options["betas"][0], int)
        for name in ("mine", "mine.inner"):  # they are no modules of the checkout, so they stay
            del sys.modules[name]


def test_measuring_in_a_checkout_ends_with_its_block(small_host):
    request = MeasureRequest(network="network.pkl", metrics=["darkness"])
    measuring = opened_in_host(request, str(small_host), torch.device("cpu"), processes=ALONE)
    with pytest.raises(ValueError, match="--metrics=darkness is not one of"), measuring:
        pass
