"""SiLU, or swish: a number times its own sigmoid.

Forward
-------
    y = x · σ(x)                                    σ(x) = 1 / (1 + exp(-x))

Backward
--------
Each y depends on its own x only. Product rule, with σ' = σ (1 - σ):

    dy/dx = σ(x) + x · σ(x) · (1 - σ(x)) = σ(x) · (1 + x · (1 - σ(x)))

With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G · σ(x) · (1 + x · (1 - σ(x)))

Forward mode
------------
A small change ẋ of the input changes the output by the same factor times ẋ.

Saved
-----
The input x. From y alone x can't be told: the function falls until x = -1.28, and rises from there.

Pitfalls
--------
- G · σ(x), from taking the sigmoid for a constant gate. A gate that depends on x has a derivative of its own.
- The derivative is negative left of -1.28 and above 1 around x = 2.4: no bound as for sigmoid.
- In SwiGLU the gate is a *different* tensor: there each factor gets the gradient of one side only.

Sources
-------
Ramachandran, Zoph, Le, "Searching for activation functions" (2017);
Shazeer, "GLU variants improve Transformer" (2020).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating, explain_errors
from manualgrad.functions._function import Function, apply


class SiLU(Function):
    """y = x σ(x), elementwise."""

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return input * torch.sigmoid(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        (input,) = inputs
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (input,) = ctx.saved_tensors
        gate = torch.sigmoid(input)
        return grad_output * gate * (1 + input * (1 - gate))  # same shape, elementwise

    jvp = backward  # one factor for each element, in both directions


@explain_errors()
def silu(input: Tensor) -> Tensor:
    """Multiply every element by its own sigmoid.

    Parameters
    ----------
    input : Tensor
        Any shape.

    Returns
    -------
    Tensor
        Same shape, no value below -0.28.
    """
    check_floating("silu", input=input)
    return apply(SiLU, input)
