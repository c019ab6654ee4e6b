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

from torch import Tensor

from manualgrad.functions._checks import check_labels, explain_errors, label_error
from manualgrad.functions._function import Function, apply
from manualgrad.functions._losses import (
    apply_weight,
    classes_last,
    expand_grad_rows,
    mask_ignored,
    reduce_rows,
    split_labels,
)


class NLLLoss(Function):
    """-x[t] over the last dimension."""

    @staticmethod
    def forward(
        input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
    ) -> Tensor:
        return _losses(input, target, weight, ignore_index, reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.ignore_index, ctx.reduction = inputs
        ctx.shape = input.shape
        ctx.save_for_backward(target, weight)
        ctx.save_for_forward(target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None, None]:
        target, weight = ctx.saved_tensors
        label, counts, label_weight = split_labels(target, weight, ctx.ignore_index)  # (..., 1)
        g = expand_grad_rows(grad_output, counts, label_weight, ctx.reduction)  # (..., 1)
        zeros = grad_output.new_zeros(ctx.shape)  # (..., C)
        return zeros.scatter(-1, label, apply_weight(-g, label_weight)), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: Tensor | None) -> Tensor:
        target, weight = ctx.saved_tensors
        return _losses(input_tangent, target, weight, ctx.ignore_index, ctx.reduction)


def _losses(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """-w[t] · x[t], reduced. It is linear in x, so a small change of x goes the same way."""
    label, counts, label_weight = split_labels(target, weight, ignore_index)  # (..., 1)
    losses = apply_weight(-input.gather(-1, label), label_weight)  # (..., 1)
    return reduce_rows(mask_ignored(losses, counts), counts, label_weight, reduction)


@explain_errors()
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
    name = "nll_loss"
    class_dim = check_labels(name, input, target, weight, ignore_index, reduction)
    try:
        input = classes_last(input, class_dim)
        return apply(NLLLoss, input, target, weight, ignore_index, reduction, autocast="float32")
    except (IndexError, RuntimeError) as error:
        raise label_error(name, input.shape[-1], error) from error
