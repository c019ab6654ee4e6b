"""A run: one forward and backward of a subject, and what came of it, argument by argument."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from manualgrad.gradcheck.numeric import Differences, Estimate
from manualgrad.gradcheck.subject import Subject, argument_names
from manualgrad.gradcheck.tolerance import index_of_largest


@dataclass
class Returned:
    """One gradient as a custom ``backward`` returned it, beside its argument's shape, dtype and device."""

    function: type[Function]
    index: int  # of the argument of ``forward``
    position: int | None  # of the subject's argument, where the two are directly connected
    gradient: Tensor | None
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    @property
    def name(self) -> str:
        """The argument's name."""
        return dict(enumerate(argument_names(self.function))).get(self.index, str(self.index))

    @property
    def is_accepted(self) -> bool:
        """Whether the engine takes it, if only after summing it; if not, zeros are put in its place."""
        if self.gradient is None or self.gradient.shape == self.shape:
            return True
        try:
            return torch.broadcast_shapes(self.gradient.shape, self.shape) == self.gradient.shape
        except RuntimeError:
            return False


@dataclass
class Run:
    """One forward and backward of the subject."""

    subject: Subject
    values: list[Any]  # the arguments
    outputs: tuple[Tensor, ...]  # the results that can have a gradient, detached
    differentiable: list[bool]  # which of them autograd follows
    upstream: tuple[Tensor, ...]  # what backward was given, per output
    gradients: dict[int, Tensor | None] = field(default_factory=dict)  # by position, None where there is none
    returned: list[Returned] = field(default_factory=list)  # by the custom backwards
    changed: list[str] = field(default_factory=list)  # in place, what should not have been, as a phrase
    saved: list[Tensor] = field(default_factory=list)  # what the custom backwards could read
    measured: dict[int, "Measurement"] = field(default_factory=dict)  # once it is judged, by position
    floor: float = 0.0  # what is rounding alone, beside the largest gradient of all arguments

    @property
    def is_finite(self) -> bool:
        """Whether every result is."""
        return all(bool(output.isfinite().all()) for output in self.outputs)

    def differences(self, position: int, noise: float | None) -> Differences:
        """Return ``<upstream, results>`` as a function of one argument."""
        kept = [k for k, follows in enumerate(self.differentiable) if follows]
        kept = kept or list(range(len(self.outputs)))

        def function(x: Tensor) -> list[Tensor]:
            moved = [x if i == position else v for i, v in enumerate(self.values)]
            outputs = self.subject.evaluate(moved)
            return [outputs[k] for k in kept]

        base, upstream = ([t[k] for k in kept] for t in (self.outputs, self.upstream))
        return Differences(function, self.values[position], base, upstream, noise)


@dataclass
class Measurement:
    """One argument's gradient in one run, beside what is known of the right one.

    All tensors are on the CPU and in float64, integers and complex numbers excepted.
    """

    run: Run
    position: int
    yours: Tensor
    numeric: Estimate
    noise: float  # of the function, relative
    reference: Tensor | None  # where the reference has a gradient
    wrong: Tensor = field(init=False)  # bool, where yours differs by more than rounding

    @cached_property
    def right(self) -> Tensor:
        """What the reference says, else the differences; NaN where neither is known."""
        if self.reference is None:
            return self.numeric.value
        return torch.where(self.reference.isfinite(), self.reference, self.numeric.value)

    @property
    def name(self) -> str:
        """How a sentence refers to the argument."""
        return self.run.subject.name_of(self.position)

    def entry(self, index: tuple[int, ...]) -> str:
        """Return how a sentence refers to one element."""
        return self.run.subject.entry(self.position, index)

    @property
    def is_wrong(self) -> bool:
        """Whether it is wrong somewhere."""
        return bool(self.wrong.any())

    def worst_index(self) -> tuple[int, ...]:
        """Return the element that differs most, among those that are wrong, or else among those known."""
        error = (self.yours - self.right).abs()
        error = torch.where(self.yours.isfinite() | ~self.right.isfinite(), error, math.inf)
        error = error.nan_to_num(-1.0, math.inf)
        if self.is_wrong:  # between the slopes of a kink, a large difference is right
            error = error.where(self.wrong, -2.0)
        return index_of_largest(error)

    @cached_property
    def upstream(self) -> list[Tensor]:
        """What backward was given, per result."""
        return [_plain(u) for u in self.run.upstream]

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """The arguments that are real tensors, by the name that a sentence gives them."""
        return {
            self.run.subject.name_of(i): _plain(value)
            for i, value in enumerate(self.run.values)
            if isinstance(value, Tensor) and not value.is_complex()
        }

    @cached_property
    def outputs(self) -> dict[str, Tensor]:
        """The results, by the name that a sentence gives them."""
        outputs = self.run.outputs
        return {
            "the output" if len(outputs) == 1 else f"output {k}": _plain(output)
            for k, output in enumerate(outputs)
        }

    @cached_property
    def jacobian(self) -> Tensor | None:
        """Every result's derivative by every element, (results, elements); None if that is too much."""
        return self.run.differences(self.position, self.noise).jacobian()


def _plain(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.is_floating_point() else tensor.cpu()
