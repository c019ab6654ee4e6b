"""The hand-written functions as modules: ``import manualgrad.nn as nn`` replaces ``import torch.nn as nn``.

Each class is PyTorch's own with its ``forward`` replaced, so that constructor arguments, initialisation,
``state_dict`` keys and ``repr`` are PyTorch's by inheritance, and a checkpoint of one loads into the other.
Containers and everything without mathematics of its own are PyTorch's, re-exported.
"""

import torch.nn
from torch import Tensor
from torch.nn import (
    Flatten,
    Identity,
    Module,
    ModuleDict,
    ModuleList,
    Parameter,
    ParameterDict,
    ParameterList,
    Sequential,
    Unflatten,
    init,
    utils,
)

import manualgrad.functions as F

__all__ = [
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Flatten",
    "Identity",
    "Linear",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Unflatten",
    "init",
    "utils",
]


class Linear(torch.nn.Linear):
    """An affine map with weights of its own; see ``manualgrad.functions.linear``."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return F.linear(input, self.weight, self.bias)


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


class MSELoss(torch.nn.MSELoss):
    """The mean squared error; see ``manualgrad.functions.mse_loss``."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare two tensors of one shape."""
        return F.mse_loss(input, target, reduction=self.reduction)


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """Softmax and negative log-likelihood in one; see ``manualgrad.functions.softmax_nll``."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare logits with labels or with class probabilities."""
        return F.softmax_nll(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class BCEWithLogitsLoss(torch.nn.BCEWithLogitsLoss):
    """Sigmoid and binary cross-entropy; see ``manualgrad.functions.binary_cross_entropy_with_logits``."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare logits with targets between 0 and 1."""
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)
