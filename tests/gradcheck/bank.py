"""What the banks are made of: Functions from a forward and a formula, and seeded inputs."""
# ruff: noqa: A006  `input` is PyTorch's own name for the first argument

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as TF
from torch import Tensor
from torch.autograd import Function

Inputs = Callable[[], tuple[Any, ...]]
Formula = Callable[..., Any]


@dataclass(frozen=True)
class Entry:
    """One backward of a bank: what is checked, on what, and what the checker should say."""

    name: str
    fn: Any
    inputs: Inputs
    kind: str | None = None
    reference: Callable[..., Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)


def function(name: str, compute: Callable[..., Any]) -> type[Function]:
    """Make a Function without a backward: it saves its tensors, then its results, and keeps its numbers."""

    def forward(ctx, *arguments):
        result = compute(*arguments)
        results = (result,) if isinstance(result, Tensor) else result
        ctx.save_for_backward(*(a for a in arguments if isinstance(a, Tensor)), *results)
        ctx.numbers = [a for a in arguments if not isinstance(a, Tensor)]
        return result

    ctx = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    arguments = inspect.signature(compute).parameters.values()
    forward.__signature__ = inspect.Signature([ctx, *arguments])  # gradcheck reads the arguments' names
    return type(name, (Function,), {"forward": staticmethod(forward)})


def with_backward(base: type[Function], name: str, formula: Formula) -> type[Function]:
    """Give a Function its backward: a formula of the upstream gradients, what was saved, and the numbers.

    One gradient is the first argument's, a tuple has all of them.
    """

    def backward(ctx, *upstream):
        result = formula(*upstream, *ctx.saved_tensors, *getattr(ctx, "numbers", ()))
        others = [None] * (len(ctx.needs_input_grad) - 1)
        return result if isinstance(result, tuple) else (result, *others)

    return type(name, (base,), {"backward": staticmethod(backward)})


def wrong(
    base: type[Function],
    inputs: Inputs,
    slips: dict[str, tuple[str, Formula]],
    reference: Callable[..., Any] | None = None,
    **options: Any,
) -> list[Entry]:
    """Return an entry per slip, each with the kind that it should be given."""
    return [
        Entry(name, with_backward(base, name, formula), inputs, kind, reference, options)
        for name, (kind, formula) in slips.items()
    ]


def right(
    base: type[Function],
    inputs: Inputs,
    formulas: dict[str, Formula],
    reference: Callable[..., Any] | None = None,
    **options: Any,
) -> list[Entry]:
    """Return an entry per right formula."""
    return [
        Entry(name, with_backward(base, name, formula), inputs, None, reference, options)
        for name, formula in formulas.items()
    ]


def checked(kind: str | None, *inputs: Any, **options: Any) -> Callable[[type[Function]], Entry]:
    """Make an entry of a Function class, with the kind that it should have; None if it is right."""
    return lambda fn: Entry(fn.__name__, fn, lambda: inputs, kind, None, options)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64, grad: bool = True) -> Tensor:
    """Seeded numbers of either sign, none near 0."""
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (numbers + 0.1 * numbers.sign()).to(dtype).requires_grad_(grad)


def uniform(*shape: int, seed: int = 0, grad: bool = True) -> Tensor:
    """Seeded numbers between 0.2 and 0.8."""
    numbers = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (0.2 + 0.6 * numbers).requires_grad_(grad)


def numbers(*values: Any) -> Inputs:
    """Return these very numbers as an input."""
    return lambda: (torch.tensor(values, dtype=torch.float64),)


def labels(count: int, classes: int, seed: int = 0) -> Tensor:
    """Seeded class indices, every class among them."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % classes


def one_hot(target: Tensor, like: Tensor) -> Tensor:
    return (target.unsqueeze(1) == torch.arange(like.shape[1])).to(like)


Sigmoid = function("Sigmoid", lambda input: input.sigmoid())
Tanh = function("Tanh", lambda input: input.tanh())
ReLU = function("ReLU", lambda input: input.relu())
Exp = function("Exp", lambda input: input.exp())
Sin = function("Sin", lambda input: input.sin())
ExpAndSin = function("ExpAndSin", lambda input: (input.exp(), input.sin()))
SinCos = function("SinCos", lambda input: (input.sin(), input.cos()))
Power = function("Power", lambda input, exponent: input**exponent)
Mul = function("Mul", lambda left, right: left * right)
MatMul = function("MatMul", lambda left, right: left @ right)
Linear = function("Linear", lambda input, weight, bias: input @ weight.t() + bias)
Softmax = function("Softmax", lambda input: input.softmax(-1))
LogSoftmax = function("LogSoftmax", lambda input: input.log_softmax(-1))
LogSumExp = function("LogSumExp", lambda input: input.logsumexp(-1))
MSE = function("MSE", lambda input, target: ((input - target) ** 2).mean())
BCE = function("BCE", lambda input, target: TF.binary_cross_entropy_with_logits(input, target))
SoftmaxNLL = function("SoftmaxNLL", lambda input, target: TF.cross_entropy(input, target))
# The cross-entropy of probabilities, beside a target distribution.
ProbsCE = function("ProbsCE", lambda probs, target: -(target * probs.log()).sum(-1).mean())


# Inputs: every dimension different, so that a transposition changes a shape.
def table() -> tuple[Any, ...]:
    return (normal(4, 3, seed=1),)


def positive() -> tuple[Any, ...]:
    return (uniform(4, 3, seed=3), 3.0)


def pair() -> tuple[Any, ...]:
    return (normal(4, 3, seed=4), normal(4, 3, seed=5))


def affine() -> tuple[Any, ...]:
    return (normal(5, 3, seed=6), normal(2, 3, seed=7), normal(2, seed=8))


def square_affine() -> tuple[Any, ...]:
    return (normal(3, 3, seed=6), normal(3, 3, seed=7), normal(3, seed=8))


def regression() -> tuple[Any, ...]:
    return (normal(5, 3, seed=9), normal(5, 3, seed=10, grad=False))


def binary() -> tuple[Any, ...]:
    return (normal(5, 3, seed=11), (normal(5, 3, seed=12, grad=False) > 0).double())


def classes() -> tuple[Any, ...]:
    return (normal(6, 4, seed=13), labels(6, 4))


def distributions() -> tuple[Any, ...]:
    probs = uniform(5, 3, seed=14, grad=False)
    target = uniform(5, 3, seed=15, grad=False)
    return (probs / probs.sum(1, keepdim=True)).requires_grad_(), target / target.sum(1, keepdim=True)
