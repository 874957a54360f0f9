"""The document of a run: both directions, documents of version 0.1.0, documents of strangers."""

import dataclasses
import json
import random
import tarfile
from pathlib import Path

import pytest

from stylegan_v_ext.classes import RENAMED, SLOTS
from stylegan_v_ext.config import PRESETS, DataFacts, TrainOptions, build_config, from_stock, to_stock
from stylegan_v_ext.config.augmentations import AUGMENTATIONS, TRANSFORMS
from stylegan_v_ext.config.follow import follow_source
from stylegan_v_ext.config.run import BatchConfig, MotionConfig, RunConfig
from stylegan_v_ext.config.stock import SLOT_OF
from tests.config.runs import SOURCE, config_of


def drawn(chance):
    """A run with random options, perhaps one that follows a source."""
    values = {
        "batch": 8, "batch_gpu": 4, "gamma": 0.5, "cond": True, "mirror": True,
        "aug": chance.choice(["noaug", "fixed"]), "augpipe": chance.choice(list(AUGMENTATIONS)),
        "p": 0.3, "ada_kimg": 50, "resume": "s.pkl", "freezed": 2,
        "trust_pickle": True, "allow_nan": True, "cbase": 256, "cmax": 16, "glr": 0.001, "map_depth": 4, "max_dist": 8,
        "motion_distance": 64, "min_period": 20.0, "latent_dim": 32, "style_mixing": 0.5, "pl_weight": 2.0,
        "metrics": ["a", "b"], "desc": "x y", "max_hours": 2.0, "snap": 0, "fp32": True, "tf32": True, "compile": True,
        "workers": chance.choice([0, 2]), "on_bad_frame": "skip", "nan_policy": "ignore",
    }  # fmt: skip
    chosen = {name: value for name, value in values.items() if chance.random() < 0.4}
    config = config_of(
        chance.choice(["cpu", "cuda"]), chance.random() < 0.5, cfg=chance.choice(list(PRESETS)), **chosen
    )
    if config.start is not None and chance.random() < 0.5:
        config = follow_source(config, SOURCE, chance.choice([None, SOURCE]), set(chosen))
    return dataclasses.replace(config, launch=chance.choice([None, "name"]))


def document_of_version_010():
    archive = Path(__file__).parents[1] / "data" / "v0.1.0.tar.xz"
    with tarfile.open(archive) as file:
        return json.load(file.extractfile("run/training_options.json"))


def test_a_run_is_the_same_after_it_was_written_and_read():
    configs = [config_of(cfg=cfg) for cfg in PRESETS] + [drawn(random.Random(number)) for number in range(60)]
    for config in configs:
        document = json.loads(json.dumps(to_stock(config)))
        assert from_stock(document) == config
        assert json.dumps(to_stock(from_stock(document))) == json.dumps(document), "keys keep their order"


def test_a_run_of_version_010_is_read_and_written_as_it_was():
    document = document_of_version_010()
    config = from_stock(document)
    assert config.loss.class_name == RENAMED[document["loss_kwargs"]["class_name"]]
    document["loss_kwargs"]["class_name"] = config.loss.class_name
    assert json.dumps(to_stock(config)) == json.dumps(document)


def test_the_same_options_give_the_document_of_version_010():
    document = document_of_version_010()
    options = document["options"]
    facts = DataFacts(path="sky.zip", name="sky", resolution=16, num_videos=2, motion_distance=32)
    config = build_config(TrainOptions(**options), facts, device="cpu", fast_bfloat16=False)
    document["loss_kwargs"]["class_name"] = config.loss.class_name
    assert json.dumps(to_stock(config)) == json.dumps(document)


