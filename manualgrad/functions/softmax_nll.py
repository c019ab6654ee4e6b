"""Softmax and negative log-likelihood: the loss of a classifier, on its logits and the true labels.

Forward
-------
For one row x of logits with label t, p = softmax(x) and class weights w (1 unless given):

    p[c] = exp(x[c]) / Σ_k exp(x[k])              log p[c] = x[c] - log Σ_k exp(x[k])
    ℓ    = -w[t] · log p[t]

With label smoothing ε a share of the target goes to every class: the target becomes the distribution
q[c] = (1 - ε) · [c = t] · w[c] + (ε / C) · w[c], and ℓ = -Σ_c q[c] · log p[c]. (ε = 0 is the line above.)

A row whose label is ``ignore_index`` has ℓ = 0. The mean divides by Z = Σ_n w[t_n] over the other rows.

Backward
--------
∂ log p[c] / ∂x[j] = [c = j] - p[j]: a logit raises its own class and lowers all others through the sum. So

    ∂ℓ/∂x[j] = -Σ_c q[c] · ([c = j] - p[j]) = p[j] · Σ_c q[c] - q[j]

which for a plain label is p - onehot(t): what the network says minus what it should have said. With g the
upstream gradient of each ℓ (``grad_output``, over Z for a mean, 0 for an ignored row):

    input:   p[j] · Σ_c g q[c] - g q[j]

Labels are integers and class weights constants: neither gets a gradient.

Forward mode
------------
A small change ẋ changes ℓ by Σ_j ∂ℓ/∂x[j] · ẋ[j]: the gradient with g = 1, times ẋ, summed over the row.

Saved
-----
x, the labels and the class weights. p is computed again from x: keeping it would make it an output.

Pitfalls
--------
- exp overflows above 88 (float32): subtract the largest logit of each row first. ``log_softmax`` does it.
- The label's column is not all: softmax ties the classes together, so every logit of the row gets a gradient.
- ``"sum"`` divides by nothing, and the mean by the weights' sum Z, not by N.
- A label of -1 used as an index silently means the last class. Labels out of range are refused.
- 0 · ℓ for an ignored row is NaN where ℓ is infinite. Select instead of multiplying.
- With an infinite g every gradient of the row is NaN, as in PyTorch: ∞ - ∞, the price of g inside the sum.

Sources
-------
Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990);
Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR (2016), for label smoothing.
"""

from typing import Any

import torch
import torch.nn.functional
from torch import Tensor

from manualgrad.functions._checks import check_constant, check_labels, check_labels_shape, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._losses import apply_weight, expand_grad_rows, split_labels, to_rows
from manualgrad.functions.softmax_cross_entropy import softmax_cross_entropy


class SoftmaxNLL(Function):
    """-log softmax(x)[t] for each row x with the label t."""

    @staticmethod
    def forward(
        input: Tensor,
        target: Tensor,
        weight: Tensor | None,
        ignore_index: int,
        reduction: str,
        label_smoothing: float,
    ) -> Tensor:
        return torch.nn.functional.cross_entropy(
            input,
            target,
            weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )  # (N, C) -> () or (N,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, *ctx.options = inputs
        ctx.save_for_backward(input, target, weight)
        ctx.save_for_forward(input, target, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        input, target, weight = ctx.saved_tensors
        ignore_index, reduction, label_smoothing = ctx.options
        label, counts, label_weight = split_labels(target, weight, ignore_index)  # (N, 1)
        g = expand_grad_rows(grad_output, counts, label_weight, reduction)  # (N, 1)
        probs = torch.softmax(input, -1)  # (N, C)
        gq_label = apply_weight(g, label_weight)  # (N, 1)
        grad_input = (probs * gq_label).scatter_add(-1, label, -gq_label)  # (N, C)
        if label_smoothing:
            gq_share = apply_weight(g.expand_as(input), weight) / input.shape[-1]  # (N, C)
            grad_share = probs * gq_share.sum(-1, keepdim=True) - gq_share  # (N, C)
            grad_input = (1 - label_smoothing) * grad_input + label_smoothing * grad_share
        return grad_input, None, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: Tensor | None) -> Tensor:
        _, target, _ = ctx.saved_tensors
        _, reduction, _ = ctx.options
        ones = input_tangent.new_ones(target.shape if reduction == "none" else ())
        grad_input, *_ = SoftmaxNLL.backward(ctx, ones)
        changes = (grad_input * input_tangent).sum(-1)  # (N,)
        return changes if reduction == "none" else changes.sum()


def _check(input: Tensor, target: Tensor, ignore_index: int) -> None:
    if not target.is_floating_point():
        check_labels("softmax_nll", input, target, ignore_index)


@explain_errors(_check)
def softmax_nll(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Measure how little probability the logits give to the true classes.

    Parameters
    ----------
    input : Tensor
        (C,), (N, C) or (N, C, d1, ...): logits, not probabilities.
    target : Tensor
        The shape of ``input`` without C: integer labels, 0 to C - 1. Or the shape of ``input``, and
        floating-point: a probability for each class, for which see ``softmax_cross_entropy``.
    weight : Tensor, optional
        (C,): a factor for each class.
    ignore_index : int
        The label of rows that do not count.
    reduction : {"mean", "sum", "none"}
        Mean weighted by the labels' weights, sum, or one loss a row.
    label_smoothing : float
        The share of the target that is spread over all classes, 0 to 1.

    Returns
    -------
    Tensor
        A single number, or with ``"none"`` the shape of ``target``.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"softmax_nll: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if target.is_floating_point():
        if ignore_index >= 0:
            raise ValueError("softmax_nll: ignore_index needs labels, got class probabilities as target")
        return softmax_cross_entropy(input, target, weight, reduction, label_smoothing)
    check_constant("softmax_nll", weight=weight)
    options = (weight, ignore_index, reduction, label_smoothing)
    if input.dim() != 2:
        check_labels_shape("softmax_nll", input, target)  # as rows, another order would pass
        losses = softmax_nll(to_rows(input), target.flatten(), *options)
        return losses.reshape(target.shape) if reduction == "none" else losses
    return apply(SoftmaxNLL, input, target, *options, autocast="float32")
