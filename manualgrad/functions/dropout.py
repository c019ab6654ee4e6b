"""Dropout: switch units off at random, so that none relies on another.

Forward
-------
    y = x · m        m is 0 with probability p, and 1 / (1 - p) otherwise, drawn for each element by itself

The mean of m is p · 0 + (1 - p) · 1 / (1 - p) = 1: the next layer sees numbers of the size that it will see
in evaluation, where nothing is dropped and y = x.

Backward
--------
Once it is drawn, m is a constant. Each y depends on its own x only, and dy/dx = m. With G = ∂L/∂y, the
upstream gradient (``grad_output``):

    ∂L/∂x = G · m

Forward mode
------------
A small change ẋ of the input changes the output by ẏ = m · ẋ.

Saved
-----
The mask m, which is an input: the wrapper draws it. The input x is not needed again.

Pitfalls
--------
- A mask drawn anew in backward: gradients then reach units that were off, and the check of a single number
  may still pass.
- The factor 1 / (1 - p) in forward alone. Its gradient is too small, by as much.
- Leaving the layer on in evaluation: call ``model.eval()``.

Sources
-------
Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating, explain_errors
from manualgrad.functions._function import Function, apply


class Dropout(Function):
    """y = x m, elementwise, for a mask m."""

    @staticmethod
    def forward(input: Tensor, mask: Tensor) -> Tensor:
        return input * mask

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        _, mask = inputs
        ctx.save_for_backward(mask)
        ctx.save_for_forward(mask)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return grad_output * mask, None  # same shape, elementwise

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, mask_tangent: None) -> Tensor:
        (mask,) = ctx.saved_tensors
        return input_tangent * mask


@explain_errors()
def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Replace elements by 0 at random, and scale the others so that the mean stays.

    Parameters
    ----------
    input : Tensor
        Any shape.
    p : float
        The probability of an element to be dropped.
    training : bool
        Whether to drop at all; in evaluation the input is returned as it is.

    Returns
    -------
    Tensor
        Same shape.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be between 0 and 1, got {p}")
    check_floating("dropout", input=input)
    if not training or p == 0:
        return input
    mask = torch.dropout(input.new_ones(input.shape), p, train=True)  # PyTorch's numbers for the same seed
    return apply(Dropout, input, mask)
