"""GELU: a number times the probability that a standard normal one is smaller.

Forward
-------
    y = x · Φ(x)        Φ(x) = (1 + erf(x / √2)) / 2, the normal distribution function

``approximate="tanh"`` replaces Φ by ½ (1 + tanh u) with u = √(2/π) · (x + 0.044715 x³).

Backward
--------
Each y depends on its own x only. Product rule, with Φ' = φ, the normal density φ(x) = exp(-x²/2) / √(2π):

    dy/dx = Φ(x) + x · φ(x)

For the approximation the chain rule runs through u, and tanh' = 1 - tanh²:

    dy/dx = ½ (1 + tanh u)
            + x · ½ (1 - tanh² u) · √(2/π) · (1 + 3 · 0.044715 x²)

Both have the form P + x · p: a distribution function, and its derivative. With G = ∂L/∂y, the upstream
gradient (``grad_output``):

    ∂L/∂x = G · (P + x · p)

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = (P + x · p) · ẋ.

Saved
-----
The input x. From y alone x can't be told: the function falls until x = -0.75, and rises from there.

Pitfalls
--------
- G · Φ(x), from taking the gate for a constant.
- The derivative of one form under the value of the other. They differ by 1e-3 at most: a loose check passes.
- √(2π) and √(2/π): one belongs to the density, the other into the approximation.

Sources
-------
Hendrycks, Gimpel, "Gaussian error linear units (GELUs)" (2016).
"""

import math
from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating, explain_errors
from manualgrad.functions._function import Function, apply


class GELU(Function):
    """y = x Φ(x), elementwise."""

    @staticmethod
    def forward(input: Tensor, approximate: str) -> Tensor:
        return input * _probability(input, approximate)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
        input, ctx.approximate = inputs
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (input,) = ctx.saved_tensors
        derivative = _probability(input, ctx.approximate) + input * _density(input, ctx.approximate)
        return grad_output * derivative, None  # same shape, elementwise

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: None) -> Tensor:
        output_tangent, *_ = GELU.backward(ctx, input_tangent)  # the same factor
        return output_tangent


def _probability(input: Tensor, approximate: str) -> Tensor:
    """Return P(x), the normal distribution function or its approximation."""
    if approximate == "none":
        return (1 + torch.erf(input / math.sqrt(2))) / 2
    return (1 + torch.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input**3))) / 2


def _density(input: Tensor, approximate: str) -> Tensor:
    """Return p(x), the derivative of P."""
    if approximate == "none":
        return torch.exp(-input * input / 2) / math.sqrt(2 * math.pi)
    tanh = torch.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input**3))
    return (1 - tanh * tanh) / 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * input * input)


@explain_errors()
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Multiply every element by the normal distribution function of itself.

    Parameters
    ----------
    input : Tensor
        Any shape.
    approximate : {"none", "tanh"}
        The exact function, or its approximation by tanh.

    Returns
    -------
    Tensor
        Same shape, no value below -0.17.
    """
    check_floating("gelu", input=input)
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be one of none, tanh, got {approximate!r}")
    return apply(GELU, input, approximate)
