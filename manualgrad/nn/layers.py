"""Layers with weights, pooling and dropout."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class Linear(torch.nn.Linear):
    """An affine map with weights of its own; see ``manualgrad.functions.linear``."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return F.linear(input, self.weight, self.bias)


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


class Embedding(torch.nn.Embedding):
    """A table of learnt rows; see ``manualgrad.functions.embedding``."""

    def forward(self, input: Tensor) -> Tensor:
        """Look up indices of shape (...): (..., embedding_dim)."""
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )


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


class Dropout(torch.nn.Dropout):
    """Units switched off at random; see ``manualgrad.functions.dropout``. ``inplace`` is as for ``ReLU``."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training, and nothing in evaluation."""
        return F.dropout(input, self.p, self.training)
