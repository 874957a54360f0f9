"""How far generated videos are from real ones: FVD, FID, statistics of motion and more."""

from typing import TYPE_CHECKING

from stylegan_v_ext.lazy import lazy_names

__all__ = ["STANDARD", "Metric", "Result", "compare", "measure", "measure_generator", "parse_metric"]

if TYPE_CHECKING:
    from stylegan_v_ext.metrics.catalogue import STANDARD, Metric, parse_metric
    from stylegan_v_ext.metrics.comparison import Result, compare
    from stylegan_v_ext.metrics.evaluate import measure_generator
    from stylegan_v_ext.metrics.measurement import measure
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "STANDARD": "stylegan_v_ext.metrics.catalogue",
            "Metric": "stylegan_v_ext.metrics.catalogue",
            "Result": "stylegan_v_ext.metrics.comparison",
            "compare": "stylegan_v_ext.metrics.comparison",
            "measure": "stylegan_v_ext.metrics.measurement",
            "measure_generator": "stylegan_v_ext.metrics.evaluate",
            "parse_metric": "stylegan_v_ext.metrics.catalogue",
        },
    )
