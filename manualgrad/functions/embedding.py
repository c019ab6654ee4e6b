"""Embedding: look up a row of a table for every index, a layer that learns what words mean.

Forward
-------
    y[n,d] = W[x[n],d]                     n: place in the text, x[n]: the word there, d: one of its features

The same as a linear layer without bias whose input is one-hot: Σ_v 1[x[n] = v] · W[v,d]. The sum has one term
that is not 0, so nothing is multiplied: the row is copied.

Backward
--------
G[n,d] = ∂L/∂y[n,d] is the upstream gradient (``grad_output``). W[v,d] was copied to each place n that holds
the word v, and to no other. Sum over all of them:

    ∂L/∂W[v,d] = Σ_{n: x[n] = v} G[n,d]

A word that does not occur gets 0. x is not a quantity that could change a little: it has no gradient.

Two arguments are said by decree, not by calculus: the row ``padding_idx`` gets no gradient, so that it stays
what it is, and ``scale_grad_by_freq`` divides each word's sum by the number of its places.

Forward mode
------------
A small change Ẇ of the table changes the output by ẏ[n,d] = Ẇ[x[n],d].

Saved
-----
The indices x, and how many rows the table has. The table itself, by far the largest tensor, is not needed.

Pitfalls
--------
- ``grad[x] = G`` keeps only one of the places of a repeated word. So does ``grad[x] += G``: it reads, adds
  and writes each row once. ``index_add`` adds all of them.
- The gradient has the size of the whole table, even if a batch looks up ten rows of a million.
- ``padding_idx=-1`` is the last row; a *negative* index in x itself is an error.
- ``max_norm`` shortens the rows that are looked up, in place and outside of the gradient.

Sources
-------
Bengio, Ducharme, Vincent, Jauvin, "A neural probabilistic language model", JMLR 3 (2003).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import explain_errors
from manualgrad.functions._function import Function, apply


class Embedding(Function):
    """y[n] = W[x[n]]."""

    @staticmethod
    def forward(input: Tensor, weight: Tensor, padding_idx: int | None, scale_grad_by_freq: bool) -> Tensor:
        return torch.embedding(weight, input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int | None, bool], output: Tensor) -> None:
        input, weight, *ctx.options = inputs
        ctx.shape = weight.shape
        ctx.save_for_backward(input)
        ctx.save_for_forward(input)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[None, Tensor, None, None]:
        (input,) = ctx.saved_tensors
        padding_idx, scale_grad_by_freq = ctx.options
        rows = input.flatten()  # (...) -> (N,)
        grad_rows = grad_output.reshape(len(rows), ctx.shape[1])  # (..., D) -> (N, D)
        if scale_grad_by_freq:
            counts = grad_rows.new_zeros(ctx.shape[0]).index_add(
                0, rows, grad_rows.new_ones(len(rows))
            )  # (V,)
            grad_rows = grad_rows / counts[rows].unsqueeze(1)
        if padding_idx is not None:
            grad_rows = torch.where((rows == padding_idx).unsqueeze(1), 0.0, grad_rows)
        grad_weight = grad_rows.new_zeros(ctx.shape).index_add(0, rows, grad_rows)  # (V, D)
        return None, grad_weight, None, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: None, weight_tangent: Tensor, *constants: None) -> Tensor:
        (input,) = ctx.saved_tensors
        return torch.embedding(weight_tangent, input)


def _check(input: Tensor, weight: Tensor) -> None:
    if input.dtype in (torch.int64, torch.int32) and weight.dim() == 2 and input.numel():
        least, most = input.min().item(), input.max().item()
        if least < 0 or most >= len(weight):
            raise IndexError(f"embedding: indices must be in 0..{len(weight) - 1}, got {least} to {most}")


@explain_errors(_check)
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look up a row of a table for every index.

    Parameters
    ----------
    input : Tensor
        Any shape: indices, 0 to V - 1.
    weight : Tensor
        (V, D): the table.
    padding_idx : int, optional
        A row that gets no gradient; negative ones count from the last.
    max_norm : float, optional
        Rows that are looked up and whose norm is larger are scaled to it first, in ``weight`` itself.
    norm_type : float
        The p of that norm.
    scale_grad_by_freq : bool
        Divide the gradient of each row by how often it was looked up.
    sparse : bool
        Only False: a gradient is a whole table here.

    Returns
    -------
    Tensor
        (..., D): the rows.
    """
    if sparse:
        raise ValueError("embedding: sparse gradients are left out, got sparse=True")
    if padding_idx is not None:
        if not -len(weight) <= padding_idx < len(weight):  # of a row that is not there nobody would notice
            raise ValueError(f"embedding: padding_idx must be a row of {len(weight)}, got {padding_idx}")
        padding_idx %= len(weight)
    if max_norm is not None:
        torch.embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    return apply(Embedding, input, weight, padding_idx, scale_grad_by_freq)
