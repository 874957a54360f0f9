"""Configuration: what a user asks for (`TrainOptions`), and what a run works with (`RunConfig`).

`build_config` makes a `RunConfig` of `TrainOptions`. Every value is a typed field with a sentence, a unit and bounds.
The options of the command line, their help, the checks, and the table of options in the documentation come from the
fields.
"""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = [
    "PRESETS",
    "DataFacts",
    "RunConfig",
    "TrainOptions",
    "build_config",
    "from_stock",
    "go_on",
    "to_stock",
]

if TYPE_CHECKING:
    from stylegan_v_ext.config.build import DataFacts, build_config
    from stylegan_v_ext.config.options import TrainOptions
    from stylegan_v_ext.config.presets import PRESETS
    from stylegan_v_ext.config.resume import go_on
    from stylegan_v_ext.config.run import RunConfig
    from stylegan_v_ext.config.stock import from_stock, to_stock
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "PRESETS": "stylegan_v_ext.config.presets",
            "DataFacts": "stylegan_v_ext.config.build",
            "RunConfig": "stylegan_v_ext.config.run",
            "TrainOptions": "stylegan_v_ext.config.options",
            "build_config": "stylegan_v_ext.config.build",
            "from_stock": "stylegan_v_ext.config.stock",
            "go_on": "stylegan_v_ext.config.resume",
            "to_stock": "stylegan_v_ext.config.stock",
        },
    )
