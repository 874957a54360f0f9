"""Whatever a program passes to a public function: the value is used, or one `ValueError` names argument and value."""

import dataclasses
import math
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from stylegan_v_ext import TrainOptions, edit, load, measure, project, resume, swap_layers, train
from stylegan_v_ext.arguments import check_fields, number, path_of, whole
from stylegan_v_ext.config.fields import Setting
from stylegan_v_ext.config.kinds import kind_of
from stylegan_v_ext.editing import EditRequest, ProjectRequest, SwapRequest
from stylegan_v_ext.engine import training
from stylegan_v_ext.generate import VideoName, VideoRequest
from stylegan_v_ext.metrics.measurement import MeasureRequest
from tests.public_names import ROOT

SHIPPED = str(ROOT / "tests/data/carphone64.safetensors")
NAN, INFINITE = math.nan, math.inf
WRONG_BY_TYPE = {
    int: ["3", 1.5, NAN, True, [1], b"1", object()],
    float: ["3", NAN, INFINITE, -INFINITE, True, [1.0], 10**400],
    str: [3, 1.5, True, b"x", ["x"]],
    bool: ["true", 2, -1, 0.5, None],
}
"""Values that no setting of a type takes."""
REQUESTS = {
    ProjectRequest: {},
    EditRequest: {},
    SwapRequest: {"splits": ["32"]},
    VideoRequest: {"seeds": [0]},
    MeasureRequest: {"metrics": ["rfvd16_16f"], "fake": "videos"},
    TrainOptions: {"data": "clips.zip"},
}
"""Each request with the values that it cannot do without."""


@pytest.fixture(scope="module")
def sampler():
    return load(SHIPPED, device=torch.device("cpu"))


def wrong_fields():
    """(request, field, value): every field of every request with values of other types."""
    for request in REQUESTS:
        for field in dataclasses.fields(request):
            kind = kind_of(field.type)
            element = kind.element if kind.element in WRONG_BY_TYPE else None
            for value in WRONG_BY_TYPE.get(kind.base, []):
                if (value is None and kind.optional) or value == field.metadata.get("setting", Setting("")).high:
                    continue
                yield request, field.name, value
            for value in ["text", 3, *([bad] for bad in WRONG_BY_TYPE.get(element, []))] if kind.element else []:
                yield request, field.name, value


def test_every_field_of_every_request_refuses_other_types():
    found = list(wrong_fields())
    assert len(found) > 500
    for request, name, value in found:
        option = "--" + name.replace("_", "-") if request is TrainOptions else name
        try:
            request(**{**REQUESTS[request], name: value})
        except ValueError as error:
            assert str(error).startswith(f"{option}=") and len(str(error)) < 1000, error
        else:
            pytest.fail(f"{request.__name__}({name}={value!r}) is accepted")


def test_numbers_of_numpy_are_numbers():
    assert type(whole("n", np.int64(3))) is int and type(number("x", np.float32(0.5))) is float
    options = TrainOptions(data="clips.zip", batch=np.int64(8), kimg=np.float64(1.5))
    assert type(options.batch) is int and type(options.kimg) is float
    request = SwapRequest(splits=["8"], widths=[np.float32(1)], seeds=np.arange(2).tolist())
    assert [type(width) for width in request.widths] == [float]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("seed", value) for value in [-1, 2**32, 1.5, "3", None, True, NAN, [1]]),
        *(("motion_seed", value) for value in [-1, 2**64, 1.5, "3", True, NAN]),
        *(("frames", value) for value in [0, -1, 1.5, "3", None, NAN, INFINITE, True]),
        *(("start", value) for value in ["0", None, NAN, INFINITE, 1e30]),
        *(("speed", value) for value in ["1", None, NAN, -INFINITE, 1e30]),
        *(("truncation", value) for value in ["1", None, NAN, INFINITE]),
        *(("fps", value) for value in ["25", None, NAN]),
        *(("class_index", value) for value in [-1, "0", 1.5, True]),
        *(("latents", value) for value in ["a.npz", {}, 3]),
    ],
)
def test_a_video_refuses_a_wrong_argument_when_it_is_asked_for(sampler, name, value):
    with pytest.raises(ValueError, match=rf"^{name}="):
        sampler.video(**{name: value})


def test_times_that_end_too_far_away_are_refused(sampler):
    assert len(sampler.video(start=2**53 - 10, frames=10)) == 10
    with pytest.raises(ValueError, match="is too large"):
        sampler.video(start=2**53 - 10, frames=20)
    for wrong in (dict(start=1e30), dict(speed=1e30), dict(start=-(2**53), speed=-1, frames=9)):
        with pytest.raises(ValueError, match=r"^(start|speed).*=.* is too (large|small); use "):
            VideoRequest(seeds=[0], **wrong)


def test_seeds_that_name_no_video_are_refused():
    for wrong in (dict(content_seed=None), dict(content_seed=-1), dict(content_seed=0, motion_seed=0.5)):
        with pytest.raises(ValueError, match="seed="):
            VideoName(**wrong)


