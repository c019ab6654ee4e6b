"""Batch normalisation: give every channel mean 0 and variance 1 over the batch, then a scale and a shift.

Forward
-------
Each channel c goes its own way, so take one, with its M numbers x[i]: i runs over the batch, and in an image
over the pixels as well. w and b are the channel's weight and bias.

    μ    = 1/M · Σ_i x[i]                        the mean
    v    = 1/M · Σ_i (x[i] - μ)²                 the variance
    r    = 1 / √(v + ε)                          one over the standard deviation
    x̂[i] = (x[i] - μ) · r
    y[i] = x̂[i] · w + b

So it is in training, where the running statistics move on with the momentum m:

    running_mean ← (1 - m) · running_mean + m · μ
    running_var  ← (1 - m) · running_var  + m · v · M / (M - 1)

In evaluation they stand in the place of μ and v, so that an example's result depends on no other example.

Backward
--------
G[i] = ∂L/∂y[i] is the upstream gradient (``grad_output``). The channel's w and b are used at every i:

    ∂L/∂w = Σ_i G[i] · x̂[i]                      ∂L/∂b = Σ_i G[i]

In evaluation μ and r are constants, and x[j] reaches L through y[j] alone:

    ∂L/∂x[j] = w · r · G[j]

In training x[j] reaches every y[i] of its channel as well, through μ and through v:

    the mean         ∂y[i]/∂μ = -w r for every i, and ∂μ/∂x[j] = 1/M
    the variance     ∂y[i]/∂r = w · (x[i] - μ) for every i,
                     ∂r/∂v = -½ (v + ε)^(-3/2) = -½ r³,
                     and ∂v/∂x[j] = 2/M · (x[j] - μ)

(μ is in v, too, but ∂v/∂μ = -2/M · Σ_i (x[i] - μ) = 0.) With x̂ for (x - μ) · r the three together are

    ∂L/∂x[j] = w · r · ( G[j]  -  1/M · Σ_i G[i]  -  x̂[j] · 1/M · Σ_i G[i] · x̂[i] )

whose sums are the gradients of b and of w:

    ∂L/∂x[j] = w · r · ( G[j] - (∂L/∂b + x̂[j] · ∂L/∂w) / M )

Forward mode
------------
A small change ẋ changes x̂ by r · ( ẋ - mean(ẋ) - x̂ · mean(ẋ · x̂) ), in evaluation by r · ẋ; then ẇ and ḃ.

Saved
-----
x and w; x̂ and r are computed again. In evaluation also the running statistics, two numbers a channel.

Pitfalls
--------
- w · r · G in training takes the mean and the variance for constants: that is evaluation's rule.
- An upstream gradient of ones tells nothing in training: x̂ sums to 0 whatever x is, so the gradient is 0.
- The gradient of one example's loss reaches the whole batch.
- v divides by M, the running variance by M - 1. Without ``model.eval()`` it moves on with the test data.

Sources
-------
Ioffe, Szegedy, "Batch normalization: accelerating deep network training", arXiv:1502.03167 (2015).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_channels, check_constant, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._normalize import normalize, per_channel, to_float32


class BatchNorm(Function):
    """y = x̂ · w + b, where x̂ = (x - μ) / √(v + ε), with the mean μ and the variance v of each channel."""

    @staticmethod
    def forward(
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
    ) -> Tensor:
        statistics = (running_mean, running_var, training, momentum, eps)  # in training they move on
        return torch.batch_norm(input, weight, bias, *statistics, torch.backends.cudnn.enabled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, running_mean, running_var, weight, _, ctx.training, _, ctx.eps = inputs
        ctx.dims = (0, *range(2, input.dim()))  # all but the channels'
        statistics = (None, None) if ctx.training else (running_mean, running_var)
        ctx.save_for_backward(input, weight, *statistics)
        ctx.save_for_forward(input, weight, *statistics)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor
    ) -> tuple[Tensor | None, None, None, Tensor | None, Tensor | None, None, None, None]:
        input, weight, *statistics = ctx.saved_tensors
        input_needs_grad, _, _, weight_needs_grad, bias_needs_grad, *_ = ctx.needs_input_grad
        normalized, rstd = normalize(input, ctx.dims, ctx.eps, *statistics)  # (N, C, ...), (1, C, 1, ...)
        grad_output = to_float32(grad_output)  # (N, C, ...)
        sum_gxhat = (grad_output * normalized).sum(ctx.dims)  # (N, C, ...) -> (C,)
        sum_g = grad_output.sum(ctx.dims)  # (N, C, ...) -> (C,)
        grad_input = None
        if input_needs_grad:
            scale = rstd if weight is None else rstd * per_channel(weight, input)  # (1, C, 1, ...)
            if ctx.training:  # in evaluation μ and r are constants
                count = input.numel() // input.shape[1]  # M
                mean_g, mean_gxhat = (per_channel(total / count, input) for total in (sum_g, sum_gxhat))
                grad_output = grad_output - mean_g - normalized * mean_gxhat  # (N, C, ...)
            grad_input = (scale * grad_output).to(input.dtype)  # (N, C, ...)
        dtype = input.dtype if weight is None else weight.dtype
        grad_weight = sum_gxhat.to(dtype) if weight_needs_grad else None
        grad_bias = sum_g.to(dtype) if bias_needs_grad else None
        return grad_input, None, None, grad_weight, grad_bias, None, None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *tangents: Any) -> Tensor:
        input, weight, *statistics = ctx.saved_tensors
        _, _, weight_tangent, bias_tangent, *_ = tangents
        normalized, rstd = normalize(input, ctx.dims, ctx.eps, *statistics)
        t = to_float32(input_tangent)
        if ctx.training:
            mean_t, mean_txhat = (each.mean(ctx.dims, keepdim=True) for each in (t, t * normalized))
            t = t - mean_t - normalized * mean_txhat
        output_tangent = rstd * t
        if weight is not None:
            weight, weight_tangent = (per_channel(each, input) for each in (weight, weight_tangent))
            output_tangent = output_tangent * weight + normalized * weight_tangent
        if bias_tangent is not None:
            output_tangent = output_tangent + per_channel(bias_tangent, input)
        return output_tangent.to(input.dtype)


@explain_errors(check_channels)
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Give every channel mean 0 and variance 1 over the batch, then scale and shift it.

    Parameters
    ----------
    input : Tensor
        (N, C) or (N, C, d1, ...).
    running_mean : Tensor or None
        (C,): evaluation's mean. Training moves it towards the batch's, in place.
    running_var : Tensor or None
        (C,): evaluation's variance, likewise.
    weight : Tensor, optional
        (C,): a factor for each channel.
    bias : Tensor, optional
        (C,): what is added to each channel.
    training : bool
        Whether the mean and the variance are the batch's.
    momentum : float
        How far the running statistics move.
    eps : float
        Added to the variance, so that a channel of equal numbers is not divided by 0.

    Returns
    -------
    Tensor
        Shape and dtype of ``input``.
    """
    if input.shape == (0,):
        return input.clone()  # no channels, and no numbers: PyTorch takes it, too
    if training and input.numel() == input.shape[1]:
        raise ValueError(f"batch_norm: training needs two numbers a channel, got input {tuple(input.shape)}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm: eps must be positive (0 is right in evaluation), got {eps}")
    check_constant("batch_norm", running_mean=running_mean, running_var=running_var)
    return apply(BatchNorm, input, running_mean, running_var, weight, bias, training, momentum, eps)
