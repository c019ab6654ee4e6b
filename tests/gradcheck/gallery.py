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
from tests.gradcheck.bank import labels, normal, one_hot, uniform


@dataclass(frozen=True)
class Fault:
    """One fault: where it was, what it was, and what is checked."""

    thread: str
    what: str
    fn: type[Function]
    inputs: Callable[[], tuple[Any, ...]]
    reference: Callable[..., Any]
    kind: str


def rows_nll(logits, target):
    return TF.cross_entropy(logits, target, reduction="none")


def nll_in_float32(logits, target):
    """PyTorch's own in bfloat16 is, on the CPU, as far off as the fault."""
    return TF.cross_entropy(logits.float(), target)


class FirstRowsUpstream(Function):
    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        return rows_nll(logits, target)

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        return grad_output[0] * (logits.softmax(1) - one_hot(target, logits)), None


class GradientInTheInput(Function):
    """SwiGLU that writes a gradient into memory which others still read."""

    @staticmethod
    def forward(ctx, gate, up):
        ctx.save_for_backward(gate, up)
        return TF.silu(gate) * up

    @staticmethod
    def backward(ctx, grad_output):
        gate, up = ctx.saved_tensors
        s = gate.sigmoid()
        grad_gate = grad_output * up * s * (1 + gate * (1 - s))
        return grad_gate, up.copy_(grad_output * gate * s)


class RoundedBeforeSubtracting(Function):
    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        return TF.cross_entropy(logits.float(), target).to(logits.dtype)

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        probs = logits.double().softmax(1).to(logits.dtype)  # in the buffer's dtype
        return grad_output * (probs - one_hot(target, logits)) / len(logits), None


class TotalVariation(Function):
    @staticmethod
    def forward(ctx, p, q):
        ctx.save_for_backward(p, q)
        return (p - q).abs().sum(-1) / 2

    @staticmethod
    def backward(ctx, grad_output):
        p, q = ctx.saved_tensors
        grad = torch.where(p > q, 0.5, -0.5) * grad_output.unsqueeze(-1)
        return grad, -grad