def test_entries_that_came_later_have_their_defaults():
    document = to_stock(config_of(nan_policy="ignore", metrics=["a"], snap_state=3, tf32=True))
    for name in ("metrics", "on_bad_frame", "nan_policy", "allow_tf32", "allow_bf16", "snap_state_minutes"):
        del document[name]
    config = from_stock(document)
    assert (config.schedule.metrics, config.schedule.snap_state_minutes) == ((), 10)
    assert (config.machine.on_bad_frame, config.machine.nan_policy) == ("stop", "stop")
    assert not config.machine.allow_tf32 and not config.machine.allow_bf16


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("batch_size", 10**9, "batch_size is 1000000000, which is not in 1 ... 65536"),
        ("batch_size", True, "batch_size is True, expected a whole number"),
        ("batch_gpu", 3, "is not a multiple of batch_gpu 3"),
        ("G_opt_kwargs.betas", [0.5], "G_opt_kwargs.betas has 1 elements, expected 2"),
        ("G_opt_kwargs.lr", float("nan"), "G_opt_kwargs.lr is nan, which is not in 0 ... 2147483648"),
        ("max_hours", 10**400, "max_hours is a number of 1329 bits, which is not in 0 ... inf"),
        ("kimg_per_tick", 0, "kimg_per_tick is 0, which is not in 1e-09 ... inf"),
        ("nan_policy", "stopp", "nan_policy is 'stopp', which is not one of stop, ignore"),
        ("G_kwargs.motion_kwargs.strategy", "x", "which is not one of conv, lstm"),
        ("G_kwargs.motion_kwargs", None, "G_kwargs.motion_kwargs is None, expected an object"),
        ("G_kwargs.num_frames", 4, "num_frames differs: training_set_kwargs 3, G_kwargs 4, D_kwargs 3"),
        ("training_set_kwargs.exclude", [5], "training_set_kwargs.exclude is 5, expected a text"),
        ("training_set_kwargs.path", "a\0b", "which is too long or holds a zero character"),
        ("augment_kwargs.zz", 1, "augment_kwargs.zz is an unknown entry"),
        ("options.\x1b[2J", 1, "options.?[2J is an unknown entry"),
        ("loss_kwargs.class_name", "os.system", "the loss is of the class os.system, which is not one of"),
        ("G_reg_interval", 4, "G_reg_interval 4 and pl_weight 0 do not fit"),
        ("ada_target", 0.5, None),
    ],
)
def test_entries_of_strangers_are_named(entry, value, message):
    document = to_stock(config_of())
    *path, last = entry.split(".", entry.count(".") if "\x1b" not in entry else 1)
    holder = document
    for name in path:
        holder = holder[name]
    holder[last] = value
    if message is None:
        assert isinstance(from_stock(document), RunConfig)
        return
    with pytest.raises(ValueError) as caught:
        from_stock(document)
    assert message in str(caught.value)


def test_missing_and_unknown_entries_are_named():
    document = to_stock(config_of())
    for name in document:
        shorter = {key: value for key, value in document.items() if key != name}
        if name in ("augment_kwargs", "num_videos", "options", "metrics", "on_bad_frame", "nan_policy", "allow_tf32",
                    "allow_bf16", "snap_state_minutes"):  # fmt: skip
            if name != "augment_kwargs":
                assert isinstance(from_stock(shorter), RunConfig)
            continue
        with pytest.raises(ValueError, match=f"{name} is missing"):
            from_stock(shorter)
    with pytest.raises(ValueError, match="ada_target is given without augment_kwargs"):
        from_stock({key: value for key, value in document.items() if key != "augment_kwargs"})
    for odd in (None, [], "x", 5):
        with pytest.raises(ValueError, match="the document is .*, expected an object"):
            from_stock(odd)


def test_what_the_document_names_exists():
    from stylegan_v_ext.engine.augment import AugmentPipe

    assert set(SLOT_OF.values()) <= set(SLOTS)
    document = to_stock(config_of())
    assert all(document[entry]["class_name"] in SLOTS[slot] for entry, slot in SLOT_OF.items())
    assert all(AugmentPipe(**strengths) for strengths in AUGMENTATIONS.values()) and len(set(TRANSFORMS)) == 15


def test_parts_of_a_run_are_checked_when_they_are_made():
    with pytest.raises(ValueError, match="batch.size=1048576 is too large; use 65536 or less"):
        BatchConfig(size=2**20, per_gpu=4)
    with pytest.raises(ValueError, match="motion.strategy=gru is not one of conv, lstm"):
        MotionConfig(strategy="gru")
    with pytest.raises(ValueError, match="motion.z_dim='x' cannot be used, expected a whole number"):
        MotionConfig(z_dim="x")
    with pytest.raises(ValueError, match="batch_size 64 is not a multiple of batch_gpu 5"):
        config = config_of(batch=64)
        dataclasses.replace(config, batch=dataclasses.replace(config.batch, per_gpu=5))
