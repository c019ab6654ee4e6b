"""Dropout."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class Dropout(torch.nn.Dropout):
    """Units switched off at random; see ``manualgrad.functions.dropout``. ``inplace`` is as for ``ReLU``."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop in training, and nothing in evaluation."""
        return F.dropout(input, self.p, self.training)
