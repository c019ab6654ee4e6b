"""The normalisations of rows and of groups of channels."""

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
