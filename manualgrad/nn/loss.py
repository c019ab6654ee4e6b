"""Losses."""

import torch.nn
from torch import Tensor

import manualgrad.functions as F


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


class NLLLoss(torch.nn.NLLLoss):
    """The negative log-likelihood; see ``manualgrad.functions.nll_loss``."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare log-probabilities with labels."""
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)
