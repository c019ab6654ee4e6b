"""For each function its sample inputs and PyTorch's counterpart.

This is the one list that tests, gradcheck and exercises read.

A function and its counterpart take the same arguments, so a sample serves both. Dimensions differ from one
another, so that a transposition changes a shape, and no number is near 0, where ReLU has its kink.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional
from torch import Tensor
from torch.autograd import Function

import manualgrad.functions as F


@dataclass(frozen=True)
class Sample:
    """One call: a name, and the arguments for a function and its counterpart alike."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def close(self, function: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
        """Fix all arguments but those that are differentiated.

        Parameters
        ----------
        function : callable
            The function or its counterpart.

        Returns
        -------
        callable
            Takes the differentiated tensors alone, in their order.
        tuple of Tensor
            Their values, detached.
        """
        places = [
            place
            for place, value in enumerate(self.args)
            if isinstance(value, Tensor) and value.requires_grad
        ]

        def call(*values: Tensor) -> Tensor:
            args = list(self.args)
            for place, value in zip(places, values, strict=True):
                args[place] = value
            return function(*args, **self.kwargs)

        return call, tuple(self.args[place].detach() for place in places)


class Draw:
    """Draws seeded tensors of one dtype on one device.

    Parameters
    ----------
    dtype : torch.dtype
        Of all floating-point tensors.
    device : str
        Where they are.
    seed : int
        Same seed, same numbers, on every device.
    """

    def __init__(self, dtype: torch.dtype, device: str, seed: int) -> None:
        self.dtype, self.device = dtype, device
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        """Numbers of either sign, at least 0.1 from 0, that want a gradient."""
        numbers = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        return self._finish(numbers + 0.1 * numbers.sign()).requires_grad_()

    def uniform(self, *shape: int) -> Tensor:
        """Constants between 0.1 and 0.9."""
        return self._finish(0.1 + 0.8 * torch.rand(shape, generator=self.generator, dtype=torch.float64))

    def distribution(self, *shape: int, dim: int) -> Tensor:
        """Positive numbers that sum to 1 over ``dim`` and want a gradient."""
        numbers = 0.1 + torch.rand(shape, generator=self.generator, dtype=torch.float64)
        return self._finish(numbers / numbers.sum(dim, keepdim=True)).requires_grad_()

    def labels(self, classes: int, *shape: int) -> Tensor:
        """Integers from 0 to ``classes - 1``."""
        return torch.randint(classes, shape, generator=self.generator).to(self.device)

    def _finish(self, numbers: Tensor) -> Tensor:
        return numbers.to(self.device, self.dtype)


@dataclass(frozen=True)
class Cases:
    """What is known of one function.

    Attributes
    ----------
    function : callable
        The lower-case wrapper.
    function_class : type
        Its ``torch.autograd.Function``.
    counterpart : callable
        PyTorch's own, with the same arguments.
    """

    function: Callable[..., Tensor]
    function_class: type[Function]
    counterpart: Callable[..., Tensor]
    _draw_samples: Callable[[Draw], Iterator[Sample]]

    @property
    def name(self) -> str:
        """The wrapper's name."""
        return self.function.__name__

    def samples(self, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 0) -> list[Sample]:
        """Fresh samples; the first is the plainest.

        Parameters
        ----------
        dtype : torch.dtype
            Of all floating-point tensors.
        device : str
            Where the tensors are.
        seed : int
            Same seed, same numbers.

        Returns
        -------
        list of Sample
            Tensors that are differentiated have ``requires_grad`` set.
        """
        return list(self._draw_samples(Draw(dtype, device, seed)))


def _elementwise(draw: Draw) -> Iterator[Sample]:
    yield Sample("matrix", (draw.normal(3, 4),))
    yield Sample("one number", (draw.normal(),))
    yield Sample("three dimensions", (draw.normal(2, 3, 5),))
    yield Sample("transposed", (draw.normal(5, 3).detach().t().requires_grad_(),))


def _power(draw: Draw) -> Iterator[Sample]:
    yield Sample("cube", (draw.normal(3, 4), 3))
    for exponent in (0, 1, 2, -1):
        yield Sample(f"exponent {exponent}", (draw.normal(2, 5), exponent))
    yield Sample("square root", (draw.uniform(3, 2).requires_grad_(), 0.5))


def _linear(draw: Draw) -> Iterator[Sample]:
    yield Sample("batch", (draw.normal(3, 4), draw.normal(5, 4), draw.normal(5)))
    yield Sample("no bias", (draw.normal(3, 4), draw.normal(5, 4)))
    yield Sample("one row without a batch", (draw.normal(4), draw.normal(5, 4), draw.normal(5)))
    yield Sample("two batch dimensions", (draw.normal(2, 3, 4), draw.normal(5, 4), draw.normal(5)))
    yield Sample("one-dimensional weight", (draw.normal(3, 4), draw.normal(4)))
    yield Sample("data as input", (draw.normal(3, 4).detach(), draw.normal(5, 4), draw.normal(5)))


def _softmax(draw: Draw) -> Iterator[Sample]:
    yield Sample("matrix", (draw.normal(3, 4),), {"dim": -1})
    yield Sample("first dimension", (draw.normal(3, 4),), {"dim": 0})
    yield Sample("middle of three", (draw.normal(2, 4, 3),), {"dim": 1})
    yield Sample("one row without a batch", (draw.normal(4),), {"dim": 0})


