"""RMS normalisation: divide every row by its root mean square, then scale it; layer_norm without the mean.

Forward
-------
For one row x of M numbers, with a weight w[m] for each place in it:

    s    = 1/M · Σ_m x[m]²                       the mean square
    r    = 1 / √(s + ε)                          one over its root
    x̂[m] = x[m] · r
    y[m] = x̂[m] · w[m]

Backward
--------
G[m] = ∂L/∂y[m] is the upstream gradient (``grad_output``). w[m] is used by every row n:

    ∂L/∂w[m] = Σ_n G[n,m] · x̂[n,m]

Write g[m] = G[m] · w[m] for what reaches x̂[m]. One x[j] has two paths to L:

    x̂[j] itself        ∂x̂[j]/∂x[j] = r, with r held fixed
    the mean square    ∂x̂[m]/∂r = x[m] for every m,
                       ∂r/∂s = -½ (s + ε)^(-3/2) = -½ r³,
                       and ∂s/∂x[j] = 2/M · x[j]

The second goes through a number of the whole row, and from there to every x̂[m]. That is the sum in

    ∂L/∂x[j] = g[j] · r  -  r³/M · x[j] · Σ_m g[m] · x[m]

Take r out, put x̂ for x · r, and write mean(·) for 1/M · Σ_m:

    ∂L/∂x[j] = r · ( g[j] - x̂[j] · mean(g · x̂) )

The gradient of layer_norm has one sum more: its mean's path.

Forward mode
------------
The matrix ∂x̂[m]/∂x[j] = r · ( [m = j] - x̂[m] x̂[j] / M ) is symmetric, so a small change ẋ of the row changes
x̂ by the same rule: r · ( ẋ - x̂ · mean(ẋ · x̂) ). The product rule adds x̂ · ẇ.

Saved
-----
x, and w if x needs a gradient. x̂ and r are computed again from x.

Pitfalls
--------
- g · r alone takes the mean square for a constant.
- The gradient stands at a right angle to the row (where ε is small), for a longer row gives the same y. Where
  w is 1 the loss ``(y ** 2).sum()`` is M a row, and has no gradient: a check with it proves nothing.
- ε left out is the rounding of the dtype, float32's for half precision: 10⁻⁷, not the 10⁻⁵ of layer_norm.
- In float16 the squares overflow above 255: the arithmetic is float32's, here as in PyTorch.

Sources
-------
Zhang, Sennrich, "Root mean square layer normalization", arXiv:1910.07467 (2019).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._normalize import check_row, to_float32


class RMSNorm(Function):
    """y = x̂ · w, where x̂ = x / √(s + ε), with the mean square s of each row."""

    @staticmethod
    def forward(input: Tensor, row_dims: int, weight: Tensor | None, eps: float) -> Tensor:
        return torch.rms_norm(input, input.shape[-row_dims:], weight, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, row_dims, weight, ctx.eps = inputs
        ctx.dims, ctx.weight_dtype = tuple(range(-row_dims, 0)), None if weight is None else weight.dtype
        ctx.save_for_backward(input, weight if ctx.needs_input_grad[0] else None)
        ctx.save_for_forward(input, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        input, weight = ctx.saved_tensors
        input_needs_grad, _, weight_needs_grad, _ = ctx.needs_input_grad
        normalized, rrms = _normalize(input, ctx)  # (..., M), (..., 1)
        grad_output = to_float32(grad_output)  # (..., M)
        grad_input = grad_weight = None
        if input_needs_grad:
            g = grad_output if weight is None else grad_output * weight  # (..., M)
            mean_gxhat = (g * normalized).mean(ctx.dims, keepdim=True)  # (..., 1)
            grad_input = (rrms * (g - normalized * mean_gxhat)).to(input.dtype)  # (..., M)
        if weight_needs_grad:
            row = input.shape[ctx.dims[0] :]  # M
            grad_weight = (grad_output * normalized).sum_to_size(row).to(ctx.weight_dtype)  # (..., M) -> (M,)
        return grad_input, None, grad_weight, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *tangents: Any) -> Tensor:
        input, weight = ctx.saved_tensors
        _, weight_tangent, _ = tangents
        normalized, rrms = _normalize(input, ctx)
        t = to_float32(input_tangent)
        output_tangent = rrms * (t - normalized * (t * normalized).mean(ctx.dims, keepdim=True))
        if weight is not None:
            output_tangent = output_tangent * weight + normalized * weight_tangent
        return output_tangent.to(input.dtype)


def _normalize(input: Tensor, ctx: Any) -> tuple[Tensor, Tensor]:
    """Return x̂ and r, one over the root mean square."""
    input = to_float32(input)
    rrms = torch.rsqrt((input * input).mean(ctx.dims, keepdim=True) + ctx.eps)
    return input * rrms, rrms


@explain_errors(check_row)
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide every row by its root mean square, then scale it.

    Parameters
    ----------
    input : Tensor
        (..., *normalized_shape).
    normalized_shape : sequence of int
        The last dimensions, which together are a row.
    weight : Tensor, optional
        normalized_shape: a factor for each place in the row.
    eps : float, optional
        Added to the mean square, so that a row of zeros is not divided by 0. The rounding of the dtype
        unless given, and float32's for half precision.

    Returns
    -------
    Tensor
        Shape and dtype of ``input``.
    """
    if input.shape[-len(normalized_shape) :] != tuple(normalized_shape):
        check_row("rms_norm", input, normalized_shape)
    if eps is None:
        eps = torch.finfo(torch.promote_types(input.dtype, torch.float32)).eps
    return apply(RMSNorm, input, len(normalized_shape), weight, eps, autocast="float32 on CUDA")
