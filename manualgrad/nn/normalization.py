"""The normalisations of rows and of groups of channels."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class LayerNorm(torch.nn.LayerNorm):
    """Rows of mean 0 and variance 1, scaled and shifted; see ``manualgrad.functions.layer_norm``."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., *normalized_shape) to the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
