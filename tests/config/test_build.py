"""Defaults that depend on one another, and on the data."""

import dataclasses

import pytest

from stylegan_v_ext.config import PRESETS
from tests.config.runs import FACTS, config_of


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(batch=7, gpus=2), "--batch=7 is not divisible by --gpus=2; use 6 or 8"),
        (dict(batch=8, batch_gpu=3), "--batch=8 is not divisible by --gpus times --batch-gpu = 3; use 6 or 9"),
        (dict(batch=6, mbstd_group=4), "--batch-gpu=6 is not divisible by --mbstd-group=4; use --mbstd-group=2"),
        (dict(freezed=14), "--freezed=14: a discriminator of 64 px has 13 layers to freeze; use 0 to 13"),
        (dict(motion_distance=2000), "2000 frames, which is above 1024; use --min-period=1024 or less"),
    ],
)
def test_options_that_do_not_fit_the_data_are_named(values, message):
    with pytest.raises(ValueError) as caught:
        config_of(**values)
    assert message in str(caught.value)


def test_presets_choose_their_parts_and_data_give_hints():
    parts = {cfg: config_of(cfg=cfg) for cfg in PRESETS}
    for cfg, config in parts.items():
        preset, motion = PRESETS[cfg], config.generator.motion
        assert config.generator.num_frames == preset.num_frames and config.generator.use_noise == preset.use_noise
        assert config.discriminator.time_conditioning == preset.time_conditioning
        assert (motion is None) == preset.makes_images
        assert motion is None or (motion.strategy, motion.amplitude) == (preset.strategy, preset.amplitude)
    hinted = config_of(facts=dataclasses.replace(FACTS, motion_distance=48)).generator.motion
    assert (hinted.distance, hinted.min_period) == (48, 48.0)
    assert (
        config_of(fast_bfloat16=True).machine.allow_bf16
        and not config_of(fast_bfloat16=True, fp32=True).machine.allow_bf16
    )
    assert config_of("cuda").generator.num_fp16_res == 4 and config_of("cuda", fp32=True).generator.conv_clamp is None
