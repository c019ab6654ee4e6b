"""Linear: the affine map y = x Wᵀ + b, a layer's weights at work.

Forward
-------
    y[n,o] = Σ_i x[n,i] · W[o,i] + b[o]                     n: row of the batch, i: input, o: output

Backward
--------
G[n,o] = ∂L/∂y[n,o] is the upstream gradient (``grad_output``). For each entry, follow every path to L, and
sum over each index that the entry does not have:

    x[n,i] reaches every output of its own row:         ∂L/∂x[n,i] = Σ_o G[n,o] · W[o,i]     G W
    W[o,i] is used by every row of the batch:           ∂L/∂W[o,i] = Σ_n G[n,o] · x[n,i]     Gᵀ x
    b[o]   is added in every row of the batch:          ∂L/∂b[o]   = Σ_n G[n,o]

The shapes tell the products apart: where N, I and O differ, only one order of factors fits.

Forward mode
------------
Product rule: ẏ = ẋ Wᵀ + x Ẇᵀ + ḃ.

Saved
-----
x if W needs a gradient, W if x does. No rule reads b, so b is not kept.

Pitfalls
--------
- A bias gradient that is not summed over the batch. Autograd sums it quietly; our gradcheck does not.
- xᵀ G instead of Gᵀ x is the transpose; for a square W the shapes do not give it away.
- The first layer's x is data. Nobody asks for its gradient, so the product G W is not computed.
- x may have any number of leading dimensions, or none. All of them together are the batch: the wrapper makes
  them one, and the class sees rows.

Sources
-------
Goodfellow, Bengio, Courville, "Deep Learning" (2016), section 6.5.6.
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Linear(Function):
    """y = x Wᵀ + b, for the rows of x."""

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if bias is None:
            return input @ weight.t()  # (N, I) @ (I, O) -> (N, O)
        return torch.addmm(bias, input, weight.t())  # (O,) + (N, I) @ (I, O) -> (N, O)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        input, weight, _ = inputs
        input_needs_grad, weight_needs_grad, _ = ctx.needs_input_grad
        ctx.save_for_backward(input if weight_needs_grad else None, weight if input_needs_grad else None)
        ctx.save_for_forward(input, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        input, weight = ctx.saved_tensors
        input_needs_grad, weight_needs_grad, bias_needs_grad = ctx.needs_input_grad
        grad_input = grad_weight = grad_bias = None
        if input_needs_grad:
            grad_input = grad_output @ weight  # (N, O) @ (O, I) -> (N, I)
        if weight_needs_grad:
            grad_weight = grad_output.t() @ input  # (O, N) @ (N, I) -> (O, I)
        if bias_needs_grad:
            grad_bias = grad_output.sum(0)  # (N, O) -> (O,)
        return grad_input, grad_weight, grad_bias

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, weight_tangent: Tensor, bias_tangent: Tensor | None) -> Tensor:
        input, weight = ctx.saved_tensors
        output_tangent = input_tangent @ weight.t() + input @ weight_tangent.t()  # (N, O)
        return output_tangent if bias_tangent is None else output_tangent + bias_tangent


def _check(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if weight.dim() not in (1, 2):
        raise ValueError(f"linear: weight must have shape (O, I) or (I,), got {tuple(weight.shape)}")
    if input.dim() == 0 or input.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"linear: the last dimension of input must be weight's {weight.shape[-1]}, "
            f"got input {tuple(input.shape)} and weight {tuple(weight.shape)}"
        )
    outputs = weight.shape[:-1]
    if bias is not None and bias.shape not in (outputs, ()):
        raise ValueError(f"linear: bias must have shape {tuple(outputs)}, got {tuple(bias.shape)}")


@explain_errors(_check)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply the affine map ``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor
        (..., I): any leading dimensions, or none.
    weight : Tensor
        (O, I), or (I,) for one output without a dimension of its own.
    bias : Tensor, optional
        (O,), or () for the same number everywhere.

    Returns
    -------
    Tensor
        (..., O), or (...) for a weight of shape (I,).
    """
    if weight.dim() == 1:
        return linear(input, weight.unsqueeze(0), bias).squeeze(-1)
    if bias is not None and bias.shape != weight.shape[:1]:
        _check(input, weight, bias)  # a bias of another shape might broadcast
        bias = bias.expand(weight.shape[0])
    if input.dim() != 2:
        rows = input.reshape(input.shape[:-1].numel(), input.shape[-1])  # (..., I) -> (N, I)
        return linear(rows, weight, bias).reshape(*input.shape[:-1], weight.shape[0])
    return apply(Linear, input, weight, bias, autocast="lower-precision")
