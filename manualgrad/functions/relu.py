"""Rectified linear unit: let positive numbers through, stop the others.

Forward
-------
    y = max(x, 0)

Backward
--------
Each y depends on its own x only. Left of 0 the graph is flat, right of 0 it is the diagonal:

    dy/dx = 0 for x < 0        dy/dx = 1 for x > 0

At x = 0 there is a kink and no derivative. Any number from 0 to 1 is a subgradient there; we take 0, as
PyTorch does. With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G where y ≠ 0, else 0                    y is 0 for x ≤ 0, and for no other x

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = ẋ where y ≠ 0, else 0.

Saved
-----
The output y: it is positive exactly where x is. The next layer usually keeps y anyway, so it costs nothing.

Pitfalls
--------
- G · (y > 0), or G · sign(y), is faster than a selection, but turns an infinite upstream gradient into NaN
  where it should stop: ∞ · 0 is NaN. √y sends one to every unit that is off, where its slope is infinite.
- ≥ for > passes a gradient at x = 0. Random inputs never show it.
- A unit whose input is negative for every example gets no gradient, and its own weights cannot recover: a
  *dead* ReLU.

Sources
-------
Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML (2010).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
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
        is_on = output.bool()  # y ≠ 0
        return torch.where(is_on, grad_output, 0.0)  # same shape, elementwise

    jvp = backward  # each element is stopped or passes, in both directions


@explain_errors()
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
