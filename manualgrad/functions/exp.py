"""Exponential: the function that is its own derivative.

Forward
-------
    y = exp(x)

Backward
--------
Each y depends on its own x only, and dy/dx = exp(x) = y. With G = ∂L/∂y, the upstream gradient
(``grad_output``):

    ∂L/∂x = G · y

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = y · ẋ.

Saved
-----
The output y, so that no exponential is computed twice.

Pitfalls
--------
- Whoever saves the input and forgets to exponentiate it returns G · x.
- The output overflows to infinity above x = 88.7 in float32 (709.8 in float64). A softmax built from bare
  exponentials fails there; ``log_softmax`` subtracts the largest logit first.

Sources
-------
Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 4.1 on overflow.
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Exp(Function):
    """y = exp(x), elementwise."""

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return torch.exp(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return grad_output * output  # same shape, elementwise

    jvp = backward  # one factor for each element, in both directions


@explain_errors()
def exp(input: Tensor) -> Tensor:
    """Raise e to the power of every element.

    Parameters
    ----------
    input : Tensor
        Any shape.

    Returns
    -------
    Tensor
        Same shape, no value below 0.
    """
    return apply(Exp, input, autocast="float32 on CUDA")
