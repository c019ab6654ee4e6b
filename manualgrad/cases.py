"""List every function with its sample inputs and its reference, PyTorch's own function.

This is the one list that tests, gradcheck and exercises read.

A function and its reference take the same arguments, so a sample serves both. Dimensions differ from one
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
class SampleInput:
    """Name one call, with the arguments for a function and its reference alike."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def bind(self, function: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
        """Bind all arguments but those that are differentiated.

        Parameters
        ----------
        function : callable
            The function or its reference.

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


class TensorFactory:
    """Make seeded random tensors of one dtype on one device.

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
class FunctionInfo:
    """Describe one function.

    Attributes
    ----------
    function : callable
        The lower-case wrapper.
    function_class : type
        Its ``torch.autograd.Function``.
    reference : callable
        PyTorch's own, with the same arguments.
    """

    function: Callable[..., Tensor]
    function_class: type[Function]
    reference: Callable[..., Tensor]
    _sample_inputs: Callable[[TensorFactory], Iterator[SampleInput]]

    @property
    def name(self) -> str:
        """The wrapper's name."""
        return self.function.__name__

    def samples(
        self, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 0
    ) -> list[SampleInput]:
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
        list of SampleInput
            Tensors that are differentiated have ``requires_grad`` set.
        """
        return list(self._sample_inputs(TensorFactory(dtype, device, seed)))


def _elementwise(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.normal(3, 4),))
    yield SampleInput("one number", (make.normal(),))
    yield SampleInput("three dimensions", (make.normal(2, 3, 5),))
    yield SampleInput("transposed", (make.normal(5, 3).detach().t().requires_grad_(),))


def _power(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("cube", (make.normal(3, 4), 3))
    for exponent in (0, 1, 2, -1):
        yield SampleInput(f"exponent {exponent}", (make.normal(2, 5), exponent))
    yield SampleInput("square root", (make.uniform(3, 2).requires_grad_(), 0.5))


def _linear(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("batch", (make.normal(3, 4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("no bias", (make.normal(3, 4), make.normal(5, 4)))
    yield SampleInput("one row without a batch", (make.normal(4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("two batch dimensions", (make.normal(2, 3, 4), make.normal(5, 4), make.normal(5)))
    yield SampleInput("one-dimensional weight", (make.normal(3, 4), make.normal(4)))
    yield SampleInput("data as input", (make.normal(3, 4).detach(), make.normal(5, 4), make.normal(5)))


def _softmax(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("matrix", (make.normal(3, 4),), {"dim": -1})
    yield SampleInput("first dimension", (make.normal(3, 4),), {"dim": 0})
    yield SampleInput("middle of three", (make.normal(2, 4, 3),), {"dim": 1})
    yield SampleInput("one row without a batch", (make.normal(4),), {"dim": 0})


def _nll_loss(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("labels", (make.normal(3, 4), make.labels(4, 3)))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(
            f"{reduction}, class weights",
            (make.normal(3, 4), make.labels(4, 3), make.uniform(4)),
            {"reduction": reduction},
        )
    ignored = torch.tensor([1, 2, 1, 0, 3], device=make.device)
    yield SampleInput("ignored rows", (make.normal(5, 4), ignored), {"ignore_index": 1})
    yield SampleInput("unbatched", (make.normal(4), make.labels(4)))
    yield SampleInput("images", (make.normal(2, 4, 3, 5), make.labels(4, 2, 3, 5)))


def _softmax_nll(make: TensorFactory) -> Iterator[SampleInput]:
    weight = make.uniform(4)
    yield SampleInput("labels", (make.normal(3, 4), make.labels(4, 3)))
    for reduction in ("mean", "sum", "none"):
        for smoothing in (0.0, 0.2):
            yield SampleInput(
                f"{reduction}, class weights, smoothing {smoothing}",
                (make.normal(3, 4), make.labels(4, 3), weight),
                {"reduction": reduction, "label_smoothing": smoothing},
            )
    ignored = torch.tensor([1, 2, 1, 0, 3], device=make.device)
    yield SampleInput("ignored rows", (make.normal(5, 4), ignored), {"ignore_index": 1})
    yield SampleInput(
        "ignored rows, smoothing", (make.normal(5, 4), ignored), {"ignore_index": 1, "label_smoothing": 0.1}
    )
    yield SampleInput("unbatched", (make.normal(4), make.labels(4)))
    yield SampleInput("images", (make.normal(2, 4, 3, 5), make.labels(4, 2, 3, 5)))
    yield SampleInput("class probabilities", (make.normal(3, 4), make.distribution(3, 4, dim=1)))


def _softmax_cross_entropy(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("distribution", (make.normal(3, 4), make.distribution(3, 4, dim=1)))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(
            f"{reduction}, class weights, smoothing",
            (make.normal(3, 4), make.distribution(3, 4, dim=1), make.uniform(4).requires_grad_()),
            {"reduction": reduction, "label_smoothing": 0.2},
        )
    yield SampleInput("unbatched", (make.normal(4), make.distribution(4, dim=0)))
    yield SampleInput("images", (make.normal(2, 4, 3), make.distribution(2, 4, 3, dim=1)))


def _mse_loss(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("data as target", (make.normal(3, 4), make.normal(3, 4).detach()))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(reduction, (make.normal(3, 4), make.normal(3, 4)), {"reduction": reduction})
    yield SampleInput("one number", (make.normal(), make.normal()))


def _binary_cross_entropy_with_logits(make: TensorFactory) -> Iterator[SampleInput]:
    yield SampleInput("data as target", (make.normal(3, 4), make.uniform(3, 4)))
    for reduction in ("mean", "sum", "none"):
        yield SampleInput(
            f"{reduction}, both weights",
            (make.normal(3, 4), make.uniform(3, 4).requires_grad_()),
            {"reduction": reduction, "weight": make.uniform(3, 1), "pos_weight": make.uniform(4)},
        )
    yield SampleInput("one number", (make.normal(), make.uniform()))


_ALL = (
    FunctionInfo(F.sigmoid, F.Sigmoid, torch.sigmoid, _elementwise),
    FunctionInfo(F.tanh, F.Tanh, torch.tanh, _elementwise),
    FunctionInfo(F.relu, F.ReLU, torch.nn.functional.relu, _elementwise),
    FunctionInfo(F.exp, F.Exp, torch.exp, _elementwise),
    FunctionInfo(F.sin, F.Sin, torch.sin, _elementwise),
    FunctionInfo(F.power, F.Power, torch.pow, _power),
    FunctionInfo(F.linear, F.Linear, torch.nn.functional.linear, _linear),
    FunctionInfo(F.mse_loss, F.MSELoss, torch.nn.functional.mse_loss, _mse_loss),
    FunctionInfo(F.softmax, F.Softmax, torch.softmax, _softmax),
    FunctionInfo(F.nll_loss, F.NLLLoss, torch.nn.functional.nll_loss, _nll_loss),
    FunctionInfo(F.softmax_nll, F.SoftmaxNLL, torch.nn.functional.cross_entropy, _softmax_nll),
    FunctionInfo(
        F.softmax_cross_entropy,
        F.SoftmaxCrossEntropy,
        torch.nn.functional.cross_entropy,
        _softmax_cross_entropy,
    ),
    FunctionInfo(
        F.binary_cross_entropy_with_logits,
        F.BCEWithLogitsLoss,
        torch.nn.functional.binary_cross_entropy_with_logits,
        _binary_cross_entropy_with_logits,
    ),
)

FUNCTIONS: dict[str, FunctionInfo] = {info.name: info for info in _ALL}
