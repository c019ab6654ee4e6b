"""Normalisations."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class GroupNorm(torch.nn.GroupNorm):
    """Groups of channels of mean 0 and variance 1; see ``manualgrad.functions.group_norm``."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, num_channels, ...) to the same shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class LayerNorm(torch.nn.LayerNorm):
    """Rows of mean 0 and variance 1, scaled and shifted; see ``manualgrad.functions.layer_norm``."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., *normalized_shape) to the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(torch.nn.RMSNorm):
    """Rows of mean square 1, scaled; see ``manualgrad.functions.rms_norm``."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., *normalized_shape) to the same shape."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


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
