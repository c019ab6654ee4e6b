"""What the losses share: their common dtype, the stable log-softmax, and the ``reduction`` argument."""

import functools
from typing import Any

import torch
from torch import Tensor

from manualgrad.kernels import has_values


def to_common_dtype(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Convert to the dtype that PyTorch's promotion gives for all of them together; None passes."""
    dtypes = {tensor.dtype for tensor in tensors if tensor is not None}
    if len(dtypes) == 1:
        return tensors
    dtype = functools.reduce(torch.promote_types, dtypes)
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in tensors)


def log_softmax(logits: Tensor) -> Tensor:
    """Return log p[c] = x[c] - log Σ_k exp(x[k]) over the last dimension: (..., C) -> (..., C)."""
    shifted = _shift(logits, -1)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def softmax(logits: Tensor, dim: int = -1) -> Tensor:
    """Return p[c] = exp(x[c]) / Σ_k exp(x[k]) over one dimension, in the same shape."""
    powers = _shift(logits, dim).exp_()
    return powers / powers.sum(dim, keepdim=True)


def _shift(logits: Tensor, dim: int) -> Tensor:
    """Subtract the row's largest logit, in a new tensor: p stays what it was, and exp cannot overflow."""
    if logits.shape[dim] == 0:
        return logits.clone()  # no classes, so no largest logit either
    # Constant to autograd, since p does not depend on it: its gradient would cancel.
    return logits - logits.amax(dim, keepdim=True).detach()


def classes_last(tensor: Tensor, class_dim: int) -> Tensor:
    """Move C to the end, where it is not there already: (N, C, ...) -> (N, ..., C)."""
    return tensor if class_dim == tensor.dim() - 1 else tensor.movedim(class_dim, -1)


def ignored_label(target: Tensor, ignore_index: int) -> int | None:
    """Return ignore_index, or None if a cheap look at the labels shows that every row counts."""
    every_row_counts = has_values(target) and target.numel() > 0 and target.min().item() > ignore_index
    return None if every_row_counts else ignore_index


def labels(
    target: Tensor, weight: Tensor | None, ignore_index: int | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Each row's label; whether it counts, None if all do; its weight, None if all are 1: (..., 1) each.

    In a row that does not count, label and weight are 0.
    """
    label = target.long().unsqueeze(-1)  # uint8 labels, too
    if ignore_index is None:
        return label, None, None if weight is None else weight[label]
    kept = label != ignore_index
    label = label * kept
    return label, kept, kept.to(dtype) if weight is None else torch.where(kept, weight[label], 0)


def keep(values: Tensor, kept: Tensor | None) -> Tensor:
    """Put 0 in the rows that do not count. To multiply would make NaN of what is infinite there."""
    return values if kept is None else torch.where(kept, values, 0.0)


def weigh(values: Tensor, label_weight: Tensor | None) -> Tensor:
    """Multiply each row by its weight."""
    return values if label_weight is None else label_weight * values


def reduce(losses: Tensor, reduction: str) -> Tensor:
    """Keep the losses as they are, sum them, or take their mean: (...) -> (...) or ()."""
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.mean()
    return losses


def reduce_rows(losses: Tensor, label_weight: Tensor | None, reduction: str) -> Tensor:
    """Reduce; the mean is over the rows' weights, Σ ℓ / Σ w: (..., 1) -> (...) or ()."""
    if reduction == "none":
        return losses.squeeze(-1)
    if reduction == "sum" or label_weight is None:
        return reduce(losses, reduction)
    # A quotient of means: in float16 the sums over many rows would overflow.
    return losses.mean() / label_weight.mean()


def spread(grad_output: Tensor, count: int, reduction: str) -> Tensor:
    """Share the upstream gradient out to the single losses: of a mean over ``count`` each gets 1/count."""
    return grad_output / count if reduction == "mean" else grad_output


def spread_rows(
    grad_output: Tensor, label: Tensor, kept: Tensor | None, label_weight: Tensor | None, reduction: str
) -> Tensor:
    """Share it out to the rows: of a weighted mean each that counts gets 1 / Σ w: () or (...) -> (..., 1)."""
    if reduction == "none":
        return keep(grad_output.unsqueeze(-1), kept)
    if reduction == "mean":
        grad_output = grad_output / label.numel()
        if label_weight is not None:
            grad_output = grad_output / label_weight.mean()
    return keep(grad_output.expand_as(label), kept)
