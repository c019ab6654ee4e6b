"""Softmax: turn any numbers into probabilities.

Forward
-------
Over one row x (the entries along ``dim``):

    p[c] = exp(x[c]) / Σ_k exp(x[k])

Backward
--------
Every p depends on every x of its row: x[j] is in its own numerator, and in the sum below all of them. The
quotient rule gives

    ∂p[c]/∂x[j] = ( [c = j] · exp(x[c]) · Σ_k exp(x[k])  -  exp(x[c]) · exp(x[j]) ) / (Σ_k exp(x[k]))²
                = p[c] · ( [c = j] - p[j] )

where [c = j] is 1 if c is j, and 0 otherwise. G[c] = ∂L/∂p[c] is the upstream gradient (``grad_output``).
x[j] reaches L through every p[c], so sum over c:

    ∂L/∂x[j] = Σ_c G[c] · p[c] · ( [c = j] - p[j] )

The first part of the sum is there for c = j only, and p[j] can be taken out of the second:

    ∂L/∂x[j] = p[j] · ( G[j] - Σ_c G[c] · p[c] )

Forward mode
------------
Small changes ẋ of a row change it by ṗ[c] = p[c] · ( ẋ[c] - Σ_j p[j] · ẋ[j] ): the same rule, for c and j
may change places in ∂p[c]/∂x[j].

Saved
-----
The output p. The input is not needed again.

Pitfalls
--------
- G · p · (1 - p), the diagonal c = j alone. That is sigmoid's rule; here each x moves the whole row.
- An upstream gradient that is the same for all classes gives 0: the probabilities sum to 1 whatever x is.
  A check with ``p.sum()`` as the loss therefore proves nothing.
- exp overflows above 88 (float32): subtract the largest number of each row first. p does not change.

Sources
-------
Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Softmax(Function):
    """p = exp(x) / Σ exp(x) over one dimension."""

    @staticmethod
    def forward(input: Tensor, dim: int) -> Tensor:
        return torch.softmax(input, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        _, ctx.dim = inputs
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (probs,) = ctx.saved_tensors
        mean = (grad_output * probs).sum(ctx.dim, keepdim=True)  # one for each row
        return probs * (grad_output - mean), None  # same shape

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *constants: None) -> Tensor:
        output_tangent, *_ = Softmax.backward(ctx, input_tangent)  # the same rule
        return output_tangent


@explain_errors()
def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """Turn the numbers along one dimension into probabilities.

    Parameters
    ----------
    input : Tensor
        Any shape.
    dim : int
        The dimension that sums to 1 afterwards; negative ones count from the last.

    Returns
    -------
    Tensor
        Same shape, values from 0 to 1.
    """
    return apply(Softmax, input, dim, autocast="float32 on CUDA")