def _nll_loss(draw: Draw) -> Iterator[Sample]:
    yield Sample("labels", (draw.normal(3, 4), draw.labels(4, 3)))
    for reduction in ("mean", "sum", "none"):
        yield Sample(
            f"{reduction}, class weights",
            (draw.normal(3, 4), draw.labels(4, 3), draw.uniform(4)),
            {"reduction": reduction},
        )
    ignored = torch.tensor([1, 2, 1, 0, 3], device=draw.device)
    yield Sample("ignored rows", (draw.normal(5, 4), ignored), {"ignore_index": 1})
    yield Sample("unbatched", (draw.normal(4), draw.labels(4)))
    yield Sample("images", (draw.normal(2, 4, 3, 5), draw.labels(4, 2, 3, 5)))


def _softmax_nll(draw: Draw) -> Iterator[Sample]:
    weight = draw.uniform(4)
    yield Sample("labels", (draw.normal(3, 4), draw.labels(4, 3)))
    for reduction in ("mean", "sum", "none"):
        for smoothing in (0.0, 0.2):
            yield Sample(
                f"{reduction}, class weights, smoothing {smoothing}",
                (draw.normal(3, 4), draw.labels(4, 3), weight),
                {"reduction": reduction, "label_smoothing": smoothing},
            )
    ignored = torch.tensor([1, 2, 1, 0, 3], device=draw.device)
    yield Sample("ignored rows", (draw.normal(5, 4), ignored), {"ignore_index": 1})
    yield Sample(
        "ignored rows, smoothing", (draw.normal(5, 4), ignored), {"ignore_index": 1, "label_smoothing": 0.1}
    )
    yield Sample("unbatched", (draw.normal(4), draw.labels(4)))
    yield Sample("images", (draw.normal(2, 4, 3, 5), draw.labels(4, 2, 3, 5)))
    yield Sample("class probabilities", (draw.normal(3, 4), draw.distribution(3, 4, dim=1)))


def _softmax_cross_entropy(draw: Draw) -> Iterator[Sample]:
    yield Sample("distribution", (draw.normal(3, 4), draw.distribution(3, 4, dim=1)))
    for reduction in ("mean", "sum", "none"):
        yield Sample(
            f"{reduction}, class weights, smoothing",
            (draw.normal(3, 4), draw.distribution(3, 4, dim=1), draw.uniform(4).requires_grad_()),
            {"reduction": reduction, "label_smoothing": 0.2},
        )
    yield Sample("unbatched", (draw.normal(4), draw.distribution(4, dim=0)))
    yield Sample("images", (draw.normal(2, 4, 3), draw.distribution(2, 4, 3, dim=1)))


def _mse_loss(draw: Draw) -> Iterator[Sample]:
    yield Sample("data as target", (draw.normal(3, 4), draw.normal(3, 4).detach()))
    for reduction in ("mean", "sum", "none"):
        yield Sample(reduction, (draw.normal(3, 4), draw.normal(3, 4)), {"reduction": reduction})
    yield Sample("one number", (draw.normal(), draw.normal()))


def _binary_cross_entropy_with_logits(draw: Draw) -> Iterator[Sample]:
    yield Sample("data as target", (draw.normal(3, 4), draw.uniform(3, 4)))
    for reduction in ("mean", "sum", "none"):
        yield Sample(
            f"{reduction}, both weights",
            (draw.normal(3, 4), draw.uniform(3, 4).requires_grad_()),
            {"reduction": reduction, "weight": draw.uniform(3, 1), "pos_weight": draw.uniform(4)},
        )
    yield Sample("one number", (draw.normal(), draw.uniform()))


_ALL = (
    Cases(F.sigmoid, F.Sigmoid, torch.sigmoid, _elementwise),
    Cases(F.tanh, F.Tanh, torch.tanh, _elementwise),
    Cases(F.relu, F.ReLU, torch.nn.functional.relu, _elementwise),
    Cases(F.exp, F.Exp, torch.exp, _elementwise),
    Cases(F.sin, F.Sin, torch.sin, _elementwise),
    Cases(F.power, F.Power, torch.pow, _power),
    Cases(F.linear, F.Linear, torch.nn.functional.linear, _linear),
    Cases(F.mse_loss, F.MSELoss, torch.nn.functional.mse_loss, _mse_loss),
    Cases(F.softmax, F.Softmax, torch.softmax, _softmax),
    Cases(F.nll_loss, F.NLLLoss, torch.nn.functional.nll_loss, _nll_loss),
    Cases(F.softmax_nll, F.SoftmaxNLL, torch.nn.functional.cross_entropy, _softmax_nll),
    Cases(
        F.softmax_cross_entropy,
        F.SoftmaxCrossEntropy,
        torch.nn.functional.cross_entropy,
        _softmax_cross_entropy,
    ),
    Cases(
        F.binary_cross_entropy_with_logits,
        F.BCEWithLogitsLoss,
        torch.nn.functional.binary_cross_entropy_with_logits,
        _binary_cross_entropy_with_logits,
    ),
)

CASES: dict[str, Cases] = {cases.name: cases for cases in _ALL}
