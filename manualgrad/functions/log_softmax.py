"""Log-softmax: the logarithms of softmax's probabilities, without taking a logarithm of a small number.

Forward
-------
Over one row x (the entries along ``dim``):

    y[c] = log p[c] = x[c] - log Σ_k exp(x[k])                      p = softmax(x)

Backward
--------
Every y depends on every x of its row: x[j] stands in its own y, and in the sum below all of them. The
derivative of log Σ_k exp(x[k]) by x[j] is exp(x[j]) / Σ_k exp(x[k]) = p[j], so

    ∂y[c]/∂x[j] = [c = j] - p[j]

G[c] = ∂L/∂y[c] is the upstream gradient (``grad_output``). x[j] reaches L through every y[c]: sum over c.

    ∂L/∂x[j] = Σ_c G[c] · ([c = j] - p[j]) = G[j] - p[j] · Σ_c G[c]

Forward mode
------------
Small changes ẋ of a row change it by ẏ[c] = ẋ[c] - Σ_j p[j] · ẋ[j].

Saved
-----
The output y: p = exp(y) costs one pass, and no sum over the row.

Pitfalls
--------
- p[j] · Σ_c G[c] p[c] in place of p[j] · Σ_c G[c]: that is softmax's rule.
- log(softmax(x)) has the same value until p rounds to 0: then it is -∞, and its gradient NaN.
- The gradient of a row sums to 0, whatever G is: a constant added to all logits changes nothing.

Sources
-------
Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class LogSoftmax(Function):
    """log softmax(x) over one dimension."""

    @staticmethod
    def forward(input: Tensor, dim: int) -> Tensor:
        return torch.log_softmax(input, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        _, ctx.dim = inputs
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (log_probs,) = ctx.saved_tensors
        total = grad_output.sum(ctx.dim, keepdim=True)  # one for each row
        return grad_output - torch.exp(log_probs) * total, None  # same shape

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, dim_tangent: None) -> Tensor:
        (log_probs,) = ctx.saved_tensors
        return input_tangent - (torch.exp(log_probs) * input_tangent).sum(ctx.dim, keepdim=True)


@explain_errors()
def log_softmax(input: Tensor, dim: int = -1) -> Tensor:
    """Turn the numbers along one dimension into the logarithms of probabilities.

    Parameters
    ----------
    input : Tensor
        Any shape.
    dim : int
        The dimension whose exponentials sum to 1 afterwards; negative ones count from the last.

    Returns
    -------
    Tensor
        Same shape, no value above 0.
    """
    return apply(LogSoftmax, input, dim, autocast="float32 on CUDA")
