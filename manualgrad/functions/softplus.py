"""Softplus: a smooth ReLU, the integral of the sigmoid.

Forward
-------
    y = log(1 + exp(β x)) / β        and y = x where β x > threshold: at 20 they differ by 2 · 10⁻⁹

Backward
--------
Each y depends on its own x only. With u = 1 + exp(β x), dy/dx = (1/β) · (1/u) · β exp(β x):

    dy/dx = exp(β x) / (1 + exp(β x)) = σ(β x)        and 1 where β x > threshold

With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G where β x > threshold, else G · σ(β x)

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = ẋ where β x > threshold, else σ(β x) · ẋ.

Saved
-----
The input x.

Pitfalls
--------
- β has cancelled: a factor β or 1/β that stays shows only when β is not 1.
- exp(β x) overflows above 88 (float32), and ∞ / ∞ is NaN: hence the threshold, and σ in its two-sided form.
- Far to the left log(1 + exp(β x)) must not round to log(1) = 0: ``log1p`` keeps the digits.

Sources
-------
Dugas et al., "Incorporating second-order functional knowledge for better option pricing", NIPS (2000).
"""

from typing import Any

import torch
import torch.nn.functional
from torch import Tensor

from manualgrad.functions._checks import check_floating, explain_errors
from manualgrad.functions._function import Function, apply


class Softplus(Function):
    """y = log(1 + exp(β x)) / β, elementwise."""

    @staticmethod
    def forward(input: Tensor, beta: float, threshold: float) -> Tensor:
        return torch.nn.functional.softplus(input, beta, threshold)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float], output: Tensor) -> None:
        input, ctx.beta, ctx.threshold = inputs
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        (input,) = ctx.saved_tensors
        x = ctx.beta * input
        return torch.where(x > ctx.threshold, grad_output, grad_output * torch.sigmoid(x)), None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: None) -> Tensor:
        output_tangent, *_ = Softplus.backward(ctx, input_tangent)  # the same factor
        return output_tangent


@explain_errors()
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Apply the smooth form of ReLU to every element.

    Parameters
    ----------
    input : Tensor
        Any shape.
    beta : float
        The larger, the nearer to ReLU. It gets no gradient.
    threshold : float
        Where ``beta * input`` is above it, the input is returned as it is.

    Returns
    -------
    Tensor
        Same shape, no value below 0.
    """
    check_floating("softplus", input=input)
    return apply(Softplus, input, beta, threshold, autocast="float32 on CUDA")
