"""Real faults, rebuilt small for the CPU: ``python -m tests.gradcheck.gallery`` prints what each check says.

Each is a Function of our own after a public thread. Two usual checks stand beside ours: PyTorch's own
gradcheck in float64, and ``allclose`` of ``f(x).sum()``'s gradient to a reference's, in the inputs' dtype.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as TF
from torch import Tensor
from torch.autograd import Function

from manualgrad.gradcheck import gradcheck
from tests.gradcheck.bank import function, labels, normal, one_hot, uniform, with_backward


@dataclass(frozen=True)
class Fault:
    """One fault: where it was, what it was, and what is checked."""

    thread: str
    what: str
    kind: str
    fn: type[Function]
    arguments: tuple[Any, ...]
    reference: Callable[..., Any]

    def inputs(self, dtype: torch.dtype | None = None) -> tuple[Any, ...]:
        """Return copies, for a fault may write into them."""
        return tuple(
            x.detach().to(dtype or x.dtype, copy=True).requires_grad_(x.requires_grad)
            if isinstance(x, Tensor) and x.is_floating_point()
            else x
            for x in self.arguments
        )


def fault(
    thread: str,
    what: str,
    kind: str,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    reference: Callable[..., Any] | None = None,
) -> Fault:
    """Make a fault of a right forward, which is its own reference, and a formula for its backward."""
    fn = with_backward(function(forward.__name__, forward), forward.__name__, backward)
    return Fault(thread, what, kind, fn, inputs, reference or forward)


def rows_nll(logits, target):
    return TF.cross_entropy(logits, target, reduction="none")


def first_rows_upstream(g, logits, target, y):
    return g[0] * (logits.softmax(1) - one_hot(target, logits))


def swiglu(gate, up):
    return TF.silu(gate) * up


def gradient_in_the_input(g, gate, up, y):
    """Write a gradient into memory which others still read."""
    s = gate.sigmoid()
    return g * up * s * (1 + gate * (1 - s)), up.copy_(g * gate * s)


def nll_in_float32(logits, target):
    """PyTorch's own in bfloat16 is, on the CPU, as far off as the fault."""
    return TF.cross_entropy(logits.float(), target)


def nll(logits, target):
    return nll_in_float32(logits, target).to(logits.dtype)


def rounded_before_subtracting(g, logits, target, y):
    probs = logits.double().softmax(1).to(logits.dtype)  # in the buffer's dtype
    return g * (probs - one_hot(target, logits)) / len(logits)


def total_variation(p, q):
    return (p - q).abs().sum(-1) / 2


def slope_of_less(g, p, q, y):
    grad = torch.where(p > q, 0.5, -0.5) * g.unsqueeze(-1)
    return grad, -grad


