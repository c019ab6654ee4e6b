"""Attention of several heads."""

import math

import torch
import torch.nn.functional
from torch import Tensor

import manualgrad.functions as F
from manualgrad.functions.scaled_dot_product_attention import attention_with_weights


class MultiheadAttention(torch.nn.MultiheadAttention):
    """Attention of several heads; see ``manualgrad.functions.scaled_dot_product_attention``.

    A query whose keys are all masked gets zeros, with ``need_weights=True`` too, where PyTorch's has NaN.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Project query, key and value, let every head attend, and project what they found."""
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: is_causal says what attn_mask is, but attn_mask is None")
        is_batched = query.dim() == 3
        if not is_batched:
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)

        weights: tuple[Tensor, ...] = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.chunk(3)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        query, key, value = map(F.linear, (query, key, value), weights, biases)  # (N, L or S, E)
        if self.bias_k is not None and self.bias_v is not None:
            key = torch.cat([key, self.bias_k.expand(len(key), 1, -1)], dim=1)
            value = torch.cat([value, self.bias_v.expand(len(value), 1, -1)], dim=1)
        if self.add_zero_attn:
            key = torch.cat([key, torch.zeros_like(key[:, :1])], dim=1)
            value = torch.cat([value, torch.zeros_like(value[:, :1])], dim=1)

        mask = None
        if attn_mask is not None:  # (L, S) or (N * heads, L, S)
            mask = _additive(attn_mask, key)
            if mask.dim() == 3:
                mask = mask.unflatten(0, (-1, self.num_heads))
        if key_padding_mask is not None:  # (N, S), or (S,) without a batch
            padding = _additive(key_padding_mask, key).reshape(len(key), 1, 1, -1)
            mask = padding if mask is None else mask + padding

        query, key, value = (
            each.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for each in (query, key, value)
        )  # (N, L or S, E) -> (N, heads, L or S, E / heads)
        dropout_p = self.dropout if self.training else 0.0
        output, probs = attention_with_weights(query, key, value, mask, dropout_p, scale=None)
        output = output.transpose(1, 2).flatten(2)  # (N, heads, L, E / heads) -> (N, L, E)
        output = F.linear(output, self.out_proj.weight, self.out_proj.bias)
        if not is_batched:
            output, probs = output.squeeze(0), probs.squeeze(0)
        elif not self.batch_first:
            output = output.transpose(0, 1)
        if not need_weights:
            return output, None
        return output, probs.mean(-3) if average_attn_weights else probs


def _additive(mask: Tensor, key: Tensor) -> Tensor:
    """Return what to add to the scores: -∞ where mask hides a key, 0 for the keys that the module adds."""
    if mask.dtype == torch.bool:
        mask = torch.where(mask, -math.inf, 0.0)
    return torch.nn.functional.pad(mask.to(key.dtype), (0, key.shape[1] - mask.shape[-1]))
