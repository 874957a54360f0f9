"""What changes in a run: networks that follow a source, options of a run that goes on."""

import dataclasses

import pytest

from stylegan_v_ext.config import RunConfig, TrainOptions, go_on
from stylegan_v_ext.config.fields import setting_of
from stylegan_v_ext.config.follow import follow_source
from stylegan_v_ext.config.kinds import kind_of
from tests.config.runs import SOURCE, config_of


def test_networks_follow_a_source_except_for_what_the_user_chose():
    config = config_of(resume="s.pkl", cbase=256, map_depth=4)
    followed = follow_source(config, SOURCE, None, {"cbase", "map_depth"})
    G, D = followed.generator, followed.discriminator
    assert (G.z_dim, G.w_dim, G.channel_base, G.channel_max, D.channel_base) == (64, 48, 256, 32, 256)
    assert (G.mapping.num_layers, G.mapping.lr_multiplier, G.use_noise) == (4, 0.02, True)
    assert (G.motion.z_dim, G.motion.code_dim, G.motion.kernel_size, G.motion.distance) == (9, 10, 5, 16)
    assert config == config_of(resume="s.pkl", cbase=256, map_depth=4), "the run itself stays as it was"
    assert follow_source(config_of("cuda"), {**SOURCE, "conv_clamp": None}, None, set()).generator.conv_clamp == 256
    for name, value in (("z_dim", 10**9), ("z_dim", "x"), ("mapping_kwargs", {"command": "false"})):
        with pytest.raises(ValueError):
            follow_source(config, {**SOURCE, name: value}, None, set())


def test_options_that_may_change_change_their_part_of_the_run():
    config = config_of(metrics=["a"], workers=2)
    changes = dict(kimg=5, max_hours=1, snap_state=2, tick=3, snap=7, metrics=["b"], workers=0, device="cuda", gpus=2,
                   batch_gpu=16, on_bad_frame="skip", nan_policy="ignore", nobench=True, outdir="x", desc="y",
                   resume="z", data="moved.zip")  # fmt: skip
    changed = go_on(config, changes)
    assert changed.schedule == dataclasses.replace(
        config.schedule, total_kimg=5, max_hours=1, snap_state_minutes=2, kimg_per_tick=3, image_snapshot_ticks=7,
        network_snapshot_ticks=7, metrics=("b",),
    )  # fmt: skip
    assert changed.machine == dataclasses.replace(
        config.machine, device="cuda", on_bad_frame="skip", nan_policy="ignore", cudnn_benchmark=False
    )
    assert (changed.batch.per_gpu, changed.batch.num_gpus) == (16, 2) and changed.batch.size == config.batch.size
    assert (changed.loader.num_workers, changed.loader.prefetch_factor) == (0, None)
    same = ("generator", "discriminator", "loss", "data", "ada", "average", "start", "name", "options")
    assert all(getattr(changed, part) == getattr(config, part) for part in same)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrainOptions)])
def test_every_option_may_change_or_not_as_its_field_says(name):
    (field,) = [field for field in dataclasses.fields(TrainOptions) if field.name == name]
    others = {
        "cfg": "stylegan-v-cvpr", "aug": "fixed", "augpipe": "bg", "on_bad_frame": "skip", "nan_policy": "ignore",
        "metrics": ["a"], "num_frames": 2, "p": 0.5, "target": 0.5, "style_mixing": 0.5, "batch_gpu": 4,
    }  # fmt: skip
    plain = {bool: not field.default, str: "cpu", int: 7, float: 7.0}
    other = others.get(name, plain.get(kind_of(field.type).base))
    config, facts = config_of(), setting_of(field)
    if facts.may_change or facts.begins:
        assert isinstance(go_on(config, {name: other}), RunConfig)
    else:
        with pytest.raises(ValueError, match=f"the run was started with other options .--{name.replace('_', '-')} was"):
            go_on(config, {name: other})
        if name in config.options:
            assert go_on(config, {name: config.options[name]}) == config


def test_changes_that_cannot_be_are_named():
    config = config_of(seed=3, cfg="stylegan-v-cvpr")
    with pytest.raises(ValueError) as caught:
        go_on(config, {"kimg": 5, "seed": 4, "cfg": "stylegan-v"}, run="runs/00000-x")
    assert str(caught.value) == (
        "runs/00000-x was started with other options (--seed was 3, now 4; --cfg was stylegan-v-cvpr, now stylegan-v); "
        "leave them out to go on, or start a new run with --resume=SNAPSHOT"
    )
    with pytest.raises(ValueError, match="--kimg=-1 is too small"):
        go_on(config, {"kimg": -1})
    with pytest.raises(ValueError, match="kimgs is no option of a training"):
        go_on(config, {"kimgs": 5})
    with pytest.raises(ValueError, match="batch_size 32 is not a multiple of batch_gpu 5"):
        go_on(config, {"batch_gpu": 5})
