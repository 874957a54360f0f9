"""`measure` from Python: a network or videos, and the requests that do not go together."""

import contextlib
import subprocess
import sys

import pytest

from stylegan_v_ext.checkpoints import save_snapshot
from stylegan_v_ext.listener import Listener
from stylegan_v_ext.metrics import measure, measure_generator, parse_metric
from stylegan_v_ext.metrics.measurement import MeasureRequest


@pytest.fixture
def snapshot(tmp_path, make_generator, sky_zip):
    G = make_generator().eval()
    training = {"class_name": "stylegan_v_ext.data.dataset.SparseVideoDataset", "path": sky_zip, "xflip": True}
    path = tmp_path / "network-snapshot-000001.pkl"
    save_snapshot(path, dict(G=G, D=None, G_ema=G, augment_pipe=None, training_set_kwargs=training))
    return path


def test_a_network_is_measured_against_the_data_that_it_was_trained_on(snapshot, make_generator, sky_zip):
    import torch

    figures = measure(["rfvd6_16f", "motion6_16f"], network=snapshot, device="cpu")
    assert list(figures) == ["rfvd6_16f", "motion6_16f"] and "motion6_16f_speed" in figures["motion6_16f"]
    dataset = {"path": sky_zip, "xflip": True}
    expected = measure_generator(parse_metric("rfvd6_16f"), make_generator(), dataset, torch.device("cpu"))
    assert figures["rfvd6_16f"] == expected.values
    assert measure("rfvd6_16f", network=snapshot, mirror=False, device="cpu") != {"rfvd6_16f": expected.values}
    assert list(snapshot.parent.iterdir()) == [snapshot]


def test_videos_are_as_far_from_themselves_as_their_clips_are(sky_zip):
    figures = measure("rfvd6_40f", real=sky_zip, fake=sky_zip, device="cpu")["rfvd6_40f"]
    assert figures == {"rfvd6_40f": pytest.approx(0, abs=1e-6)}  # a clip of 40 frames is the whole video
    assert measure("rfvd6_40f", real=sky_zip, fake=sky_zip, mirror=True, device="cpu")["rfvd6_40f"] != figures


def test_a_listener_hears_notes_and_how_far_a_measurement_is(sky_zip):
    class Ear(Listener):
        def __init__(self):
            self.notes, self.labels, self.calls = [], [], []

        def note(self, message):
            self.notes.append(message)

        @contextlib.contextmanager
        def progress(self, label, total):
            self.labels.append(label)
            yield lambda steps, total=None: self.calls.append((steps, total))

    ear = Ear()
    measure("rfvd6_16f", real=sky_zip, fake=sky_zip, repeat=3, device="cpu", cache=False, listener=ear)
    assert ear.labels == ["rfvd6_16f"] and any("covariance is singular" in note for note in ear.notes)
    assert sum(steps for steps, _ in ear.calls) == ear.calls[-1][1] == 3 * 12, "three rounds of 6 clips of both sides"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give --network"),
        ({"fake": "a", "data": "b"}, "--data belongs to --network"),
        ({"network": "a", "real": "b"}, "--real belongs to --fake"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MeasureRequest(metrics=["fvd"], **options)


def test_what_is_not_there_is_named(sky_zip, tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        measure("rfvd", fake=tmp_path / "nothing", real=sky_zip)
    with pytest.raises(ValueError, match="is not one of fvd2048_16f"):
        measure("fvd2048", fake=sky_zip, real=sky_zip)
    with pytest.raises(ValueError, match="names none"):
        measure([], fake=sky_zip)


def test_measuring_needs_neither_the_command_line_nor_torch_at_import():
    code = (
        "import sys, stylegan_v_ext.metrics as m, stylegan_v_ext.checkpoints as c; assert 'torch' not in sys.modules; "
        "m.measure, c.load; assert 'torch' in sys.modules; "
        "assert not any(name == 'click' or name.startswith('stylegan_v_ext.cli') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
