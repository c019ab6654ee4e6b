"""Forwards that students write, each with a right backward to slip in: the banks are made of subclasses.

A forward saves its arguments first, then what else its backward reads.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as TF
from torch import Tensor
from torch.autograd import Function


@dataclass(frozen=True)
class Entry:
    """One backward of a bank: what is checked, on what, and what the checker should say."""

    name: str
    fn: Any
    inputs: Callable[[], tuple[Any, ...]]
    kind: str | None = None
    reference: Callable[..., Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64, grad: bool = True) -> Tensor:
    """Seeded numbers of either sign, none near 0."""
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (numbers + 0.1 * numbers.sign()).to(dtype).requires_grad_(grad)


def uniform(*shape: int, seed: int = 0, grad: bool = True) -> Tensor:
    """Seeded numbers between 0.2 and 0.8."""
    numbers = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (0.2 + 0.6 * numbers).requires_grad_(grad)


def labels(count: int, classes: int, seed: int = 0) -> Tensor:
    """Seeded class indices, every class among them."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % classes


class Saving(Function):
    """Saves its tensor arguments and its output, and hangs the numbers on ctx."""

    compute: Callable[..., Tensor]

    @classmethod
    def run(cls, ctx: Any, *arguments: Any) -> Tensor:
        output = cls.compute(*arguments)
        ctx.save_for_backward(*(a for a in arguments if isinstance(a, Tensor)), output)
        ctx.numbers = [a for a in arguments if not isinstance(a, Tensor)]
        return output


class Sigmoid(Saving):
    compute = staticmethod(torch.sigmoid)

    @staticmethod
    def forward(ctx, input):
        return Sigmoid.run(ctx, input)


class Tanh(Saving):
    compute = staticmethod(torch.tanh)

    @staticmethod
    def forward(ctx, input):
        return Tanh.run(ctx, input)


class ReLU(Saving):
    compute = staticmethod(torch.relu)

    @staticmethod
    def forward(ctx, input):
        return ReLU.run(ctx, input)


class Exp(Saving):
    compute = staticmethod(torch.exp)

    @staticmethod
    def forward(ctx, input):
        return Exp.run(ctx, input)


class Sin(Saving):
    compute = staticmethod(torch.sin)

    @staticmethod
    def forward(ctx, input):
        return Sin.run(ctx, input)


class Power(Saving):
    compute = staticmethod(torch.pow)

    @staticmethod
    def forward(ctx, input, exponent):
        return Power.run(ctx, input, exponent)


class Mul(Saving):
    compute = staticmethod(torch.mul)

    @staticmethod
    def forward(ctx, left, right):
        return Mul.run(ctx, left, right)


class MatMul(Saving):
    compute = staticmethod(torch.matmul)

    @staticmethod
    def forward(ctx, left, right):
        return MatMul.run(ctx, left, right)


class Softmax(Saving):
    compute = staticmethod(lambda x: torch.softmax(x, -1))

    @staticmethod
    def forward(ctx, input):
        return Softmax.run(ctx, input)


class LogSoftmax(Saving):
    compute = staticmethod(lambda x: torch.log_softmax(x, -1))

    @staticmethod
    def forward(ctx, input):
        return LogSoftmax.run(ctx, input)


class Linear(Saving):
    compute = staticmethod(lambda x, weight, bias: x @ weight.t() + bias)

    @staticmethod
    def forward(ctx, input, weight, bias):
        return Linear.run(ctx, input, weight, bias)


class MSE(Saving):
    compute = staticmethod(lambda x, target: ((x - target) ** 2).mean())

    @staticmethod
    def forward(ctx, input, target):
        return MSE.run(ctx, input, target)


class BCE(Saving):
    compute = staticmethod(TF.binary_cross_entropy_with_logits)

    @staticmethod
    def forward(ctx, input, target):
        return BCE.run(ctx, input, target)


class SoftmaxNLL(Saving):
    compute = staticmethod(TF.cross_entropy)

    @staticmethod
    def forward(ctx, input, target):
        return SoftmaxNLL.run(ctx, input, target)


class ProbsCE(Saving):
    """Cross-entropy of probabilities: target distribution beside predicted distribution."""

    compute = staticmethod(lambda probs, target: -(target * probs.log()).sum(-1).mean())

    @staticmethod
    def forward(ctx, probs, target):
        return ProbsCE.run(ctx, probs, target)


def one_hot(target: Tensor, like: Tensor) -> Tensor:
    return (target.unsqueeze(1) == torch.arange(like.shape[1])).to(like)


# Inputs: every dimension different, so that a transposition changes a shape.
def table() -> tuple[Any, ...]:
    return (normal(4, 3, seed=1),)


def square() -> tuple[Any, ...]:
    return (normal(4, 4, seed=2),)


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
