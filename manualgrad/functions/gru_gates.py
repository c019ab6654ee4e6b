"""GRU gates: a cell that shows all of its memory, and replaces a part of it in each step.

Forward
-------
Each of H units has one number h, its memory and its output at once. The input gives it three numbers a = x
Wᵀ + b, the memory three more, u = h Uᵀ + b': ``gru_cell`` makes both with ``linear``, whose page
derives the products.

    r = σ(a₁ + u₁)              reset gate: how much of the memory the candidate may see
    z = σ(a₂ + u₂)              update gate: how much of the memory stays
    n = tanh(a₃ + r · u₃)       candidate

    h' = (1 - z) · n + z · h

Backward
--------
Every unit depends on its own numbers only. G = ∂L/∂h' is the upstream gradient (``grad_output``). h' is a
mixture of n and h, and z moves it from the one to the other:

    ∂L/∂n = G · (1 - z)        ∂L/∂z = G · (h - n)        ∂L/∂h = G · z

Through the squashing, with tanh' = 1 - tanh² and σ' = σ · (1 - σ):

    A₃ = ∂L/∂a₃ = G · (1 - z) · (1 - n²)
    A₂ = ∂L/∂a₂ = G · (h - n) · z · (1 - z)

r is a factor of u₃ on the way into the candidate, so it gets what arrives there, times u₃:

    A₁ = ∂L/∂a₁ = A₃ · u₃ · r · (1 - r)

a and u enter as a sum, and get the same gradient, but in the third block, where r stands before u:

    ∂L/∂a = A₁, A₂, A₃        ∂L/∂u = A₁, A₂, A₃ · r

h has a second path, through u; that one is in ``linear``'s backward, and autograd adds the two.

Forward mode
------------
ḣ' = (1 - z) · ṅ + ż · (h - n) + z · ḣ, with ṅ = (1 - n²) · (ȧ₃ + ṙ · u₃ + r · u̇₃), ṙ = r · (1 - r) · (ȧ₁ +
u̇₁) and ż = z · (1 - z) · (ȧ₂ + u̇₂).

Saved
-----
a, u and h. The gates are no outputs: a second derivative would miss how they depend on a and u. They are
worked out again.

Pitfalls
--------
- The first paper multiplies the memory by r before the product with U: tanh(a₃ + (r · h) U₃ᵀ). PyTorch's
  form, which needs one product a step, is another function, with another gradient.
- z is what stays. In the first paper 1 - z stays in some versions; the sign of ∂L/∂z tells.

Sources
-------
Cho and others, "Learning phrase representations using RNN encoder-decoder", EMNLP (2014).
"""

from typing import Any

import torch
from torch import Tensor

from manualgrad.functions._checks import check_floating, explain_errors
from manualgrad.functions._function import Function, apply
from manualgrad.functions.linear import linear


class GRUGates(Function):
    """h' = (1 - z) n + z h, elementwise."""

    @staticmethod
    def forward(input_gates: Tensor, hidden_gates: Tensor, hidden: Tensor) -> Tensor:
        _, z, n, _ = _open(input_gates, hidden_gates)
        return (1 - z) * n + z * hidden  # (N, H)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        input_gates, hidden_gates, hidden = ctx.saved_tensors
        input_gates_need_grad, hidden_gates_need_grad, hidden_needs_grad = ctx.needs_input_grad
        r, z, n, u = _open(input_gates, hidden_gates)
        grad_candidate = grad_output * (1 - z) * (1 - n * n)  # A₃, (N, H)
        grad_update = grad_output * (hidden - n) * z * (1 - z)  # A₂
        grad_reset = grad_candidate * u * r * (1 - r)  # A₁
        grad_input_gates = grad_hidden_gates = grad_hidden = None
        if input_gates_need_grad:
            grad_input_gates = torch.cat([grad_reset, grad_update, grad_candidate], dim=-1)  # (N, 3H)
        if hidden_gates_need_grad:
            grad_hidden_gates = torch.cat([grad_reset, grad_update, grad_candidate * r], dim=-1)  # (N, 3H)
        if hidden_needs_grad:
            grad_hidden = grad_output * z
        return grad_input_gates, grad_hidden_gates, grad_hidden

    @staticmethod
    def jvp(
        ctx: Any, input_gates_tangent: Tensor, hidden_gates_tangent: Tensor, hidden_tangent: Tensor
    ) -> Tensor:
        input_gates, hidden_gates, hidden = ctx.saved_tensors
        r, z, n, u = _open(input_gates, hidden_gates)
        a1, a2, a3 = input_gates_tangent.chunk(3, dim=-1)
        u1, u2, u3 = hidden_gates_tangent.chunk(3, dim=-1)
        n_tangent = (1 - n * n) * (a3 + r * (1 - r) * (a1 + u1) * u + r * u3)
        return (1 - z) * n_tangent + z * (1 - z) * (a2 + u2) * (hidden - n) + z * hidden_tangent


def _open(input_gates: Tensor, hidden_gates: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Apply the activations: twice (N, 3H) -> r, z, n, and u₃ as it is, each (N, H)."""
    a1, a2, a3 = input_gates.chunk(3, dim=-1)
    u1, u2, u3 = hidden_gates.chunk(3, dim=-1)
    r = torch.sigmoid(a1 + u1)
    return r, torch.sigmoid(a2 + u2), torch.tanh(a3 + r * u3), u3


@explain_errors()
def gru_gates(input_gates: Tensor, hidden_gates: Tensor, hidden: Tensor) -> Tensor:
    """Update the memory of GRU cells, given their gates before they are squashed.

    Parameters
    ----------
    input_gates : Tensor
        (..., 3H): what the input has to say to reset gate, update gate and candidate, H numbers each.
    hidden_gates : Tensor
        (..., 3H): what the memory has to say to them.
    hidden : Tensor
        (..., H), the memory so far.

    Returns
    -------
    Tensor
        (..., H), the new memory.
    """
    check_floating("gru_gates", input_gates=input_gates, hidden_gates=hidden_gates, hidden=hidden)
    expected = (*hidden.shape[:-1], 3 * hidden.shape[-1]) if hidden.dim() else None
    if input_gates.shape != expected or hidden_gates.shape != expected:
        raise ValueError(
            f"gru_gates: both gates must be three times as wide as hidden {tuple(hidden.shape)}, "
            f"got {tuple(input_gates.shape)} and {tuple(hidden_gates.shape)}"
        )
    return apply(GRUGates, input_gates, hidden_gates, hidden)


def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Take one step of a GRU.

    Parameters
    ----------
    input : Tensor
        (..., I).
    hx : Tensor
        (..., H), the memory so far.
    w_ih, w_hh : Tensor
        (3H, I) and (3H, H).
    b_ih, b_hh : Tensor, optional
        (3H,).

    Returns
    -------
    Tensor
        (..., H), the new memory.
    """
    return gru_gates(linear(input, w_ih, b_ih), linear(hx, w_hh, b_hh), hx)
