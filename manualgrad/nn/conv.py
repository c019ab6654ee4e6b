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
        padded = self.padding_mode != "zeros"
        if padded:
            margins = self._reversed_padding_repeated_twice
            input = torch.nn.functional.pad(input, margins, mode=self.padding_mode)
        padding = 0 if padded else self.padding
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
