"""What metrics of the small host share."""

import dnnlib


class Progress:
    """Does nothing."""

    num_items = None

    def sub(self, tag=None):
        return self

    def update(self, items):
        pass


class MetricOptions:
    """Arguments of a metric."""

    def __init__(self, G, dataset_kwargs, num_gpus=1, rank=0, device=None, progress=None):
        self.G, self.num_gpus, self.rank, self.device = G, num_gpus, rank, device
        self.dataset_kwargs = dnnlib.EasyDict(dataset_kwargs)
        self.progress = progress or Progress()
