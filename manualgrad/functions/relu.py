"""Rectified linear unit: let positive numbers through, stop the others.

Forward
-------
    y = max(x, 0)

Backward
--------
Each y depends on its own x only. Left of 0 the graph is flat, right of 0 it is the diagonal:

    dy/dx = 0 for x < 0        dy/dx = 1 for x > 0

At x = 0 there is a kink and no derivative. Any number from 0 to 1 is a subgradient there; we take 0, as
PyTorch does. Then dy/dx is 1 where y is positive and 0 where y is 0: the sign of y. With G = ∂L/∂y, the
upstream gradient (``grad_output``):

    ∂L/∂x = G · sign(y)

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = ẋ · sign(y).

Saved
-----
The output y, whose sign is 0 or 1; that of x can be -1. The next layer usually keeps y anyway, so it costs
nothing.

Pitfalls
--------
- ∞ · 0 is NaN: where a unit is off, an infinite upstream gradient becomes NaN. A selection,
  ``torch.where(y > 0, G, 0)``, would stop it, but branches at each element and takes five times as long or
  more. A step with an infinite gradient is lost either way.
- ≥ for > passes a gradient at x = 0. Random inputs never show it.
- A unit whose input is negative for every example gets no gradient and never recovers: a *dead* ReLU.

Sources
-------
Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML (2010).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_numbers, explain_errors
from manualgrad.functions._function import Function, apply


class ReLU(Function):
    """y = max(x, 0), elementwise."""

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return torch.relu(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return grad_output * output.sign()  # same shape, elementwise

    jvp = backward  # one factor for each element, in both directions


def _check(input: Tensor) -> None:
    check_numbers("relu", input=input)


@explain_errors(_check)
def relu(input: Tensor) -> Tensor:
    """Replace every negative element by 0.

    Parameters
    ----------
    input : Tensor
        Any shape.

    Returns
    -------
    Tensor
        Same shape, no value below 0.
    """
    return apply(ReLU, input)
