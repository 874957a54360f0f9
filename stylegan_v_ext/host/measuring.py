"""Measuring a network by the metrics of a stylegan3 or stylegan2-ada-pytorch checkout."""

import contextlib
from collections.abc import Iterator
from functools import partial

import torch

from stylegan_v_ext.distributed import Processes
from stylegan_v_ext.host.entering import entered
from stylegan_v_ext.host.importer import import_module
from stylegan_v_ext.host.metrics import valid_metrics
from stylegan_v_ext.listener import Advance
from stylegan_v_ext.metrics.catalogue import check_metrics
from stylegan_v_ext.metrics.comparison import Result
from stylegan_v_ext.metrics.measurement import Measurement, MeasureRequest
from stylegan_v_ext.metrics.trained import TrainedNetwork, open_trained_network


@contextlib.contextmanager
def opened_in_host(
    request: MeasureRequest, host: str, device: torch.device, *, processes: Processes
) -> Iterator[Measurement]:
    """Open what a request asks to measure by the metrics of a checkout, which the process is inside of for the block.

    Args:
        request: The request, which names a network.
        host: Folder of the checkout.
        device: Device on which networks compute.
        processes: The processes that share the work; all of them call this function.

    Yields:
        The measurement; nothing is measured yet. Its functions work inside the block alone.

    Raises:
        ValueError: If the folder is no checkout, if a name is unknown to it, or if the network cannot be measured.
        CheckpointError: If the network cannot be read.
    """
    with entered(host):
        yield _open(request, host, device, processes)


def _open(request: MeasureRequest, host: str, device: torch.device, processes: Processes) -> Measurement:
    """Open what a request asks to measure; the checkout has been entered."""
    assert request.network is not None
    valid = valid_metrics()
    for name in request.metrics:
        if name not in valid:
            raise ValueError(f"--metrics={name} is not one of {', '.join(valid)}")
    network = open_trained_network(
        request.network,
        device,
        data=request.data,
        mirror=request.mirror,
        trust_pickle=request.trust_pickle,
        allow_nan=request.allow_nan,
    )
    check_metrics(request.metrics, network.generator.num_frames)
    runs = {name: partial(_measure, name, host, network, device, processes) for name in request.metrics}
    return Measurement(
        runs=runs,
        folder=network.path.parent,
        snapshot=network.path.name,
        recorded_data=network.dataset_kwargs["path"] if request.data is None else None,
    )


def _measure(
    name: str, host: str, network: TrainedNetwork, device: torch.device, processes: Processes, progress: Advance
) -> Result:
    """Measure one metric; the checkout reports progress by itself."""
    metric_utils = import_module("metrics.metric_utils")
    result = import_module("metrics.metric_main").calc_metric(
        metric=name,
        G=network.generator,
        dataset_kwargs=network.dataset_kwargs,
        num_gpus=processes.count,
        rank=processes.rank,
        device=device,
        progress=metric_utils.ProgressMonitor(verbose=processes.leads),
    )
    return Result(dict(result["results"]), {"metric": name, "host": host, "num_processes": 1})
