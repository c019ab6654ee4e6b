"""Power: raise every element to one fixed exponent.

Forward
-------
    y = xᵏ, for a number k

Backward
--------
Each y depends on its own x only, and the power rule gives dy/dx = k · xᵏ⁻¹. The exponent is a plain number,
not a tensor, so it gets no gradient. With G = ∂L/∂y, the upstream gradient (``grad_output``):

    ∂L/∂x = G · k · xᵏ⁻¹

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = k · xᵏ⁻¹ · ẋ.

Saved
-----
The input x. The number k is kept on ``ctx``: only tensors have to go through ``save_for_backward``.

Pitfalls
--------
- k = 0: the rule reads 0 · x⁻¹, which is 0 · ∞ = NaN at x = 0. The function is the constant 1 and nothing
  passes, so that case stands apart.
- Forgetting the factor k, or the minus one: both are right for k = 1 and wrong for all else.
- 0 < k < 1 has an infinite derivative at x = 0, and a negative x no real power at all (NaN), as in PyTorch.

Sources
-------
Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.5.
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Power(Function):
    """y = x ** exponent, elementwise, for a constant exponent."""

    @staticmethod
    def forward(input: Tensor, exponent: float) -> Tensor:
        return input**exponent

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        input, ctx.exponent = inputs
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (input,) = ctx.saved_tensors
        if ctx.exponent == 0:
            return torch.zeros_like(grad_output), None
        return grad_output * (ctx.exponent * input ** (ctx.exponent - 1)), None  # same shape, elementwise

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: None) -> Tensor:
        output_tangent, *_ = Power.backward(ctx, input_tangent)  # the same factor
        return output_tangent


@explain_errors()
def power(input: Tensor, exponent: float) -> Tensor:
    """Raise every element to a fixed power.

    Parameters
    ----------
    input : Tensor
        Any shape.
    exponent : float
        A number, the same for all elements. It gets no gradient.

    Returns
    -------
    Tensor
        Same shape.
    """
    if not isinstance(exponent, (int, float)):  # torch.compile understands ``int | float`` from 2.9
        raise TypeError(f"power: exponent must be a number, got {type(exponent).__name__}")
    return apply(Power, input, exponent, autocast="float32 on CUDA")
