"""Scaled dot-product attention: every query takes a mean of the values, weighted by how keys match it.

Forward
-------
Softmax between two products. For each query l and each key s (E numbers each, V in a value):

    S[l,s] = α · Σ_e Q[l,e] · K[s,e] + M[l,s]        scores; α is 1/√E, M the mask
    P[l,s] = exp(S[l,s]) / Σ_k exp(S[l,k])           probabilities: each row sums to 1
    Y[l,v] = Σ_s P[l,s] · D[l,s] · V[s,v]            output; D is dropout, or 1

A sum of E products of independent numbers of variance 1 has variance E; α brings it back to 1, so that
softmax does not saturate. A mask of -∞ makes a probability 0: the causal one, for every key later than the
query. D is drawn once, before the forward: 0 with the probability p of dropout, else 1/(1 - p), which leaves
the mean of Y as it is.

Backward
--------
G[l,v] = ∂L/∂Y[l,v] is the upstream gradient (``grad_output``). P is an output too, for those who want to
see it, with an upstream gradient of its own, G'[l,s] (``grad_probs``); it is 0 where nobody asks.

The second product, as in ``linear``: V[s,v] is used by every query, and P[l,s] reaches all of Y's row l.

    ∂L/∂V[s,v] = Σ_l P[l,s] · D[l,s] · G[l,v]                       (P ∘ D)ᵀ G
    H[l,s] = ∂L/∂P[l,s] = G'[l,s] + D[l,s] · Σ_v G[l,v] · V[s,v]    G' + D ∘ G Vᵀ

Softmax, row by row, as on its own page:

    B[l,s] = ∂L/∂S[l,s] = P[l,s] · ( H[l,s] - Σ_k H[l,k] · P[l,k] )

The first product: Q[l,e] meets every key, K[s,e] every query. M is added, so its gradient is B itself.

    ∂L/∂Q[l,e] = α · Σ_s B[l,s] · K[s,e]        α B K
    ∂L/∂K[s,e] = α · Σ_l B[l,s] · Q[l,e]        α Bᵀ Q

Forward mode
------------
Ṡ = α (Q̇ Kᵀ + Q K̇ᵀ) + Ṁ, then Ṗ = P ∘ (Ṡ - Σ_k P Ṡ), then Ẏ = (D ∘ Ṗ) V + (D ∘ P) V̇.

Saved
-----
Q, K, V, P, and D if there is dropout. P has L · S numbers, which for long sequences is most of the memory:
*flash* attention works it out again in backward, block by block.

Pitfalls
--------
- A new D in backward: it must be the one that forward used. That is why it is drawn outside and handed in.
- α forgotten in one of the two gradients, or taken into both Q and K.
- A query whose keys are all masked has no probabilities: 0/0. PyTorch gives it zeros, and so do we.

Sources
-------
Vaswani and others, "Attention is all you need", NeurIPS (2017); Dao and others, "FlashAttention", NeurIPS
(2022).
"""

import math
from typing import Any

from torch import Tensor

