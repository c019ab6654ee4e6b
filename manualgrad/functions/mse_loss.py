"""Mean squared error: how far predictions are from numbers they should be.

Forward
-------
    L = (1/N) Σ_n (x[n] - t[n])²                            n runs over all N elements

Backward
--------
Each x[n] is in one term of the sum. The outer derivative is 2 (x[n] - t[n]), the inner one 1 for x and -1
for t. With g = ∂(what follows)/∂L, the upstream gradient (``grad_output``):

    input:   g · (2/N) · (x[n] - t[n])
    target:  the same with the opposite sign

``reduction="sum"`` has no 1/N. With ``"none"`` every element is its own loss with its own g[n], and no 1/N.

Forward mode
------------
Small changes ẋ, ṫ change the loss by L̇ = (1/N) Σ_n 2 (x[n] - t[n]) (ẋ[n] - ṫ[n]).

Saved
-----
x and t.

Pitfalls
--------
- N counts *elements*, not rows: a batch of 32 rows with 10 numbers each has N = 320.
- The factor 2. Many texts use E = ½ Σ (x - t)², whose gradient is x - t; ours is twice that, over N.
- (N, 1) against (N,) would broadcast to N × N differences. PyTorch warns; we refuse it.

Sources
-------
Bishop, "Pattern Recognition and Machine Learning" (2006), section 5.2.
"""

from typing import Any

from torch import Tensor

from manualgrad.functions._checks import check_floating, check_reduction, check_same_shape, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._losses import expand_grad, reduce, to_common_dtype


class MSELoss(Function):
    """The mean of (x - t)², or its sum, or each by itself."""

    @staticmethod
    def forward(input: Tensor, target: Tensor, reduction: str) -> Tensor:
        return reduce((input - target).square(), reduction)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, str], output: Tensor) -> None:
        input, target, ctx.reduction = inputs
        ctx.save_for_backward(input, target)
        ctx.save_for_forward(input, target)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        input, target = ctx.saved_tensors
        input_needs_grad, target_needs_grad, _ = ctx.needs_input_grad
        g = expand_grad(grad_output, input.numel(), ctx.reduction)  # () or (...)
        grad_input = g * 2 * (input - target)  # (...)
        grad_target = -grad_input if target_needs_grad else None  # (...)
        return grad_input if input_needs_grad else None, grad_target, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, target_tangent: Tensor, reduction_tangent: None) -> Tensor:
        input, target = ctx.saved_tensors
        return reduce(2 * (input - target) * (input_tangent - target_tangent), ctx.reduction)


@explain_errors()
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Measure the squared difference between input and target.

    Parameters
    ----------
    input : Tensor
        Any shape: the predictions.
    target : Tensor
        The same shape: what they should be.
    reduction : {"mean", "sum", "none"}
        Mean over all elements, their sum, or one loss an element.

    Returns
    -------
    Tensor
        A single number, or with ``"none"`` the shape of ``input``.
    """
    check_same_shape("mse_loss", input, target)
    check_reduction("mse_loss", reduction)
    input, target = to_common_dtype(input, target)
    check_floating("mse_loss", input=input)
    return apply(MSELoss, input, target, reduction, autocast="float32")