def channel_norm(input, weight):
    mean, var = input.flatten(2).mean(-1), input.flatten(2).var(-1, correction=0)
    shape = (*mean.shape, *[1] * (input.dim() - 2))
    normalised = (input - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
    return normalised * weight.view(1, -1, *[1] * (input.dim() - 2))


def last_dimension_alone(g, input, weight, y):
    """Take the last dimension for all that is normalised, which holds for three dimensions alone."""
    x, g = (t.reshape(*input.shape[:2], g.shape[-1]) for t in (input, g))
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    xhat, wg = centred / deviation, g * weight.view(1, -1, 1)
    grad = (wg - wg.mean(-1, keepdim=True) - xhat * (wg * xhat).mean(-1, keepdim=True)) / deviation
    return grad.view(input.shape), (g * xhat).sum((0, 2))


def linear_attention(q, k, v):
    return torch.tril(q.shape[-1] ** -0.5 * q @ k.mT) @ v


def lost_scale(g, q, k, v, y):
    scale = q.shape[-1] ** -0.5
    scores = torch.tril(g @ v.mT)
    return scale * scores @ k, scores.mT @ q, torch.tril(scale * q @ k.mT).mT @ g


WINDOW = 4


def causal_mean(input):
    """A causal filter, and the last inputs, which the next chunk needs; missing ones are zero."""
    padded = TF.pad(input, (WINDOW - 1, 0))
    return padded.unfold(-1, WINDOW, 1).mean(-1), padded[:, -(WINDOW - 1) :]


def short_chunk(g, grad_state, input, y, state):
    length = input.shape[1]
    grad = torch.zeros_like(g)
    for lag in range(min(WINDOW, length)):
        grad = grad + TF.pad(g[:, lag:], (0, lag)) / WINDOW
    start = max(0, length - (WINDOW - 1))  # which must not be clamped to read the state's slots
    return grad + TF.pad(grad_state[:, : length - start], (start, 0))


def first_rows(input, length):
    return 2 * input[:length]


def rows_nobody_wrote(g, input, y, length):
    grad = torch.empty_like(input)
    grad[:length] = 2 * g
    return grad


def read_by_the_inputs_strides(g, input, y):
    return 2 * input * g.as_strided(input.shape, input.contiguous().stride())


def attention(scores, v):
    return scores.softmax(-1) @ v


def blocks_own_part(g, scores, v, y):
    """Go over two blocks of keys, each with its own part of the output where the whole belongs."""
    p, half, parts = scores.softmax(-1), scores.shape[-1] // 2, []
    for block in (slice(None, half), slice(half, None)):
        delta = (g * (p[..., block] @ v[block])).sum(-1, keepdim=True)
        parts.append(p[..., block] * (g @ v[block].mT - delta))
    return torch.cat(parts, -1), p.mT @ g


def soft_nll(logits, target):
    return -(target * logits.log_softmax(-1)).sum(-1).mean()


def sliding_max(input):
    return input.unfold(-1, 2, 1).amax(-1)


def last_write_wins(g, input, y):
    windows = input.unfold(-1, 2, 1)
    return torch.zeros_like(input).scatter(-1, windows.argmax(-1) + torch.arange(windows.shape[-2]), g)


class FusedLoss(Function):
    """Computes its gradient in forward and hands it out in backward, whatever comes from above."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward((logits.softmax(1) - one_hot(target, logits)) / len(logits))
        return TF.cross_entropy(logits, target)

    @staticmethod
    def backward(ctx, grad_output):
        return ctx.saved_tensors[0].clone(), None


def confident() -> Tensor:
    sure = normal(6, 4, seed=1, grad=False) + 4 * one_hot(LABELS, torch.zeros(6, 4))
    return sure.bfloat16().requires_grad_()


LABELS, LOGITS = labels(6, 4), normal(6, 4, seed=1)
LEFT, RIGHT = normal(4, 3, seed=1), normal(4, 3, seed=2)

GALLERY = [
    fault("linkedin/Liger-Kernel#968", "every row gets the first row's upstream", "ignores-upstream",
          rows_nll, first_rows_upstream, LOGITS, LABELS),
    fault("linkedin/Liger-Kernel#1305", "the gradient is written into a saved input", "mutates",
          swiglu, gradient_in_the_input, LEFT, RIGHT),
    fault("linkedin/Liger-Kernel#1329", "p is rounded to bfloat16 before 1 is subtracted", "imprecise",
          nll, rounded_before_subtracting, confident(), LABELS, reference=nll_in_float32),
    fault("linkedin/Liger-Kernel#1373", "where p = q the distance has the slope of p < q", "kink",
          total_variation, slope_of_less, uniform(4, 3, seed=1), uniform(4, 3, seed=2)),
    fault("linkedin/Liger-Kernel#1375", "works for three dimensions, not for four", "raises",
          channel_norm, last_dimension_alone, normal(2, 3, 4, 5, seed=1), normal(3, seed=2)),
    fault("fla-org/flash-linear-attention#1071", "a factor is lost in one of three gradients", "scale",
          linear_attention, lost_scale, normal(5, 3, seed=1), normal(5, 3, seed=2), normal(5, 2, seed=3)),
    fault("fla-org/flash-linear-attention#1140", "a chunk shorter than the window", "unknown",
          causal_mean, short_chunk, normal(3, 2, seed=1)),
    fault("fla-org/flash-linear-attention#892", "rows beyond the length are never written", "uninitialized",
          first_rows, rows_nobody_wrote, normal(6, 3, seed=1), 4),
    Fault("NVIDIA/TransformerEngine#1879", "the fused loss ignores its upstream", "ignores-upstream",
          FusedLoss, (LOGITS, LABELS), TF.cross_entropy),
    fault("pytorch/pytorch#194719", "the kernel reads the upstream by its input's strides", "layout",
          lambda x: x * x, read_by_the_inputs_strides, LEFT),
    fault("tenstorrent/tt-metal#53215", "each block subtracts its own part of the dot product", "unknown",
          attention, blocks_own_part, normal(3, 4, seed=1), normal(4, 2, seed=2)),
    fault("NVIDIA-NeMo/Automodel#2428", "soft labels are taken to sum to one", "missing-terms",
          soft_nll, lambda g, x, t, y: g * (x.softmax(-1) - t) / len(x),
          normal(5, 3, seed=1), uniform(5, 3, seed=2, grad=False)),
    fault("harvard-edge/cs249r_book#2046", "a mutant divides by the upstream", "ignores-upstream",
          lambda x, target: (x - target).square(), lambda g, x, t, y: 2 * (x - t) / g,
          LEFT, RIGHT.detach()),
    fault("ahrefs/ocannl#512", "overlapping windows: the last one wins", "missing-terms",
          sliding_max, last_write_wins, normal(3, 6, seed=1)),
    # The derivative stands where the input belongs, too.
    fault("pytorch/pytorch, CubeGenVmap", "the second result's upstream is not used", "ignores-upstream",
          lambda x: (x**3, 3 * x**2), lambda g, h, x, y, d: g * d + 6 * d, LEFT),
]  # fmt: skip


def torch_passes(fault: Fault) -> bool:
    """Return whether PyTorch's own gradcheck passes it, on the same inputs in float64."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.autograd.gradcheck(fault.fn.apply, fault.inputs(torch.float64))
    except Exception:
        return False


def sum_passes(fault: Fault) -> bool:
    """Return whether a usual test passes it: the gradient of ``.sum()`` is close to the reference's."""
    coarse = any(isinstance(x, Tensor) and x.dtype == torch.bfloat16 for x in fault.arguments)
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if coarse else {"rtol": 1e-4, "atol": 1e-6}
    try:
        yours, theirs = (_gradients_of_sum(f, fault.inputs()) for f in (fault.fn.apply, fault.reference))
    except Exception:
        return False
    return all(torch.allclose(a, b, **tolerance, equal_nan=True) for a, b in zip(yours, theirs, strict=True))


def _gradients_of_sum(function: Callable[..., Any], inputs: tuple[Any, ...]) -> list[Tensor]:
    results = function(*inputs)
    first = results[0] if isinstance(results, tuple) else results
    return list(
        torch.autograd.grad(first.sum(), [x for x in inputs if isinstance(x, Tensor) and x.requires_grad])
    )


def rows() -> list[tuple[str, str, str, str, str]]:
    """Return the gallery's table, without its head."""
    found = []
    for fault in GALLERY:
        report = gradcheck(fault.fn, fault.inputs(), fault.reference)
        ours = report.findings[0].kind if not report.ok else "passes"
        verdicts = ["passes" if passes(fault) else "fails" for passes in (torch_passes, sum_passes)]
        found.append((fault.thread, fault.what, *verdicts, ours))
    return found


def main() -> None:
    """Print the table in Markdown, as docs/gradcheck.md has it."""
    head = ("thread", "fault", "torch.autograd.gradcheck", "allclose of .sum()", "manualgrad")
    for row in (head, ("---",) * len(head), *rows()):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