from manualgrad.functions._attention import (
    broadcast,
    causal_mask,
    check_attention,
    draw_dropout,
    share_heads,
    widen,
)
from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class ScaledDotProductAttention(Function):
    """P = softmax(α Q Kᵀ + M) and Y = (P ∘ D) V."""

    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: Tensor | None, scale: float
    ) -> tuple[Tensor, Tensor]:
        scores = (scale * widen(query)) @ widen(key).mT  # (..., L, E) @ (..., E, S) -> (..., L, S)
        if mask is not None:
            scores = scores + mask
        probs = scores.softmax(-1)
        if mask is not None:
            probs = probs.masked_fill((scores == -math.inf).all(-1, keepdim=True), 0.0)
        output = _drop(probs, dropout) @ widen(value)  # (..., L, S) @ (..., S, V) -> (..., L, V)
        # Under torch.compile of 2.11 what ``.to`` hands on as it is gets no gradient (pytorch#180642).
        return output if output.dtype == query.dtype else output.to(query.dtype), probs

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        query, key, value, _, dropout, ctx.scale = inputs
        _, probs = output
        ctx.save_for_backward(query, key, value, probs, dropout)
        ctx.save_for_forward(query, key, value, probs, dropout)

    @staticmethod
    def backward(
        ctx: Any, grad_output: Tensor, grad_probs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None, None, None]:
        *inputs, probs, dropout = ctx.saved_tensors
        query, key, value, grad_output = map(widen, (*inputs, grad_output))
        query_needs_grad, key_needs_grad, value_needs_grad, mask_needs_grad, *_ = ctx.needs_input_grad
        grad_query = grad_key = grad_value = grad_mask = None
        grad_probs = grad_probs + _drop(grad_output @ value.mT, dropout)  # (..., L, S)
        grad_scores = probs * (grad_probs - (grad_probs * probs).sum(-1, keepdim=True))  # (..., L, S)
        dtype = inputs[0].dtype
        if query_needs_grad:
            grad_query = (ctx.scale * (grad_scores @ key)).to(dtype)  # (..., L, S) @ (..., S, E)
        if key_needs_grad:
            grad_key = (ctx.scale * (grad_scores.mT @ query)).to(dtype)  # (..., S, L) @ (..., L, E)
        if value_needs_grad:
            grad_value = (_drop(probs, dropout).mT @ grad_output).to(dtype)  # (..., S, L) @ (..., L, V)
        if mask_needs_grad:
            grad_mask = grad_scores.to(dtype)
        return grad_query, grad_key, grad_value, grad_mask, None, None

    @staticmethod
    def jvp(
        ctx: Any, query_tangent: Tensor, key_tangent: Tensor, value_tangent: Tensor, *tangents: Any
    ) -> tuple[Tensor, Tensor]:
        *inputs, probs, dropout = ctx.saved_tensors
        query, key, value = map(widen, inputs)
        query_tangent, key_tangent, value_tangent = map(widen, (query_tangent, key_tangent, value_tangent))
        mask_tangent, _, _ = tangents
        scores_tangent = ctx.scale * (query_tangent @ key.mT + query @ key_tangent.mT)  # (..., L, S)
        if mask_tangent is not None:
            scores_tangent = scores_tangent + mask_tangent
        probs_tangent = probs * (scores_tangent - (probs * scores_tangent).sum(-1, keepdim=True))
        output_tangent = _drop(probs_tangent, dropout) @ value + _drop(probs, dropout) @ value_tangent
        return output_tangent.to(inputs[0].dtype), probs_tangent


def _drop(probs: Tensor, dropout: Tensor | None) -> Tensor:
    """Multiply by D, which without dropout is 1."""
    return probs if dropout is None else probs * dropout


@explain_errors(check_attention)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Take, for every query, the mean of the values, weighted by the softmax of its products with the keys.

    Parameters
    ----------
    query : Tensor
        (..., L, E).
    key : Tensor
        (..., S, E).
    value : Tensor
        (..., S, V).
    attn_mask : Tensor, optional
        What broadcasts to (..., L, S): truth values, where False hides a key from a query, or numbers to add.
    dropout_p : float
        Share of the probabilities that are set to zero.
    is_causal : bool
        Hide from every query the keys behind it, in place of ``attn_mask``.
    scale : float, optional
        Factor of the products; 1 / sqrt(E) if it is not given.
    enable_gqa : bool
        Let neighbouring heads of the query, (..., heads, L, E), share one head of key and value.

    Returns
    -------
    Tensor
        (..., L, V).
    """
    if min(query.dim(), key.dim(), value.dim()) < 2:
        check_attention(query, key, value, attn_mask, enable_gqa)
    if is_causal:
        if attn_mask is not None:
            raise ValueError("scaled_dot_product_attention: attn_mask must be None where is_causal is True")
        attn_mask = causal_mask(query, key)
    if enable_gqa:
        key, value = share_heads(query, key), share_heads(query, value)
    return attention_with_weights(query, key, value, attn_mask, dropout_p, scale)[0]


def attention_with_weights(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout_p: float, scale: float | None
) -> tuple[Tensor, Tensor]:
    """Return attention's output with the weights behind it: the probabilities, after dropout."""
    query, key, value, attn_mask = broadcast(query, key, value, attn_mask)
    dropout = draw_dropout(query, key, dropout_p)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    arguments = (query, key, value, attn_mask, dropout, scale)
    output, probs = apply(ScaledDotProductAttention, *arguments, autocast="lower-precision")
    return output, _drop(probs, dropout)
