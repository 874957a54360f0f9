"""Sizes of the networks of a run that starts from other networks."""

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from stylegan_v_ext.config.run import (
    DiscriminatorConfig,
    GeneratorConfig,
    MappingConfig,
    MotionConfig,
    RunConfig,
)
from stylegan_v_ext.text import printable

Arguments = Mapping[str, Any]
_Network = TypeVar("_Network", GeneratorConfig, DiscriminatorConfig)


def follow_source(
    config: RunConfig, generator: Arguments, discriminator: Arguments | None, given: Collection[str]
) -> RunConfig:
    """Make the networks of a run so that the weights of a source fit them.

    Args:
        config: The run.
        generator: Keyword arguments of the source's generator.
        discriminator: Keyword arguments of the source's discriminator; None if the source has only a generator.
        given: Names of the options that the user chose, such as "cbase"; they stay.

    Returns:
        The run with the sizes of the source.

    Raises:
        ValueError: If a size of the source is out of bounds.
    """
    G = _with_capacity(config.generator, generator, given)
    if "latent_dim" not in given:
        G = replace(G, z_dim=generator["z_dim"], w_dim=generator["w_dim"])
    clamp = G.conv_clamp
    if generator["conv_clamp"] is not None or not G.num_fp16_res:  # 16 bits need a bound
        clamp = generator["conv_clamp"]
    G = replace(
        G,
        use_noise=generator["use_noise"],
        conv_clamp=clamp,
        motion=_motion(G.motion, generator.get("motion_kwargs"), given),
        mapping=_mapping(G.mapping, generator["mapping_kwargs"], given),
    )
    D = _with_capacity(config.discriminator, discriminator or generator, given)
    return replace(config, generator=G, discriminator=D)


def _with_capacity(network: _Network, source: Arguments, given: Collection[str]) -> _Network:
    names = {"cbase": "channel_base", "cmax": "channel_max"}
    return replace(network, **{name: source[name] for option, name in names.items() if option not in given})


def _motion(motion: MotionConfig | None, source: Arguments | None, given: Collection[str]) -> MotionConfig | None:
    if motion is None or not source or "motion_z_dim" in given:
        return motion
    names = ("z_dim", "code_dim", "kernel_size")
    return replace(motion, **{name: source[name] for name in names if name in source})


def _mapping(mapping: MappingConfig, source: Arguments | None, given: Collection[str]) -> MappingConfig:
    known = {field.name for field in fields(MappingConfig)}
    unknown = next((name for name in source or {} if name not in known), None)
    if unknown is not None:
        raise ValueError(f"the mapping network to start from has an unknown argument {printable(unknown, 100)}")
    followed = MappingConfig(**(source or {}))
    return replace(followed, num_layers=mapping.num_layers) if "map_depth" in given else followed
