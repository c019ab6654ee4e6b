"""Group normalisation: give every group of channels mean 0 and variance 1, in each example by itself.

Forward
-------
The C channels of an example stand in groups. A group's numbers, of all its channels and pixels, are one row x
of M numbers; the m-th belongs to channel c(m). Each channel has a weight w[c] and a bias b[c].

    μ    = 1/M · Σ_m x[m]                        the mean
    v    = 1/M · Σ_m (x[m] - μ)²                 the variance
    r    = 1 / √(v + ε)                          one over the standard deviation
    x̂[m] = (x[m] - μ) · r
    y[m] = x̂[m] · w[c(m)] + b[c(m)]

With a group of all channels this is layer_norm, but for the weights; with a channel a group, instance_norm.

Backward
--------
G[m] = ∂L/∂y[m] is the upstream gradient (``grad_output``). A channel's weight and bias are used in every
example n at every pixel i:

    ∂L/∂w[c] = Σ_n Σ_i G[n,c,i] · x̂[n,c,i]       ∂L/∂b[c] = Σ_n Σ_i G[n,c,i]

Write g[m] = G[m] · w[c(m)] for what reaches x̂[m]. Inside a group one x[j] has three paths to L:

    x̂[j] itself      ∂x̂[j]/∂x[j] = r, with μ and r held fixed
    the mean         ∂x̂[m]/∂μ = -r for every m, and ∂μ/∂x[j] = 1/M
    the variance     ∂x̂[m]/∂r = x[m] - μ for every m,
                     ∂r/∂v = -½ (v + ε)^(-3/2) = -½ r³,
                     and ∂v/∂x[j] = 2/M · (x[j] - μ)

(μ is in v, too, but ∂v/∂μ = -2/M · Σ_m (x[m] - μ) = 0.) The last two reach every x̂[m] of the group: hence the
two sums. With x̂ for (x - μ) · r and mean(·) for 1/M · Σ_m, the mean over the group:

    ∂L/∂x[j] = r · ( g[j] - mean(g) - x̂[j] · mean(g · x̂) )

The weights differ within a group, so they stay inside the means; batch_norm, one channel at a time, takes its
weight out.

Forward mode
------------
A small change ẋ of the group changes x̂ by the same rule, r · ( ẋ - mean(ẋ) - x̂ · mean(ẋ · x̂) ). The product
rule adds x̂ · ẇ and ḃ.

Saved
-----
x and w. x̂ and r are computed again from x.

Pitfalls
--------
- Means over the channel instead of the group: right only with a channel a group.
- An upstream gradient of ones tells nothing where w is 1: a group's x̂ sums to 0 whatever x is, so the right
  gradient is 0.
- Groups are neighbouring channels: (N, C, ...) -> (N, groups, M) is a reshape, with no transposition.
- It does not look at the batch: training and evaluation are the same, and a batch of one is fine.

Sources
-------
Wu, He, "Group normalization", arXiv:1803.08494 (2018).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_channels, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions._normalize import normalize, per_channel, to_float32


class GroupNorm(Function):
    """y = x̂ · w + b, where x̂ = (x - μ) / √(v + ε), with the mean μ and the variance v of each group."""

    @staticmethod
    def forward(
        input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        return torch.group_norm(input, num_groups, weight, bias, eps, torch.backends.cudnn.enabled)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, ctx.groups, weight, _, ctx.eps = inputs
        ctx.save_for_backward(input, weight)
        ctx.save_for_forward(input, weight)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor
    ) -> tuple[Tensor | None, None, Tensor | None, Tensor | None, None]:
        input, weight = ctx.saved_tensors
        input_needs_grad, _, weight_needs_grad, bias_needs_grad, _ = ctx.needs_input_grad
        normalized, rstd = normalize(_group(input, ctx.groups), (-1,), ctx.eps)  # (N, groups, M)
        grad_output = to_float32(grad_output)  # (N, C, ...)
        dtype = input.dtype if weight is None else weight.dtype
        dims = (0, *range(2, input.dim()))  # all but the channels'
        grad_input = grad_weight = grad_bias = None
        if input_needs_grad:
            g = grad_output if weight is None else grad_output * per_channel(weight, input)  # (N, C, ...)
            g = _group(g, ctx.groups)  # (N, C, ...) -> (N, groups, M)
            mean_g = g.mean(-1, keepdim=True)  # (N, groups, 1)
            mean_gxhat = (g * normalized).mean(-1, keepdim=True)  # (N, groups, 1)
            grad_input = rstd * (g - mean_g - normalized * mean_gxhat)  # (N, groups, M)
            grad_input = grad_input.reshape(input.shape).to(input.dtype)  # (N, C, ...)
        if weight_needs_grad:
            grad_weight = (grad_output * normalized.reshape(input.shape)).sum(dims).to(dtype)  # -> (C,)
        if bias_needs_grad:
            grad_bias = grad_output.sum(dims).to(dtype)  # (N, C, ...) -> (C,)
        return grad_input, None, grad_weight, grad_bias, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, *tangents: Any) -> Tensor:
        input, weight = ctx.saved_tensors
        _, weight_tangent, bias_tangent, _ = tangents
        normalized, rstd = normalize(_group(input, ctx.groups), (-1,), ctx.eps)
        t = to_float32(_group(input_tangent, ctx.groups))
        mean_t, mean_txhat = t.mean(-1, keepdim=True), (t * normalized).mean(-1, keepdim=True)
        output_tangent = (rstd * (t - mean_t - normalized * mean_txhat)).reshape(input.shape)
        if weight is not None:
            weight, weight_tangent = (per_channel(each, input) for each in (weight, weight_tangent))
            output_tangent = output_tangent * weight + normalized.reshape(input.shape) * weight_tangent
        if bias_tangent is not None:
            output_tangent = output_tangent + per_channel(bias_tangent, input)
        return output_tangent.to(input.dtype)


def _group(input: Tensor, groups: int) -> Tensor:
    """Make a row of each group: (N, C, ...) -> (N, groups, M)."""
    return input.reshape(input.shape[0], groups, input.shape[1] // groups * input.shape[2:].numel())


@explain_errors(check_channels)
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Give every group of channels mean 0 and variance 1, then scale and shift the channels.

    Parameters
    ----------
    input : Tensor
        (N, C) or (N, C, d1, ...).
    num_groups : int
        How many groups of neighbouring channels; it divides C.
    weight : Tensor, optional
        (C,): a factor for each channel.
    bias : Tensor, optional
        (C,): what is added to each channel.
    eps : float
        Added to the variance, so that a group of equal numbers is not divided by 0.

    Returns
    -------
    Tensor
        Shape and dtype of ``input``.
    """
    if input.numel() == num_groups:
        raise ValueError(f"group_norm: a batch of one needs two numbers a group, got {tuple(input.shape)}")
    return apply(GroupNorm, input, num_groups, weight, bias, eps, autocast="float32 on CUDA")
