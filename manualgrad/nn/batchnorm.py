"""Batch normalisation, of rows and sequences and of images."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class BatchNorm1d(torch.nn.BatchNorm1d):
    """Channels of mean 0 and variance 1 over the batch; see ``manualgrad.functions.batch_norm``."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C) or (N, C, L) to the same shape."""
        return _batch_norm(self, input)


class BatchNorm2d(torch.nn.BatchNorm2d):
    """Channels of mean 0 and variance 1 over the batch; see ``manualgrad.functions.batch_norm``."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return _batch_norm(self, input)


def _batch_norm(module: BatchNorm1d | BatchNorm2d, input: Tensor) -> Tensor:
    """Normalise by the batch's statistics in training, and keep account of them, or by the running ones."""
    module._check_input_dim(input)
    momentum = module.momentum
    if module.training and module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
        if momentum is None:  # the running statistics are the means over all batches
            momentum = 1 / float(module.num_batches_tracked)
    is_tracked = not module.training or module.track_running_stats
    return F.batch_norm(
        input,
        module.running_mean if is_tracked else None,
        module.running_var if is_tracked else None,
        module.weight,
        module.bias,
        module.training or module.running_mean is None,
        momentum or 0.0,
        module.eps,
    )
