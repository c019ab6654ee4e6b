"""Convolution."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class Conv2d(torch.nn.Conv2d):
    """A convolution with weights of its own; see ``manualgrad.functions.conv2d``.

    Another ``padding_mode`` than zeros pads with PyTorch's own function first, as ``torch.nn.Conv2d`` does.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (N, C, H, W) or (C, H, W)."""
        padding = self.padding
        if self.padding_mode != "zeros":
            margins = self._reversed_padding_repeated_twice
            input, padding = torch.nn.functional.pad(input, margins, mode=self.padding_mode), 0
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
