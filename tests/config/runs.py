"""Runs that the tests of the configuration make."""

from stylegan_v_ext.config import DataFacts, TrainOptions, build_config

FACTS = DataFacts(path="/data/sky.zip", name="sky", resolution=64, num_videos=6)
SOURCE = {
    "use_noise": True, "conv_clamp": 256, "z_dim": 64, "w_dim": 48, "channel_base": 1024, "channel_max": 32,
    "mapping_kwargs": {"num_layers": 8, "lr_multiplier": 0.02, "w_avg_beta": 0.99},
    "motion_kwargs": {"z_dim": 9, "code_dim": 10, "kernel_size": 5, "distance": 3},
}  # fmt: skip


def config_of(device="cpu", fast_bfloat16=False, facts=FACTS, **options):
    return build_config(TrainOptions(data="sky.zip", **options), facts, device=device, fast_bfloat16=fast_bfloat16)