@pytest.mark.parametrize("value", [0, 101, -5, "90", None, 50.5, NAN, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.webp", "a.jpg", "a.gif", "a.npy"])
def test_a_wrong_quality_writes_nothing(sampler, tmp_path, name, value):
    with pytest.raises(ValueError, match=r"^quality="):
        sampler.video(frames=1).write(tmp_path / name, quality=value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [None, 3, b"a.mp4", ["a.mp4"], "", "a\0.mp4", NAN])
def test_what_is_no_path_is_refused(sampler, value):
    calls = {
        "path": [lambda: path_of("path", value), lambda: load(value), lambda: sampler.video(frames=1).write(value)],
        "run_dir": [lambda: resume(value)],
        "output": [lambda: project(SHIPPED, "a.mp4", output=value)],
        "clip": [lambda: project(SHIPPED, value)],
    }
    for name, functions in calls.items():
        for function in functions:
            with pytest.raises(ValueError, match=rf"^{name}="):
                function()


def test_the_home_folder_is_spelled_out(sampler, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sampler.video(frames=1).write("~/a.npy") == tmp_path / "a.npy" and (tmp_path / "a.npy").exists()
    assert TrainOptions(data="~/clips.zip", outdir=Path("~/runs")).data == str(tmp_path / "clips.zip")
    with pytest.raises(ValueError, match=str(tmp_path)):
        load("~/nothing.pkl")


@pytest.mark.parametrize("device", ["gpu", "", None, 3, "CPU", "cpu:7", "cuda:99", "auto:1", "cpu:x"])
def test_a_device_that_is_not_here_is_named_before_the_file_is_read(device):
    with pytest.raises(ValueError, match=f"device '{device}' is"):
        load("nothing.pkl", device=device)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(metrics=None), "metrics=None cannot be used, expected a list"),
        (dict(metrics=[3]), "metrics=3 cannot be used, expected a text"),
        (dict(repeat=0), "repeat=0 is too small; use 1 or more"),
        (dict(resolution=4), "resolution=4 is too small; use 8 or more"),
        (dict(mirror="x"), "mirror='x' cannot be used, expected true or false"),
        (dict(fake=3), "fake=3 cannot be used, expected a path"),
    ],
)
def test_measure_names_the_wrong_argument(wrong, message):
    with pytest.raises(ValueError, match=message):
        measure(**{"metrics": "rfvd16_16f", "fake": "nothing", "real": "nothing", **wrong})


def test_edits_name_the_wrong_argument():
    for call in (
        lambda: project(SHIPPED, "a.mp4", request={"steps": 3}),
        lambda: edit(SHIPPED, "a smile", seeds=[0], request=ProjectRequest()),
        lambda: swap_layers(SHIPPED, [SHIPPED], request=["32"]),
    ):
        with pytest.raises(ValueError, match=r"^request=.* cannot be used, expected \w+Request\("):
            call()
    with pytest.raises(ValueError, match="is one path; give a list of paths"):
        swap_layers(SHIPPED, SHIPPED, request=SwapRequest(splits=["32"]))


def test_train_names_what_it_cannot_begin(tmp_path):
    with pytest.raises(ValueError, match=r"options='clips.zip' cannot be used, expected TrainOptions"):
        train("clips.zip")
    (tmp_path / "training_options.json").write_text("{}")
    for run in ("latest", tmp_path):
        with pytest.raises(ValueError, match=r"goes on with a run: call resume\(run_dir\)"):
            train(TrainOptions(data="clips.zip", resume=run))
    for wrong in (dict(data=""), dict(outdir=""), dict(desc="a/b"), dict(desc="a\0b"), dict(gamma=10**400)):
        with pytest.raises(ValueError, match=rf"^--{next(iter(wrong))}="):
            TrainOptions(**{"data": "clips.zip", **wrong})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(gpus=2), "gpus=2: resume.. works in one process"),
        (dict(gpus="2"), "gpus='2' cannot be used, expected a whole number"),
        (dict(outdir="x"), "outdir='x' has an effect only when a run begins; leave it out"),
        (dict(host="x"), "host='x' has an effect only when a run begins"),
        (dict(resume="x"), "resume='x' has an effect only when a run begins"),
    ],
)
def test_resume_refuses_options_that_would_change_nothing(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        resume(tmp_path, **change)


def test_resume_names_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="nothing is no folder; name the folder of a run"):
        resume(tmp_path / "nothing")


def test_a_second_training_in_one_process_is_refused(tmp_path):
    """Random states and the log belong to the process: two trainings at once would spoil each other's numbers."""
    begun, end = threading.Event(), threading.Event()

    def work():
        with training._only_training():
            begun.set()
            end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    try:
        with pytest.raises(ValueError, match="this process is training already"):
            training.train(None, "nowhere")
        with pytest.raises(ValueError, match="this process is training already"):
            training.resume(None, tmp_path)
    finally:
        end.set()
        thread.join()
    with training._only_training():
        pass


def test_frozen_objects_keep_what_the_annotations_say():
    @dataclasses.dataclass(frozen=True)
    class Sizes:
        width: int
        sides: tuple[float, ...] = ()

        def __post_init__(self):
            check_fields(self, {"width": (1, 8)}, {})

    assert Sizes(np.int32(3), [1, 2.5]) == Sizes(3, (1, 2.5))
    with pytest.raises(ValueError, match="width=9 is too large; use 8 or less"):
        Sizes(9)
