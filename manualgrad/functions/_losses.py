"""What the losses share: rows of classes, labels and their weights, one dtype, the ``reduction`` argument."""

import functools
import math
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


def to_rows(input: Tensor) -> Tensor:
    """Make a row of the classes at each place: (C,) or (N, C, d1, ...) -> (N, C)."""
    if input.dim() == 1:
        return input.unsqueeze(0)
    if input.dim() == 0:
        raise ValueError("expected input of shape (C,), (N, C) or (N, C, d1, ...), got ()")
    batch, classes, *places = input.shape
    return input.movedim(1, -1).reshape(batch * math.prod(places), classes)


def split_labels(
    target: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return each row's label, whether it counts, and its weight, None if all are 1: (N, 1) each.

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


def expand_grad(grad_output: Tensor, count: int, reduction: str) -> Tensor:
    """Return the upstream gradient of each single loss: of a mean over ``count`` each gets 1/count."""
    return grad_output / count if reduction == "mean" else grad_output


def expand_grad_rows(
    grad_output: Tensor, counts: Tensor, label_weight: Tensor | None, reduction: str
) -> Tensor:
    """Return that of each row: of a weighted mean each that counts gets 1 / Σ w: () or (N,) -> (N, 1)."""
    if reduction == "none":
        grad_output = grad_output.unsqueeze(-1)
    elif reduction == "mean":
        grad_output = grad_output / (counts if label_weight is None else label_weight).sum()
    return mask_ignored(grad_output, counts)
