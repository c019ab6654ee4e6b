"""Describe a function: its sample inputs, and the reference that they serve as well."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


@dataclass(frozen=True)
class SampleInput:
    """Name one call, with the arguments for a function and its reference alike."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None  # of the global generator, for a function that draws random numbers

    def seeded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Seed the global generator before each call of a function that draws random numbers."""
        if self.seed is None:
            return function

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            torch.manual_seed(self.seed)
            return function(*args, **kwargs)

        return call

    def bind(self, function: Callable[..., Any]) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
        """Bind all arguments but those that are differentiated, and return the values of these, detached.

        The call takes them alone, in their order, and returns one tensor.
        """
        places = [
            place
            for place, value in enumerate(self.args)
            if isinstance(value, Tensor) and value.requires_grad
        ]
        seeded = self.seeded(function)

        def call(*values: Tensor) -> Tensor:
            args = list(self.args)
            for place, value in zip(places, values, strict=True):
                args[place] = value
            return join_outputs(seeded(*args, **self.kwargs))

        return call, tuple(self.args[place].detach() for place in places)


def join_outputs(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Join what a function returns to one tensor, along the last dimension."""
    return outputs if isinstance(outputs, Tensor) else torch.cat(outputs, dim=-1)


class TensorFactory:
    """Make seeded random tensors of one dtype; the same seed gives the same numbers on every device."""

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
    """Describe one function: its wrapper, its class, PyTorch's own with the same arguments, its samples."""

    function: Callable[..., Any]
    function_class: type[Function]
    reference: Callable[..., Any]
    _sample_inputs: Callable[[TensorFactory], Iterator[SampleInput]]

    @property
    def name(self) -> str:
        """The wrapper's name."""
        return self.function.__name__

    def samples(
        self, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 0
    ) -> list[SampleInput]:
        """Make fresh samples, the plainest first; tensors that are differentiated want a gradient."""
        return list(self._sample_inputs(TensorFactory(dtype, device, seed)))
