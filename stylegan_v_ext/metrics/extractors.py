"""From frames or clips to the features that a metric compares, usually by a network from a file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from stylegan_v_ext.distributed import ALONE, Processes
from stylegan_v_ext.metrics import detectors
from stylegan_v_ext.metrics.catalogue import RANDOM_CLIPS, Metric
from stylegan_v_ext.metrics.motion import motion_statistics
from stylegan_v_ext.metrics.random_features import RandomClipFeatures


@dataclass(frozen=True)
class Extractor:
    """What a metric looks through.

    Attributes:
        call: Function from a batch, uint8 `[N, 3, T, H, W]` or `[N, 3, H, W]`, to features `[N, D]`.
        file: Name of its file or kind; None for statistics that need no network.
        sha256: SHA-256 of its weights, in hexadecimal; None for statistics that need no network.
    """

    call: Callable[[torch.Tensor], torch.Tensor]
    file: str | None
    sha256: str | None


def open_extractor(
    metric: Metric, device: torch.device, *, own: Path | None = None, processes: Processes = ALONE
) -> Extractor:
    """Open what a metric looks through.

    Args:
        metric: The metric.
        device: Where the network computes.
        own: The user's TorchScript file in place of the usual network; None takes the usual network.
        processes: All processes that call this; the first process downloads the file.

    Returns:
        The extractor.

    Raises:
        ValueError: If the network cannot be had, or if `own` is given to a metric without a network.
    """
    wanted = metric.family.detector
    if wanted is None:
        if own is not None:
            raise ValueError(f"{metric.name} looks through no detector; leave --detector={own} out")
        return Extractor(motion_statistics, None, None)
    if own is None and wanted == RANDOM_CLIPS:
        network = RandomClipFeatures().to(device)
        weights = b"".join(buffer.cpu().numpy().tobytes() for buffer in network.buffers())
        return Extractor(network, RANDOM_CLIPS, hashlib.sha256(weights).hexdigest())
    path = own or processes.from_leader(lambda: detectors.find_detector(wanted))
    arguments = dict(detectors.DETECTORS[wanted].arguments) if wanted != RANDOM_CLIPS else {}
    if metric.kind == "is":
        arguments = {"no_output_bias": True}
    module = detectors.load_torchscript(path, device)
    return Extractor(detectors.caller(module, arguments), path.name, detectors.sha256_of(path))