def channel_norm(input, weight):
    mean, var = input.flatten(2).mean(-1), input.flatten(2).var(-1, correction=0)
    shape = (*mean.shape, *[1] * (input.dim() - 2))
    normalised = (input - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
    return normalised * weight.view(1, -1, *[1] * (input.dim() - 2))


class ChannelNorm(Function):
    """Takes the last dimension for all that is normalised, which holds for three dimensions alone."""

    @staticmethod
    def forward(ctx, input, weight):
        ctx.save_for_backward(input, weight)
        return channel_norm(input, weight)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        batch, channels, hidden = *input.shape[:2], grad_output.shape[-1]
        x, g = (t.reshape(batch, channels, hidden) for t in (input, grad_output))
        centred = x - x.mean(-1, keepdim=True)
        deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        xhat = centred / deviation
        wg = g * weight.view(1, -1, 1)
        grad = (wg - wg.mean(-1, keepdim=True) - xhat * (wg * xhat).mean(-1, keepdim=True)) / deviation
        return grad.view(input.shape), (g * xhat).sum((0, 2))


def linear_attention(q, k, v):
    scale = q.shape[-1] ** -0.5
    return torch.tril(scale * q @ k.mT) @ v


class LostScale(Function):
    @staticmethod
    def forward(ctx, q, k, v):
        ctx.save_for_backward(q, k, v)
        return linear_attention(q, k, v)

    @staticmethod
    def backward(ctx, grad_output):
        q, k, v = ctx.saved_tensors
        scale = q.shape[-1] ** -0.5
        grad_scores = torch.tril(grad_output @ v.mT)
        return scale * grad_scores @ k, grad_scores.mT @ q, torch.tril(scale * q @ k.mT).mT @ grad_output


WINDOW = 4


def causal_mean(input):
    """A causal filter, and the last inputs, which the next chunk needs; missing ones are zero."""
    padded = TF.pad(input, (WINDOW - 1, 0))
    return padded.unfold(-1, WINDOW, 1).mean(-1), padded[:, -(WINDOW - 1) :]


class ShortChunk(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.length = input.shape[1]
        return causal_mean(input)

    @staticmethod
    def backward(ctx, grad_output, grad_state):
        length = ctx.length
        grad = torch.zeros_like(grad_output)
        for lag in range(min(WINDOW, length)):
            grad = grad + TF.pad(grad_output[:, lag:], (0, lag)) / WINDOW
        start = max(0, length - (WINDOW - 1))  # which must not be clamped to read the state's slots
        grad_tail = grad_state[:, : length - start]
        return grad + TF.pad(grad_tail, (start, 0))


class RowsNobodyWrote(Function):
    @staticmethod
    def forward(ctx, input, length):
        ctx.length, ctx.shape = length, input.shape
        return 2 * input[:length]

    @staticmethod
    def backward(ctx, grad_output):
        grad = grad_output.new_empty(ctx.shape)
        grad[: ctx.length] = 2 * grad_output
        return grad, None


class FusedLoss(Function):
    """Computes its gradient in forward and hands it out in backward, whatever comes from above."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward((logits.softmax(1) - one_hot(target, logits)) / len(logits))
        return TF.cross_entropy(logits, target)

    @staticmethod
    def backward(ctx, grad_output):
        return ctx.saved_tensors[0].clone(), None


class InputsStrides(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input * input

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return 2 * input * grad_output.as_strided(input.shape, input.contiguous().stride())


def attention(scores, v):
    return scores.softmax(-1) @ v


class RingAttention(Function):
    """Goes over two blocks of keys, each with its own part of the output where the whole belongs."""

    @staticmethod
    def forward(ctx, scores, v):
        ctx.save_for_backward(scores, v)
        return attention(scores, v)

    @staticmethod
    def backward(ctx, grad_output):
        scores, v = ctx.saved_tensors
        p = scores.softmax(-1)
        half = scores.shape[-1] // 2
        parts = []
        for block in (slice(None, half), slice(half, None)):
            grad_p = grad_output @ v[block].mT
            delta = (grad_output * (p[..., block] @ v[block])).sum(-1, keepdim=True)
            parts.append(p[..., block] * (grad_p - delta))
        return torch.cat(parts, -1), p.mT @ grad_output


def soft_nll(logits, target):
    return -(target * logits.log_softmax(-1)).sum(-1).mean()


class SoftLabels(Function):
    """Takes for granted that the labels of a row sum to one, which weighted ones do not."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        return soft_nll(logits, target)

    @staticmethod
    def backward(ctx, grad_output):
        logits, target = ctx.saved_tensors
        return grad_output * (logits.softmax(-1) - target) / len(logits), None


class DividedByUpstream(Function):
    @staticmethod
    def forward(ctx, input, target):
        ctx.save_for_backward(input, target)
        return (input - target).square()

    @staticmethod
    def backward(ctx, grad_output):
        input, target = ctx.saved_tensors
        return 2 * (input - target) / grad_output, None


def sliding_max(input):
    return input.unfold(-1, 2, 1).amax(-1)


class LastWriteWins(Function):
    @staticmethod
    def forward(ctx, input):
        windows = input.unfold(-1, 2, 1)
        ctx.save_for_backward(input, windows.argmax(-1) + torch.arange(windows.shape[-2]))
        return windows.amax(-1)

    @staticmethod
    def backward(ctx, grad_output):
        input, where = ctx.saved_tensors
        return torch.zeros_like(input).scatter(-1, where, grad_output)


class CubeAndDerivative(Function):
    """The second upstream gradient is not used, and the derivative stands where the input belongs."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input**3, 3 * input**2

    @staticmethod
    def backward(ctx, grad_output, grad_derivative):
        (input,) = ctx.saved_tensors
        derivative = 3 * input**2
        return grad_output * derivative + 6 * derivative


def confident() -> tuple[Any, ...]:
    target = labels(6, 4)
    return (
        normal(6, 4, seed=1, grad=False) + 4 * one_hot(target, torch.zeros(6, 4))
    ).bfloat16().requires_grad_(), target


def soft() -> tuple[Any, ...]:
    return normal(5, 3, seed=1), uniform(5, 3, seed=2, grad=False)


GALLERY = [
    Fault("linkedin/Liger-Kernel#968", "every row gets the first row's upstream", FirstRowsUpstream,
          lambda: (normal(6, 4, seed=1), labels(6, 4)), rows_nll, "ignores-upstream"),
    Fault("linkedin/Liger-Kernel#1305", "the gradient is written into a saved input", GradientInTheInput,
          lambda: (normal(4, 3, seed=1), normal(4, 3, seed=2)), lambda x, up: TF.silu(x) * up, "mutates"),
    Fault("linkedin/Liger-Kernel#1329", "p is rounded to bfloat16 before 1 is subtracted",
          RoundedBeforeSubtracting, confident, nll_in_float32, "imprecise"),
    Fault("linkedin/Liger-Kernel#1373", "where p = q the distance has the slope of p < q",
          TotalVariation,
          lambda: (uniform(4, 3, seed=1), uniform(4, 3, seed=2)),
          lambda p, q: (p - q).abs().sum(-1) / 2, "kink"),
    Fault("linkedin/Liger-Kernel#1375", "works for three dimensions, not for four", ChannelNorm,
          lambda: (normal(2, 3, 4, 5, seed=1), normal(3, seed=2)), channel_norm, "raises"),
    Fault("fla-org/flash-linear-attention#1071", "a factor is lost in one of three gradients", LostScale,
          lambda: (normal(5, 3, seed=1), normal(5, 3, seed=2), normal(5, 2, seed=3)),
          linear_attention, "scale"),
    Fault("fla-org/flash-linear-attention#1140", "a chunk shorter than the window", ShortChunk,
          lambda: (normal(3, 2, seed=1),), causal_mean, "unknown"),
    Fault("fla-org/flash-linear-attention#892", "rows beyond the length are never written", RowsNobodyWrote,
          lambda: (normal(6, 3, seed=1), 4), lambda x, length: 2 * x[:length], "uninitialized"),
    Fault("NVIDIA/TransformerEngine#1879", "the fused loss ignores its upstream", FusedLoss,
          lambda: (normal(6, 4, seed=1), labels(6, 4)), TF.cross_entropy, "ignores-upstream"),
    Fault("pytorch/pytorch#194719", "the kernel reads the upstream by its input's strides", InputsStrides,
          lambda: (normal(4, 3, seed=1),), torch.square, "layout"),
    Fault("tenstorrent/tt-metal#53215", "each block subtracts its own part of the dot product", RingAttention,
          lambda: (normal(3, 4, seed=1), normal(4, 2, seed=2)), attention, "unknown"),
    Fault("NVIDIA-NeMo/Automodel#2428", "soft labels are taken to sum to one", SoftLabels,
          soft, soft_nll, "missing-terms"),
    Fault("harvard-edge/cs249r_book#2046", "a mutant divides by the upstream", DividedByUpstream,
          lambda: (normal(4, 3, seed=1), normal(4, 3, seed=2, grad=False)), lambda x, t: (x - t).square(),
          "ignores-upstream"),
    Fault("ahrefs/ocannl#512", "overlapping windows: the last one wins", LastWriteWins,
          lambda: (normal(3, 6, seed=1),), sliding_max, "missing-terms"),
    Fault("pytorch/pytorch, CubeGenVmap", "the second result's upstream is not used", CubeAndDerivative,
          lambda: (normal(4, 3, seed=1),), lambda x: (x**3, 3 * x**2), "ignores-upstream"),
]  # fmt: skip


def torch_passes(fault: Fault) -> bool:
    """Return whether PyTorch's own gradcheck passes it, on the same inputs in float64."""
    inputs = [
        x.detach().double().requires_grad_(x.requires_grad)
        if isinstance(x, Tensor) and x.is_floating_point()
        else x
        for x in fault.inputs()
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.autograd.gradcheck(fault.fn.apply, inputs)
    except Exception:
        return False


def sum_passes(fault: Fault) -> bool:
    """Return whether a usual test passes it: the gradient of ``.sum()`` is close to the reference's."""
    coarse = any(isinstance(x, Tensor) and x.dtype == torch.bfloat16 for x in fault.inputs())
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
