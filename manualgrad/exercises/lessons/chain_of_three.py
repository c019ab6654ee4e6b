"""A chain of three: the chain rule, twice.

Forward
-------
    a = x³        b = exp(a)        y = sin(b)

Backward
--------
Each y depends on its own x only, through a and b. Each link has its own derivative, taken at what went *into*
that link:

    da/dx = 3 x²        db/da = exp(a) = b        dy/db = cos(b)

G = ∂L/∂y is the upstream gradient (``grad_output``). Walk back from y to x. What arrives at a link is
multiplied by the link's own derivative and handed on:

    ∂L/∂b = G · cos(b)        ∂L/∂a = ∂L/∂b · b        ∂L/∂x = ∂L/∂a · 3 x²

Saved
-----
The input x. The values a and b between are computed again in ``backward``: kept on the way, they would be
constants to a second derivative, which would be wrong.

Pitfalls
--------
- cos(x) or exp(x): a link's derivative is taken at the value that went into it, not at the chain's beginning.
- Adding the three derivatives. Links of a chain multiply; only parallel paths add.
- Slopes multiply, and grow: at x = 2 a change of x is felt 32 758 times as strongly in y.

Sources
-------
Baydin et al., "Automatic differentiation in machine learning: a survey", JMLR 18 (2018), section 3.2.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from manualgrad.cases import FunctionInfo, SampleInput, TensorFactory
from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class ChainOfThree(Function):
    """y = sin(exp(x³)), elementwise."""

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        a = input**3
        b = torch.exp(a)
        return torch.sin(b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        (input,) = inputs
        ctx.save_for_backward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Tensor:
        (input,) = ctx.saved_tensors
        a = input**3
        b = torch.exp(a)
        grad_b = grad_output * torch.cos(b)  # same shape, as all below
        grad_a = grad_b * b
        return grad_a * 3 * input**2


@explain_errors()
def chain_of_three(input: Tensor) -> Tensor:
    """Compute sin(exp(x³)) of every element.

    Parameters
    ----------
    input : Tensor
        Any shape.

    Returns
    -------
    Tensor
        Same shape, values from -1 to 1.
    """
    return apply(ChainOfThree, input)


def _reference(input: Tensor) -> Tensor:
    return torch.sin(torch.exp(input**3))


def _samples(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.uniform(3, 4).requires_grad_(),))
    yield SampleInput("either sign", (make.normal(2, 5).detach().clamp(-1.5, 1.2).requires_grad_(),))
    yield SampleInput("x = 2", (torch.tensor(2.0, dtype=make.dtype, device=make.device, requires_grad=True),))


INFO = FunctionInfo(chain_of_three, ChainOfThree, _reference, _samples)
