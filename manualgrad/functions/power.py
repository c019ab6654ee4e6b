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
- 0 < k < 1 has an infinite slope at x = 0, and a negative x no real power at all (NaN), as in PyTorch.

Sources
-------
Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.5.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from manualgrad.functions._apply import make_apply
from manualgrad.functions._checks import check_tensors


class Power(Function):
    """y = x ** exponent, elementwise, for a constant exponent."""

    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, exponent: float) -> Tensor:
        return torch.pow(input, exponent)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        input, ctx.exponent = inputs
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (input,) = ctx.saved_tensors
        return _times_slope(grad_output, input, ctx.exponent), None  # same shape, elementwise

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, exponent_tangent: None) -> Tensor:
        (input,) = ctx.saved_tensors
        return _times_slope(input_tangent, input, ctx.exponent)


def _times_slope(change: Tensor, input: Tensor, exponent: float) -> Tensor:
    """Multiply by the slope, k · xᵏ⁻¹: what either direction does."""
    if exponent == 0:
        return torch.zeros_like(change)
    return change * (exponent * torch.pow(input, exponent - 1))


_apply = make_apply(Power, autocast="float32 on CUDA")


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

    Raises
    ------
    TypeError
        If ``input`` is not a real tensor or ``exponent`` not a real number.
    ValueError
        If integers are to be raised to a negative integer, which leaves the integers.

    See Also
    --------
    torch.pow : PyTorch's counterpart.
    """
    check_tensors("power", input=input)
    if not isinstance(exponent, int | float):
        raise TypeError(f"power: exponent must be a number, got {type(exponent).__name__}")
    if not input.is_floating_point() and isinstance(exponent, int) and exponent < 0:
        raise ValueError(f"power: {input.dtype} has no negative powers, got exponent {exponent}")
    return _apply(input, exponent)
