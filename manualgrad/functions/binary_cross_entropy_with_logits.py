"""Binary cross-entropy on logits: sigmoid and negative log-likelihood in one stable step.

Forward
-------
p = σ(x) is the probability of "yes", t the target (0, 1, or between), and c the weight of a
"yes" (``pos_weight``):

    ℓ = -[ c · t · log σ(x) + (1 - t) · log(1 - σ(x)) ]

For large |x|, σ(x) rounds to 0 or 1 and the logarithm to -∞. But 1 - σ(x) = σ(-x), log σ(-x) = log σ(x) - x:

    ℓ = (1 - t) · x - f · log σ(x)      f = 1 + (c - 1) · t
                                        log σ(x) = -log(exp(0) + exp(-x)), a log-sum-exp

Each ℓ is multiplied by ``weight``; then comes the reduction.

Backward
--------
d/dx log σ(x) = σ(x)(1 - σ(x)) / σ(x) = 1 - σ(x). With g the upstream gradient of each ℓ (``grad_output``,
over N for a mean) and w its weight:

    input:   g · w · [ (1 - t) - f · (1 - σ(x)) ]
           = g · w · [ f · σ(x) - c · t ]                           for c = 1 simply  σ(x) - t
    target:  g · w · [ log σ(-x) - c · log σ(x) ]                    for c = 1 simply  -x

``weight`` and ``pos_weight`` are constants.

Forward mode
------------
Small changes ẋ, ṫ change each ℓ by the two brackets above times ẋ and ṫ.

Saved
-----
x, t and the two weights.

Pitfalls
--------
- Multiplying by σ'(x) once more. It has cancelled: that is why a saturated, wrong unit still learns.
- The mean divides by the number of elements, whatever the weights sum to.
- A target of another shape would broadcast; it is refused.

Sources
-------
Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.2.
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import (
    check_broadcasts,
    check_constant,
    check_floating,
    check_reduction,
    check_same_shape,
    explain_errors,
)
from manualgrad.functions._function import Function, apply
from manualgrad.functions._losses import expand_grad, reduce, to_common_dtype


class BCEWithLogitsLoss(Function):
    """Cross-entropy of sigmoid(x) against t."""

    @staticmethod
    def forward(
        input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, pos_weight: Tensor | None
    ) -> Tensor:
        losses = _minus_log_sigmoid(input)  # (...)
        if pos_weight is not None:
            losses = (1 + (pos_weight - 1) * target) * losses
        losses = (1 - target) * input + losses
        return reduce(losses if weight is None else weight * losses, reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, target, weight, ctx.reduction, pos_weight = inputs
        ctx.save_for_backward(input, target, weight, pos_weight)
        ctx.save_for_forward(input, target, weight, pos_weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        input, target, weight, pos_weight = ctx.saved_tensors
        grad_losses = expand_grad(grad_output, input.numel(), ctx.reduction)  # () or (...)
        if weight is not None:
            grad_losses = grad_losses * weight
        grad_input = grad_target = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_losses * _input_derivative(input, target, pos_weight)  # (...)
        if ctx.needs_input_grad[1]:
            grad_target = grad_losses * _target_derivative(input, pos_weight)  # (...)
        return grad_input, grad_target, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, target_tangent: Tensor, *constants: Tensor | None) -> Tensor:
        input, target, weight, pos_weight = ctx.saved_tensors
        losses = input_tangent * _input_derivative(input, target, pos_weight)
        losses = losses + target_tangent * _target_derivative(input, pos_weight)
        return reduce(losses if weight is None else weight * losses, ctx.reduction)


def _minus_log_sigmoid(input: Tensor) -> Tensor:
    """log(1 + exp(-x)), as a log-sum-exp."""
    return torch.logaddexp(torch.zeros_like(input), -input)


def _input_derivative(input: Tensor, target: Tensor, pos_weight: Tensor | None) -> Tensor:
    """∂ℓ/∂x of each loss: (...)."""
    if pos_weight is None:
        return torch.sigmoid(input) - target
    return (1 + (pos_weight - 1) * target) * torch.sigmoid(input) - pos_weight * target


def _target_derivative(input: Tensor, pos_weight: Tensor | None) -> Tensor:
    """∂ℓ/∂t of each loss: (...)."""
    if pos_weight is None:
        return -input
    return pos_weight * _minus_log_sigmoid(input) - _minus_log_sigmoid(-input)


def _check(input: Tensor, weight: Tensor | None, pos_weight: Tensor | None) -> None:
    name = "binary_cross_entropy_with_logits"
    check_broadcasts(name, input.shape, weight=weight, pos_weight=pos_weight)


@explain_errors(_check)
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Measure how badly ``sigmoid(input)`` predicts the target's yes and no.

    Parameters
    ----------
    input : Tensor
        Any shape: logits, not probabilities.
    target : Tensor
        The same shape, from 0 (no) to 1 (yes).
    weight : Tensor, optional
        Factor for each loss; broadcasts to the shape of ``input``.
    reduction : {"mean", "sum", "none"}
        Mean over all elements, their sum, or one loss an element.
    pos_weight : Tensor, optional
        Factor for the "yes" part of each loss; broadcasts to the shape of ``input``.

    Returns
    -------
    Tensor
        A single number, or with ``"none"`` the shape of ``input``.
    """
    name = "binary_cross_entropy_with_logits"
    check_floating(name, input=input, target=target)
    check_same_shape(name, input, target)
    check_reduction(name, reduction)
    check_constant(name, weight=weight, pos_weight=pos_weight)
    input, target = to_common_dtype(input, target)
    if weight is not None:
        weight = weight.to(input.dtype).expand(input.shape)
    if pos_weight is not None:
        pos_weight = pos_weight.to(input.dtype).expand(input.shape)
    return apply(BCEWithLogitsLoss, input, target, weight, reduction, pos_weight, autocast="float32")
