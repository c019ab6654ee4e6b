"""The embedding."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


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
