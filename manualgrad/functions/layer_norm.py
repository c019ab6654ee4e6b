"""Layer normalisation: give every row mean 0 and variance 1, then a scale and a shift that are learned.

Forward
-------
For one row x of M numbers, with a weight w[m] and a bias b[m] for each place in it:

    μ    = 1/M · Σ_m x[m]                        the mean
    v    = 1/M · Σ_m (x[m] - μ)²                 the variance
    r    = 1 / √(v + ε)                          one over the standard deviation
    x̂[m] = (x[m] - μ) · r
    y[m] = x̂[m] · w[m] + b[m]

Backward
--------
G[m] = ∂L/∂y[m] is the upstream gradient (``grad_output``). w[m] and b[m] are used by every row n:

    ∂L/∂w[m] = Σ_n G[n,m] · x̂[n,m]               ∂L/∂b[m] = Σ_n G[n,m]

Write g[m] = G[m] · w[m] for what reaches x̂[m]. One x[j] then has three paths to L:

    x̂[j] itself      ∂x̂[j]/∂x[j] = r, with μ and r held fixed
    the mean         ∂x̂[m]/∂μ = -r for every m, and ∂μ/∂x[j] = 1/M
    the variance     ∂x̂[m]/∂r = x[m] - μ for every m,
                     ∂r/∂v = -½ (v + ε)^(-3/2) = -½ r³,
                     and ∂v/∂x[j] = 2/M · (x[j] - μ)

(μ is in v, too, but ∂v/∂μ = -2/M · Σ_m (x[m] - μ) = 0.) Each of the last two goes through a number of the
whole row, and from there to every x̂[m]: that is where the two sums come from.

    ∂L/∂x[j] = g[j] · r  -  r/M · Σ_m g[m]  -  r³/M · (x[j] - μ) · Σ_m g[m] · (x[m] - μ)

Take r out, put x̂ for (x - μ) · r, and write mean(·) for 1/M · Σ_m:

    ∂L/∂x[j] = r · ( g[j] - mean(g) - x̂[j] · mean(g · x̂) )

Forward mode
------------
The matrix ∂x̂[m]/∂x[j] = r · ( [m = j] - 1/M - x̂[m] x̂[j] / M ) is symmetric, so a small change ẋ of the row
changes x̂ by the same rule: r · ( ẋ - mean(ẋ) - x̂ · mean(ẋ · x̂) ). The product rule adds x̂ · ẇ and ḃ.

Saved
-----
x and w. x̂ and r are computed again from x.

Pitfalls
--------
- g · r alone takes the mean and the variance for constants. The loss may still fall, so nobody notices.
- An upstream gradient of ones tells nothing where w is 1: a row's x̂ sums to 0 whatever x is, so the right
  gradient is 0. With w = 1 and b = 0 a backward of zeros passes under ``.sum()``, and so does one without the
  variance's path. Under ``(y ** 2).sum()`` zeros pass again (where ε is small), and so does one without the
  mean's path. Check with random numbers.
- Bessel's correction: v divides by M, where ``torch.var`` divides by M - 1 unless told otherwise.
- In half precision a mean loses digits that x - μ needs: the arithmetic is float32's, here as in PyTorch.

Sources
-------
Ba, Kiros, Hinton, "Layer normalization", arXiv:1607.06450 (2016).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._normalize import check_row, normalize, to_float32


class LayerNorm(Function):
    """y = x̂ · w + b, where x̂ = (x - μ) / √(v + ε), with the mean μ and the variance v of each row."""

    @staticmethod
    def forward(
        input: Tensor, row_dims: int, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        return torch.layer_norm(input, input.shape[-row_dims:], weight, bias, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, row_dims, weight, _, ctx.eps = inputs
        ctx.dims = tuple(range(-row_dims, 0))
        ctx.save_for_backward(input, weight)
        ctx.save_for_forward(input, weight)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor
    ) -> tuple[Tensor | None, None, Tensor | None, Tensor | None, None]:
        input, weight = ctx.saved_tensors
        input_needs_grad, _, weight_needs_grad, bias_needs_grad, _ = ctx.needs_input_grad
        normalized, rstd = normalize(input, ctx.dims, ctx.eps)  # (..., M), (..., 1)
        grad_output = to_float32(grad_output)  # (..., M)
        row = input.shape[ctx.dims[0] :]  # M
        dtype = input.dtype if weight is None else weight.dtype
        grad_input = grad_weight = grad_bias = None
        if input_needs_grad:
            g = grad_output if weight is None else grad_output * weight  # (..., M)
            mean_g = g.mean(ctx.dims, keepdim=True)  # (..., 1)
            mean_gxhat = (g * normalized).mean(ctx.dims, keepdim=True)  # (..., 1)
            grad_input = (rstd * (g - mean_g - normalized * mean_gxhat)).to(input.dtype)  # (..., M)
        if weight_needs_grad:
            grad_weight = (grad_output * normalized).sum_to_size(row).to(dtype)  # (..., M) -> (M,)
        if bias_needs_grad:
            grad_bias = grad_output.sum_to_size(row).to(dtype)  # (..., M) -> (M,)
        return grad_input, None, grad_weight, grad_bias, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *tangents: Any) -> Tensor:
        input, weight = ctx.saved_tensors
        _, weight_tangent, bias_tangent, _ = tangents
        normalized, rstd = normalize(input, ctx.dims, ctx.eps)
        t = to_float32(input_tangent)
        mean_t = t.mean(ctx.dims, keepdim=True)
        mean_txhat = (t * normalized).mean(ctx.dims, keepdim=True)
        output_tangent = rstd * (t - mean_t - normalized * mean_txhat)
        if weight is not None:
            output_tangent = output_tangent * weight + normalized * weight_tangent
        if bias_tangent is not None:
            output_tangent = output_tangent + bias_tangent
        return output_tangent.to(input.dtype)


@explain_errors(check_row)
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Give every row mean 0 and variance 1, then scale and shift it.

    Parameters
    ----------
    input : Tensor
        (..., *normalized_shape).
    normalized_shape : sequence of int
        The last dimensions, which together are a row.
    weight : Tensor, optional
        normalized_shape: a factor for each place in the row.
    bias : Tensor, optional
        normalized_shape: what is added at each place.
    eps : float
        Added to the variance, so that a row of equal numbers is not divided by 0.

    Returns
    -------
    Tensor
        Shape and dtype of ``input``.
    """
    if input.shape[-len(normalized_shape) :] != tuple(normalized_shape):
        check_row("layer_norm", input, normalized_shape)
    return apply(LayerNorm, input, len(normalized_shape), weight, bias, eps, autocast="float32 on CUDA")
