"""What the losses share: their common dtype, the stable log-softmax, and the ``reduction`` argument."""

import functools
from typing import Any

import torch
from torch import Tensor


def to_common_dtype(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Convert to the dtype that PyTorch's promotion gives for all of them together; None passes."""
    dtype = functools.reduce(torch.promote_types, (tensor.dtype for tensor in tensors if tensor is not None))
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in tensors)


def log_softmax(logits: Tensor) -> Tensor:
    """Return log p[c] = x[c] - log Σ_k exp(x[k]) over the last dimension: (..., C) -> (..., C)."""
    if logits.shape[-1] == 0:
        return logits  # no classes, so no largest logit either
    # Subtracting the row's largest logit changes nothing in the mathematics and keeps exp from
    # overflowing. It is a constant to autograd for the same reason: its gradient would cancel.
    shifted = logits - logits.amax(-1, keepdim=True).detach()
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def reduce(losses: Tensor, reduction: str) -> Tensor:
    """Keep the losses as they are, sum them, or take their mean: (...) -> (...) or ()."""
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.mean()
    return losses


def spread(grad_output: Tensor, count: int, reduction: str) -> Tensor:
    """Share the upstream gradient out to the single losses: of a mean over ``count`` each gets 1/count."""
    return grad_output / count if reduction == "mean" else grad_output
