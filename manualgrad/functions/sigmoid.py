"""Sigmoid: squash every number into the interval (0, 1).

Forward
-------
    y = σ(x) = 1 / (1 + exp(-x))

Backward
--------
Each y depends on its own x only. Write y = u⁻¹ with u = 1 + exp(-x); the chain rule gives

    dy/dx = -u⁻² · (-exp(-x)) = exp(-x) / (1 + exp(-x))²

Now 1 - y = exp(-x) / (1 + exp(-x)), so the derivative needs nothing but the output:

    dy/dx = y · (1 - y)

With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G · y · (1 - y)

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = y · (1 - y) · ẋ.

Saved
-----
The output y.

Pitfalls
--------
- y · (1 - y) is at most ¼, at x = 0. Ten sigmoids in a row, weights aside, shrink a gradient by at least
  4¹⁰, a million.
- For large |x| the unit *saturates*: y(1 - y) is nearly 0 and hardly any gradient passes. In float32 y rounds
  to 1 from x = 17 on, and no gradient passes.
- Written as exp(-x) / (1 + exp(-x))² the derivative is 0 in float32 below x = -45, where the square is ∞, and
  below -89, where exp(-x) is too, ∞ / ∞ = NaN. y itself stays right: 1 / (1 + ∞) = 0.
- The formula is in y. Putting x in its place gives a wrong gradient that often looks plausible.

Sources
-------
Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", Nature 323 (1986).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Sigmoid(Function):
    """y = 1 / (1 + exp(-x)), elementwise."""

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return torch.sigmoid(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)  # for jvp

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return grad_output * output * (1 - output)  # same shape, elementwise

    jvp = backward  # one factor for each element, in both directions


@explain_errors()
def sigmoid(input: Tensor) -> Tensor:
    """Apply the logistic sigmoid to every element.

    Parameters
    ----------
    input : Tensor
        Any shape.

    Returns
    -------
    Tensor
        Same shape, values between 0 and 1.
    """
    return apply(Sigmoid, input)  # Sigmoid.apply, also under torch.func and torch.compile
