"""Hyperbolic tangent: squash every number into the interval (-1, 1).

Forward
-------
    y = tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))

Backward
--------
Each y depends on its own x only. Write y = s / c with s = sinh(x), c = cosh(x), where s' = c and c' = s.
The quotient rule gives

    dy/dx = (s' · c - s · c') / c² = (c² - s²) / c² = 1 - y²

With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G · (1 - y²)

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = (1 - y²) · ẋ.

Saved
-----
The output y. The input is not needed again.

Pitfalls
--------
- 1 - x² in place of 1 - y². For inputs near 0 the two agree so well that a check with small inputs passes.
- 1 - y² loses digits where y is near ±1: y * y is rounded before it is subtracted. In bfloat16 that is seen;
  (1 - y)(1 + y) is exact there, for one multiplication more.
- The derivative is 1 at the origin, four times sigmoid's: gradients survive more layers.

Sources
-------
LeCun, Bottou, Orr, Müller, "Efficient BackProp", in Neural Networks: Tricks of the Trade (1998), section 4.4.
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Tanh(Function):
    """y = tanh(x), elementwise."""

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return torch.tanh(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return grad_output * (1 - output * output)  # same shape, elementwise

    jvp = backward  # one factor for each element, in both directions


@explain_errors()
def tanh(input: Tensor) -> Tensor:
    """Apply the hyperbolic tangent to every element.

    Parameters
    ----------
    input : Tensor
        Any shape.

    Returns
    -------
    Tensor
        Same shape, values between -1 and 1.
    """
    return apply(Tanh, input)
