"""Leaky rectified linear unit: let positive numbers through, and a small share of the others.

Forward
-------
    y = x for x > 0, and a · x otherwise, for a number a (``negative_slope``)

Backward
--------
Each y depends on its own x only, and the graph is made of two straight lines:

    dy/dx = 1 for x > 0        dy/dx = a for x < 0

At x = 0 there is a kink; we take a there, as PyTorch does. a is a plain number and gets no gradient. With
G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G where x > 0, else a · G

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = ẋ where x > 0, else a · ẋ.

Saved
-----
The input x. The output would do for a > 0 only: with a negative a, y is positive on both sides.

Pitfalls
--------
- 0 in place of a: that is ReLU's rule, and the reason for this function. A unit that is off still learns.
- a multiplies the upstream gradient, not x: a · x is the value, a · G the gradient.

Sources
-------
Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML (2013).
"""

from typing import Any

import torch
import torch.nn.functional
from torch import Tensor

from manualgrad.functions._checks import check_floating, explain_errors
from manualgrad.functions._function import Function, apply


class LeakyReLU(Function):
    """y = x for x > 0, else a · x, elementwise."""

    @staticmethod
    def forward(input: Tensor, negative_slope: float) -> Tensor:
        return torch.nn.functional.leaky_relu(input, negative_slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        input, ctx.negative_slope = inputs
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (input,) = ctx.saved_tensors
        return torch.where(input > 0, grad_output, ctx.negative_slope * grad_output), None  # same shape

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, negative_slope_tangent: None) -> Tensor:
        (input,) = ctx.saved_tensors
        return torch.where(input > 0, input_tangent, ctx.negative_slope * input_tangent)


@explain_errors()
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """Multiply every negative element by a small number.

    Parameters
    ----------
    input : Tensor
        Any shape.
    negative_slope : float
        The derivative left of 0. It gets no gradient.

    Returns
    -------
    Tensor
        Same shape.
    """
    check_floating("leaky_relu", input=input)
    return apply(LeakyReLU, input, negative_slope)
