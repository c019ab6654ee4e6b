"""Negative log-likelihood: how little probability the true classes were given.

Forward
-------
For one row x of log-probabilities with label t and class weights w (1 unless given):

    ℓ = -w[t] · x[t]

A row whose label is ``ignore_index`` has ℓ = 0. The mean divides by Z = Σ_n w[t_n] over the other rows.

Backward
--------
ℓ is linear in x[t], with derivative -w[t], and does not depend on the row's other entries at all. With g the
upstream gradient of each ℓ (``grad_output``, over Z for a mean):

    ∂L/∂x[c] = -g · w[t]   for c = t,   and 0 for every other class

Labels are integers and class weights constants: neither gets a gradient.

Forward mode
------------
ℓ is linear in x, so a small change ẋ changes it by -w[t] · ẋ[t].

Saved
-----
The labels and the class weights. Of x nothing but its shape matters.

Pitfalls
--------
- x holds log-probabilities. A derivative of -1/p belongs to a loss of p: the logarithm is not part of this.
- ``"sum"`` divides by nothing, and the mean by the weights' sum Z, not by N.
- The columns must be chosen row by row: ``grad[:, target]`` chooses whole columns, in every row.

Sources
-------
Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4.
"""

from typing import Any

import torch.nn.functional
from torch import Tensor

from manualgrad.functions._checks import check_constant, check_labels, check_labels_shape, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._losses import apply_weight, expand_grad_rows, split_labels, to_rows


class NLLLoss(Function):
    """-w[t] · x[t] for each row x with the label t."""

    @staticmethod
    def forward(
        input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
    ) -> Tensor:
        return torch.nn.functional.nll_loss(
            input, target, weight, ignore_index=ignore_index, reduction=reduction
        )  # (N, C) -> () or (N,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.ignore_index, ctx.reduction = inputs
        ctx.shape = input.shape
        ctx.save_for_backward(target, weight)
        ctx.save_for_forward(target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None, None]:
        target, weight = ctx.saved_tensors
        label, counts, label_weight = split_labels(target, weight, ctx.ignore_index)  # (N, 1)
        g = expand_grad_rows(grad_output, counts, label_weight, ctx.reduction)  # (N, 1)
        zeros = grad_output.new_zeros(ctx.shape)  # (N, C)
        return zeros.scatter(-1, label, apply_weight(-g, label_weight)), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: Tensor | None) -> Tensor:
        target, weight = ctx.saved_tensors
        return NLLLoss.forward(input_tangent, target, weight, ctx.ignore_index, ctx.reduction)


@explain_errors(check_labels)
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Measure how little the log-probabilities of the true classes are.

    Parameters
    ----------
    input : Tensor
        (C,), (N, C) or (N, C, d1, ...): log-probabilities.
    target : Tensor
        The shape of ``input`` without C: integer labels, 0 to C - 1.
    weight : Tensor, optional
        (C,): a factor for each class.
    ignore_index : int
        The label of rows that do not count.
    reduction : {"mean", "sum", "none"}
        Mean weighted by the labels' weights, sum, or one loss a row.

    Returns
    -------
    Tensor
        A single number, or with ``"none"`` the shape of ``target``.
    """
    check_constant("nll_loss", weight=weight)
    if input.dim() != 2:
        check_labels_shape("nll_loss", input, target)  # as rows, another order would pass
        losses = nll_loss(to_rows(input), target.flatten(), weight, ignore_index, reduction)
        return losses.reshape(target.shape) if reduction == "none" else losses
    return apply(NLLLoss, input, target, weight, ignore_index, reduction, autocast="float32")
