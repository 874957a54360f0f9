"""Metrics of the small host by name."""

import json
import os

import numpy as np
import scipy.linalg
import torch

import dnnlib
from metrics import metric_utils

_known = {}


def register_metric(function):
    _known[function.__name__] = function
    return function


def list_valid_metrics():
    return list(_known)


def calc_metric(metric, **kwargs):
    return dnnlib.EasyDict(metric=metric, results=_known[metric](metric_utils.MetricOptions(**kwargs)), num_gpus=1)


def report_metric(result, run_dir, snapshot_pkl):
    line = json.dumps({**result, "snapshot_pkl": os.path.relpath(snapshot_pkl, run_dir)})
    with open(os.path.join(run_dir, f"metric-{result['metric']}.jsonl"), "a") as file:
        file.write(line + "\n")


@register_metric
def brightness(options):
    """Mean, spread and percentile of brightness in single frames, for data and generator."""
    options.dataset_kwargs.update(max_size=None, xflip=False)
    dataset = dnnlib.util.construct_class_by_name(**options.dataset_kwargs)
    real = np.stack([dataset[i][0] for i in range(0, len(dataset), 7)]).astype(np.float64)
    labels = torch.from_numpy(np.stack([dataset.get_label(i % len(dataset)) for i in range(8)])).pin_memory()
    fake = options.G(z=torch.randn([8, options.G.z_dim]), c=labels)
    assert real.shape[1:] == fake.shape[1:] == (3, dataset.resolution, dataset.resolution)
    root, _ = scipy.linalg.sqrtm(np.cov(real.reshape(len(real), 3, -1).mean(2).T), disp=False)
    return {
        "frames": len(dataset),
        "spread": float(np.trace(np.real(root))),
        "low": float(np.percentile(real, 5, interpolation="lower")),
    }
