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
    shifted = _shift(logits, -1)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def softmax(logits: Tensor, dim: int = -1) -> Tensor:
    """Return p[c] = exp(x[c]) / Σ_k exp(x[k]) over one dimension, in the same shape."""
    powers = _shift(logits, dim).exp()
    return powers / powers.sum(dim, keepdim=True)


def _shift(logits: Tensor, dim: int) -> Tensor:
    """Subtract the row's largest logit: p stays what it was, and exp cannot overflow."""
    if logits.shape[dim] == 0:
        return logits  # no classes, so no largest logit either
    # Constant to autograd, since p does not depend on it: its gradient would cancel.
    return logits - logits.amax(dim, keepdim=True).detach()


def labels(
    target: Tensor, weight: Tensor | None, ignore_index: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Whether each row counts; its label, and that label's weight, both 0 where it does not: (...) each."""
    target = target.long()  # uint8 labels, too
    kept = target != ignore_index
    label = target * kept
    return kept, label, kept.to(dtype) if weight is None else torch.where(kept, weight[label], 0)


def reduce(losses: Tensor, reduction: str) -> Tensor:
    """Keep the losses as they are, sum them, or take their mean: (...) -> (...) or ()."""
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.mean()
    return losses


def reduce_weighted(losses: Tensor, label_weight: Tensor, reduction: str) -> Tensor:
    """Reduce; the mean is over the rows' weights, Σ ℓ / Σ w: (...) -> (...) or ()."""
    if reduction == "mean":
        # A quotient of means: in float16 the sums over many rows would overflow.
        return losses.mean() / label_weight.mean()
    return reduce(losses, reduction)


def spread(grad_output: Tensor, count: int, reduction: str) -> Tensor:
    """Share the upstream gradient out to the single losses: of a mean over ``count`` each gets 1/count."""
    return grad_output / count if reduction == "mean" else grad_output


def spread_weighted(grad_output: Tensor, kept: Tensor, label_weight: Tensor, reduction: str) -> Tensor:
    """Share it out to the rows: of a weighted mean each that counts gets 1 / Σ w: () or (...) -> (...)."""
    if reduction == "mean":
        grad_output = grad_output / kept.numel() / label_weight.mean()
    return torch.where(kept, grad_output, 0.0)
