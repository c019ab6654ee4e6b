"""What attention takes besides three matrices: masks, batches that broadcast, heads that share their keys."""

import math

import torch
from torch import Tensor

from manualgrad.functions._checks import check_broadcasts

NAME = "scaled_dot_product_attention"


def check_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, enable_gqa: bool
) -> None:
    """Raise a ValueError unless matrices and mask fit together, and the heads divide query's."""
    shapes = f"got query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)}"
    if (
        min(query.dim(), key.dim(), value.dim()) < 2
        or query.shape[-1] != key.shape[-1]
        or key.shape[-2] != value.shape[-2]
    ):
        raise ValueError(f"{NAME}: query, key, value must be (..., L, E), (..., S, E), (..., S, V), {shapes}")
    if enable_gqa and (
        query.dim() < 3 or query.shape[-3] % key.shape[-3] or query.shape[-3] % value.shape[-3]
    ):
        raise ValueError(f"{NAME}: the heads of key and of value must divide those of query, {shapes}")
    scores = (query.shape[-2], key.shape[-2])
    check_broadcasts(NAME, scores, attn_mask=attn_mask if attn_mask is None or attn_mask.dim() < 3 else None)


def causal_mask(query: Tensor, key: Tensor) -> Tensor:
    """Return what hides from every query the keys behind it: -∞ above the diagonal, (L, S)."""
    return query.new_full((query.shape[-2], key.shape[-2]), -math.inf).triu(1)


def share_heads(query: Tensor, shared: Tensor) -> Tensor:
    """Repeat every head of a key or a value for the heads of query that share it."""
    return shared.repeat_interleave(query.shape[-3] // shared.shape[-3], dim=-3)


def broadcast(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Give all the same leading dimensions, and the mask numbers to add: -∞ where it is False."""
    if attn_mask is None and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        return query, key, value, None
    masks = [] if attn_mask is None else [attn_mask.shape[:-2]]
    batch = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2], *masks)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            attn_mask = torch.where(attn_mask, 0.0, -math.inf).to(query.dtype)
        attn_mask = attn_mask.expand(*batch, query.shape[-2], key.shape[-2])
    query, key, value = (each.expand(*batch, *each.shape[-2:]) for each in (query, key, value))
    return query, key, value, attn_mask


def draw_dropout(query: Tensor, key: Tensor, dropout_p: float) -> Tensor | None:
    """Return a factor for each probability: 0, or what leaves their mean as it is."""
    if not dropout_p:
        return None
    return torch.dropout(query.new_ones(*query.shape[:-1], key.shape[-2]), dropout_p, train=True)


def widen(tensor: Tensor) -> Tensor:
    """Give half precision the digits of float32: scores are rounded to whole numbers, differences cancel."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
