"""LSTM gates: what a memory cell forgets, takes in and shows.

Forward
-------
A cell remembers one number c for each of its H units. Each unit gets four numbers, a = x Wᵀ + h Uᵀ + b:
``lstm_cell`` makes them with ``linear``, whose page derives the products. Three become gates, doors
between 0 (shut) and 1 (open), and one the candidate for the memory:

    i = σ(a₁)        input gate: how much of the candidate to take in
    f = σ(a₂)        forget gate: how much of the old memory to leave
    g = tanh(a₃)     candidate
    o = σ(a₄)        output gate: how much of the memory to show

    c' = f · c + i · g                the new memory, ``next_cell``
    h' = o · t    with t = tanh(c')   what the cell shows, ``hidden``

Backward
--------
Every unit depends on its own numbers only. There are two outputs, so two upstream gradients: Gh
(``grad_hidden``) for h' and Gc (``grad_next_cell``) for c'. c' reaches L on two paths, by itself and through
h'; D is their sum, the whole ∂L/∂c':

    D = Gc + Gh · o · (1 - t²)

c' is a sum of two products, and in a product each factor has the other for its derivative:

    ∂L/∂f = D · c        ∂L/∂c = D · f        ∂L/∂i = D · g        ∂L/∂g = D · i

The output gate is on the way to h' alone: ∂L/∂o = Gh · t. Each gate passes this on through its own σ or
tanh, with σ' = σ · (1 - σ) and tanh' = 1 - tanh²:

    ∂L/∂a₁ = D · g · i · (1 - i)        ∂L/∂a₂ = D · c · f · (1 - f)
    ∂L/∂a₃ = D · i · (1 - g²)           ∂L/∂a₄ = Gh · t · o · (1 - o)

Over many steps the memory's own path is the product of its forget gates. Where f = 1 it loses nothing,
while a plain cell's h' = tanh(a) multiplies by 1 - h'² and a weight in each step, and its gradient
vanishes.

Forward mode
------------
ċ' = ḟ · c + f · ċ + i̇ · g + i · ġ and ḣ' = ȯ · t + o · (1 - t²) · ċ', with ḟ = f · (1 - f) · ȧ₂ and so on.

Saved
-----
a, c and c'. The gates are no outputs: a second derivative would miss how they depend on a. They are worked
out again.

Pitfalls
--------
- Gc alone in place of D: the last step has Gc = 0, so everything that h' tells the memory is lost.
- The four blocks are in PyTorch's order i, f, g, o. Other libraries have another; the shapes do not tell.
- A gate that is wide open or tightly shut has f · (1 - f) = 0: its weights learn nothing more.

Sources
-------
Hochreiter, Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); Gers, Schmidhuber, Cummins,
"Learning to forget", Neural Computation 12 (2000), for the forget gate.
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions.linear import linear


class LSTMGates(Function):
    """c' = f c + i g and h' = o tanh(c'), elementwise."""

    @staticmethod
    def forward(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = _open(gates)
        next_cell = f * cell + i * g  # (N, H)
        return o * next_cell.tanh(), next_cell

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
        _, next_cell = output
        ctx.save_for_backward(*inputs, next_cell)
        ctx.save_for_forward(*inputs, next_cell)

    @staticmethod
    def backward(
        ctx: Any, grad_hidden: Tensor, grad_next_cell: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        gates, cell, next_cell = ctx.saved_tensors
        i, f, g, o = _open(gates)
        t = next_cell.tanh()
        grad_memory = grad_next_cell + grad_hidden * o * (1 - t * t)  # D: both paths, (N, H)
        grad_gates = grad_cell = None
        if ctx.needs_input_grad[0]:
            grad_i = grad_memory * g * i * (1 - i)
            grad_f = grad_memory * cell * f * (1 - f)
            grad_g = grad_memory * i * (1 - g * g)
            grad_o = grad_hidden * t * o * (1 - o)
            grad_gates = torch.cat([grad_i, grad_f, grad_g, grad_o], dim=-1)  # (N, 4H)
        if ctx.needs_input_grad[1]:
            grad_cell = grad_memory * f
        return grad_gates, grad_cell

    @staticmethod
    def jvp(ctx: Any, gates_tangent: Tensor, cell_tangent: Tensor) -> tuple[Tensor, Tensor]:
        gates, cell, next_cell = ctx.saved_tensors
        i, f, g, o = _open(gates)
        t = next_cell.tanh()
        i_tangent, f_tangent, g_tangent, o_tangent = gates_tangent.chunk(4, dim=-1)
        next_cell_tangent = (
            f_tangent * f * (1 - f) * cell
            + f * cell_tangent
            + i_tangent * i * (1 - i) * g
            + i * g_tangent * (1 - g * g)
        )
        return o_tangent * o * (1 - o) * t + o * (1 - t * t) * next_cell_tangent, next_cell_tangent


def _open(gates: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Apply the activations: (N, 4H) -> i, f, g and o, each (N, H)."""
    i, f, g, o = gates.chunk(4, dim=-1)
    return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()


@explain_errors()
def lstm_gates(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Update the memory of LSTM cells, given their gates before they are squashed.

    Parameters
    ----------
    gates : Tensor
        (..., 4H): for input gate, forget gate, candidate and output gate, H numbers each.
    cell : Tensor
        (..., H), the memory so far.

    Returns
    -------
    tuple of Tensor
        What the cells show, and their new memory; both (..., H).
    """
    check_floating("lstm_gates", gates=gates, cell=cell)
    if cell.dim() == 0 or gates.shape != (*cell.shape[:-1], 4 * cell.shape[-1]):
        raise ValueError(
            f"lstm_gates: gates must be four times as wide as cell {tuple(cell.shape)}, "
            f"got {tuple(gates.shape)}"
        )
    return apply(LSTMGates, gates, cell)


def lstm_cell(
    input: Tensor,
    hx: tuple[Tensor, Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Take one step of an LSTM.

    Parameters
    ----------
    input : Tensor
        (..., I).
    hx : tuple of Tensor
        What the cells showed in the step before, and their memory; both (..., H).
    w_ih, w_hh : Tensor
        (4H, I) and (4H, H).
    b_ih, b_hh : Tensor, optional
        (4H,).

    Returns
    -------
    tuple of Tensor
        What the cells show now, and their new memory; both (..., H).
    """
    hidden, cell = hx
    if hidden.shape[:-1] != input.shape[:-1] or cell.shape != hidden.shape:
        raise ValueError(
            "lstm_cell: hx must be two tensors of one shape, with a row for each of input's, "
            f"got {tuple(hidden.shape)} and {tuple(cell.shape)} for input {tuple(input.shape)}"
        )
    return lstm_gates(linear(input, w_ih, b_ih) + linear(hidden, w_hh, b_hh), cell)
