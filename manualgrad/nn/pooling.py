"""Pooling."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class AvgPool2d(torch.nn.AvgPool2d):
    """The mean of every window; see ``manualgrad.functions.avg_pool2d``."""

    def forward(self, input: Tensor) -> Tensor:
        """Pool (N, C, H, W) or (C, H, W)."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class MaxPool2d(torch.nn.MaxPool2d):
    """The largest number of every window; see ``manualgrad.functions.max_pool2d``."""

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool (N, C, H, W) or (C, H, W); with ``return_indices`` a pair comes out."""
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )
