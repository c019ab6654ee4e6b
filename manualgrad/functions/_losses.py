"""What the losses share: their common dtype, labels and their weights, and the ``reduction`` argument."""

import functools
from typing import Any

import torch
from torch import Tensor


def to_common_dtype(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Convert to the dtype that PyTorch's promotion gives for all of them together; None passes."""
    dtypes = {tensor.dtype for tensor in tensors if tensor is not None}
    if len(dtypes) == 1:
        return tensors
    dtype = functools.reduce(torch.promote_types, dtypes)
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in tensors)


def classes_last(tensor: Tensor, class_dim: int) -> Tensor:
    """Move C to the end, where it is not there already: (N, C, ...) -> (N, ..., C)."""
    return tensor if class_dim == tensor.dim() - 1 else tensor.movedim(class_dim, -1)


def split_labels(
    target: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return each row's label, whether it counts, and its weight, None if all are 1: (..., 1) each.

    The label of an ignored row is 0, and so is its weight.
    """
    label = target.long().unsqueeze(-1)  # uint8 labels, too
    counts = label != ignore_index
    label = label * counts
    return label, counts, None if weight is None else mask_ignored(weight[label], counts)


def apply_weight(values: Tensor, weight: Tensor | None) -> Tensor:
    """Multiply by the weight, if there is one."""
    return values if weight is None else weight * values


def mask_ignored(values: Tensor, counts: Tensor) -> Tensor:
    """Put 0 in the ignored rows. To multiply would make NaN of what is infinite there."""
    return torch.where(counts, values, 0.0)


def reduce(losses: Tensor, reduction: str) -> Tensor:
    """Keep the losses as they are, sum them, or take their mean: (...) -> (...) or ()."""
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.mean()
    return losses


def reduce_rows(losses: Tensor, counts: Tensor, label_weight: Tensor | None, reduction: str) -> Tensor:
    """Reduce; the mean is over the rows' weights, Σ ℓ / Σ w: (..., 1) -> (...) or ()."""
    if reduction == "mean":
        mean = losses.sum(dtype=_at_least_float32(losses)) / _total_weight(counts, label_weight)
        # Under torch.compile of 2.11 what ``.to`` hands on as it is gets no gradient (pytorch#180642).
        return mean if mean.dtype == losses.dtype else mean.to(losses.dtype)
    return reduce(losses.squeeze(-1), reduction)


def _total_weight(counts: Tensor, label_weight: Tensor | None) -> Tensor:
    """Σ w, or how many rows count."""
    return counts.sum() if label_weight is None else label_weight.sum(dtype=_at_least_float32(label_weight))


def _at_least_float32(tensor: Tensor) -> torch.dtype:
    """Return a dtype in which the sum over many rows does not overflow, as in float16 it would."""
    return torch.promote_types(tensor.dtype, torch.float32)


def expand_grad(grad_output: Tensor, count: int, reduction: str) -> Tensor:
    """Return the upstream gradient of each single loss: of a mean over ``count`` each gets 1/count."""
    return grad_output / count if reduction == "mean" else grad_output


def expand_grad_rows(
    grad_output: Tensor, counts: Tensor, label_weight: Tensor | None, reduction: str
) -> Tensor:
    """Return that of each row: of a weighted mean each that counts gets 1 / Σ w: () or (...) -> (..., 1)."""
    if reduction == "none":
        return mask_ignored(grad_output.unsqueeze(-1), counts)
    if reduction == "mean":
        exact = grad_output.to(_at_least_float32(grad_output)) / _total_weight(counts, label_weight)
        grad_output = exact.to(grad_output.dtype)
    return mask_ignored(grad_output, counts)
