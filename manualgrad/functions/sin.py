"""Sine.

Forward
-------
    y = sin(x), with x in radians

Backward
--------
Each y depends on its own x only, and dy/dx = cos(x). With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G · cos(x)

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = cos(x) · ẋ.

Saved
-----
The input x. The output would not do: from y alone, cos(x) = ±√(1 - y²) has lost its sign.

Pitfalls
--------
- The wrong sign: it is the derivative of the *cosine* that has a minus.
- For a large x the argument is only known to x · 2⁻⁵³, and sin(x) and cos(x) to no better.

Sources
-------
Baydin et al., "Automatic differentiation in machine learning: a survey", JMLR 18 (2018).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Sin(Function):
    """y = sin(x), elementwise."""

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return torch.sin(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        (input,) = inputs
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (input,) = ctx.saved_tensors
        return grad_output * torch.cos(input)  # same shape, elementwise

    jvp = backward  # one factor for each element, in both directions


@explain_errors()
def sin(input: Tensor) -> Tensor:
    """Take the sine of every element.

    Parameters
    ----------
    input : Tensor
        Any shape, in radians.

    Returns
    -------
    Tensor
        Same shape, values between -1 and 1.
    """
    return apply(Sin, input)
