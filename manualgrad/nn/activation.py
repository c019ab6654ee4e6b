"""Activations."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


class Sigmoid(torch.nn.Sigmoid):
    """The logistic sigmoid; see ``manualgrad.functions.sigmoid``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.sigmoid(input)


class Tanh(torch.nn.Tanh):
    """The hyperbolic tangent; see ``manualgrad.functions.tanh``."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.tanh(input)


class ReLU(torch.nn.ReLU):
    """The rectified linear unit; see ``manualgrad.functions.relu``.

    ``inplace=True`` is accepted, but the input is left as it is: a hand-written Function would have to
    mark it as changed, for a saving that matters only in very large networks.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return F.relu(input)
