"""Softmax cross-entropy: the loss of a classifier whose target is a distribution, not one label.

Forward
-------
For one row x of logits with target distribution t, p = softmax(x), class weights w (1 unless given) and label
smoothing ε:

    q[c] = w[c] · ((1 - ε) · t[c] + ε / C)
    ℓ    = -Σ_c q[c] · log p[c]                   log p[c] = x[c] - log Σ_k exp(x[k])

The mean divides by the number of rows.

Backward
--------
∂ log p[c] / ∂x[j] = [c = j] - p[j], and q is linear in t and in w. With g the upstream gradient of each ℓ
(``grad_output``, over N for a mean):

    input:   p[j] · Σ_c g q[c] - g q[j]
    target:  g · -(1 - ε) · w[c] · log p[c]
    weight:  Σ_n g · -((1 - ε) · t[n,c] + ε / C) · log p[n,c]        (w is used in every row)

Forward mode
------------
Small changes ẋ, ṫ, ẇ change each ℓ by what multiplies g above, times ẋ, ṫ and ẇ, summed over the classes.

Saved
-----
x; t unless only t itself needs a gradient, for its rule does not read it; and so for w.

Pitfalls
--------
- Taking for granted that q sums to 1. With class weights, or a target that is no distribution, it does not.
- With an infinite g every gradient of the row is NaN, as in PyTorch: ∞ - ∞, the price of g inside the sum.
- The target's gradient is of use when the target is itself learnt, as in distillation. It is not 0.

Sources
-------
Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4;
Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (2015).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating, check_reduction, check_same_shape, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._losses import apply_weight, expand_grad, reduce, to_common_dtype, to_rows


class SoftmaxCrossEntropy(Function):
    """-Σ q · log softmax(x) for each row x."""

    @staticmethod
    def forward(
        input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
    ) -> Tensor:
        q = apply_weight(_smooth(target, label_smoothing), weight)  # (N, C)
        return reduce(-(q * torch.log_softmax(input, -1)).sum(-1), reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.reduction, ctx.label_smoothing = inputs
        input_needs_grad, target_needs_grad, weight_needs_grad, *_ = ctx.needs_input_grad
        ctx.save_for_backward(
            input,
            target if input_needs_grad or weight_needs_grad else None,
            weight if input_needs_grad or target_needs_grad else None,
        )
        ctx.save_for_forward(input, target, weight)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        input, target, weight = ctx.saved_tensors
        g = expand_grad(grad_output, len(input), ctx.reduction).unsqueeze(-1)  # (N, 1) or (1,)
        log_probs = torch.log_softmax(input, -1)  # (N, C)
        grad_input = grad_target = grad_weight = None
        if ctx.needs_input_grad[0]:
            gq = g * apply_weight(_smooth(target, ctx.label_smoothing), weight)  # (N, C)
            grad_input = log_probs.exp() * gq.sum(-1, keepdim=True) - gq  # (N, C)
        if ctx.needs_input_grad[1]:
            grad_target = -g * apply_weight(log_probs, weight)  # (N, C)
            if ctx.label_smoothing:
                grad_target = (1 - ctx.label_smoothing) * grad_target
        if ctx.needs_input_grad[2]:
            grad_weight = (-g * _smooth(target, ctx.label_smoothing) * log_probs).sum(0)  # (N, C) -> (C,)
        return grad_input, grad_target, grad_weight, None, None

    @staticmethod
    def jvp(
        ctx: Any,
        input_tangent: Tensor,
        target_tangent: Tensor,
        weight_tangent: Tensor | None,
        *constants: None,
    ) -> Tensor:
        input, target, weight = ctx.saved_tensors
        log_probs = torch.log_softmax(input, -1)
        smooth = _smooth(target, ctx.label_smoothing)
        q = apply_weight(smooth, weight)
        change = (log_probs.exp() * q.sum(-1, keepdim=True) - q) * input_tangent  # (N, C)
        change = change - (1 - ctx.label_smoothing) * apply_weight(log_probs, weight) * target_tangent
        if weight_tangent is not None:
            change = change - smooth * log_probs * weight_tangent
        return reduce(change.sum(-1), ctx.reduction)


def _smooth(target: Tensor, label_smoothing: float) -> Tensor:
    """(1 - ε) · t + ε / C: (N, C)."""
    if not label_smoothing:
        return target
    return (1 - label_smoothing) * target + label_smoothing / max(target.shape[-1], 1)


@explain_errors()
def softmax_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Measure how far the softmax of the logits is from a target distribution.

    Parameters
    ----------
    input : Tensor
        (C,), (N, C) or (N, C, d1, ...): logits, not probabilities.
    target : Tensor
        The same shape: a probability for each class.
    weight : Tensor, optional
        (C,): a factor for each class.
    reduction : {"mean", "sum", "none"}
        Mean over the rows, their sum, or one loss a row.
    label_smoothing : float
        The share of the target that is spread over all classes, 0 to 1.

    Returns
    -------
    Tensor
        A single number, or with ``"none"`` the shape of ``input`` without C.
    """
    name = "softmax_cross_entropy"
    check_floating(name, input=input, target=target)
    check_same_shape(name, input, target)
    check_reduction(name, reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.dim() != 2:
        losses = softmax_cross_entropy(to_rows(input), to_rows(target), weight, reduction, label_smoothing)
        places = input.shape[:1] + input.shape[2:] if input.dim() > 1 else ()
        return losses.reshape(places) if reduction == "none" else losses
    if weight is not None and weight.shape != input.shape[1:]:  # another shape might broadcast
        raise ValueError(f"{name}: weight must have shape ({input.shape[1]},), got {tuple(weight.shape)}")
    input, target, weight = to_common_dtype(input, target, weight)
    return apply(SoftmaxCrossEntropy, input, target, weight, reduction, label_smoothing, autocast="float32")
