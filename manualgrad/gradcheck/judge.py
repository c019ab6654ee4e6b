"""The verdict at one point: yours beside the right gradient, element by element."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.derivative import MOST_DIRECTIONS, Estimate, derivative
from manualgrad.gradcheck.numeric import Evaluator
from manualgrad.gradcheck.recording import Run, StudentError, run
from manualgrad.gradcheck.subject import Subject, copy_of

Upstream = Callable[[Sequence[Tensor]], Sequence[Tensor]]


@dataclass(frozen=True)
class Tolerance:
    """How close is right: relative to an element, and relative to the largest one."""

    relative: float
    absolute: float

    @classmethod
    def of(cls, dtype: torch.dtype) -> "Tolerance":
        """Return what honest rounding in ``dtype`` stays within."""
        # In float64 a factor is left for a mask or a constant that went through float32.
        eps = torch.finfo(dtype).eps
        return cls(1e-5, 1e-6) if dtype == torch.float64 else cls(2 * eps**0.5, 2 * eps**0.5)


@dataclass
class Sample:
    """One point, one upstream gradient, and each judged argument's gradients there.

    All tensors are float64 on the CPU, in the argument's shape.

    Attributes
    ----------
    values : list
        The arguments.
    record : Run
        What was run.
    yours, right : dict
        Per position. ``right`` is NaN where it is not known.
    numeric : dict of Estimate
    reference : dict
        The reference's gradients, for the positions that it has one for.
    wrong : dict
        Per position: where the two differ by more than rounding, bool.
    where : str
        How a sentence refers to the point: empty for the inputs as they came.
    """

    values: list[Any]
    record: Run
    where: str = ""
    yours: dict[int, Tensor] = field(default_factory=dict)
    right: dict[int, Tensor] = field(default_factory=dict)
    numeric: dict[int, Estimate] = field(default_factory=dict)
    reference: dict[int, Tensor] = field(default_factory=dict)
    wrong: dict[int, Tensor] = field(default_factory=dict)

    def any_wrong(self) -> bool:
        """Whether an argument's gradient is wrong here."""
        return any(bool(mask.any()) for mask in self.wrong.values())


def random_upstream(generator: torch.Generator) -> Upstream:
    """Make upstream gradients of random sign and a size between 0.5 and 1.5: none is near zero."""

    def make(outputs: Sequence[Tensor]) -> list[Tensor]:
        return [_random_signed(output, generator) for output in outputs]

    return make


def _random_signed(like: Tensor, generator: torch.Generator) -> Tensor:
    size = torch.rand(like.shape, generator=generator, dtype=torch.float64) + 0.5
    sign = torch.randint(0, 2, like.shape, generator=generator) * 2 - 1
    return (size * sign).to(like)


class Judge:
    """Judges a subject at any point.

    Parameters
    ----------
    subject
        What is judged.
    reference
        The same function by somebody trusted, or None.
    tolerance
        What is close enough.
    generator
        For every random choice.
    """

    def __init__(
        self, subject: Subject, reference: Subject | None, tolerance: Tolerance, generator: torch.Generator
    ) -> None:
        self.subject, self.reference = subject, reference
        self.tolerance, self.generator = tolerance, generator

    def sample(
        self, values: list[Any], upstream: Upstream, where: str = "", directions: int = MOST_DIRECTIONS
    ) -> Sample:
        """Run the student's backward at a point, and find what is right there."""
        record = run(self.subject, values, upstream)
        sample = Sample(values, record, where)
        references = self._reference_gradients(values, record)
        for position in self.subject.checked:
            yours = as_gradient(record.gradients[position], values[position])
            estimate = self.numeric(values, position, record, yours, directions)
            sample.yours[position] = yours
            sample.numeric[position] = estimate
            sample.right[position] = estimate.value.clone()
            if position in references:
                sample.reference[position] = references[position]
                known = references[position].isfinite()
                sample.right[position][known] = references[position][known]
            sample.wrong[position] = self._differs(sample, position)
        return sample

    def numeric(
        self,
        values: list[Any],
        position: int,
        record: Run,
        claimed: Tensor,
        directions: int = MOST_DIRECTIONS,
    ) -> Estimate:
        """Estimate the gradient of one argument by finite differences."""
        finite = claimed[claimed.isfinite()]
        atol = self.tolerance.absolute * float(finite.abs().max()) if len(finite) else 0.0
        evaluator, upstream = self.evaluator(values, position, record)
        return derivative(
            evaluator, upstream, claimed, self.tolerance.relative, atol, directions, self.generator
        )

    def evaluator(
        self, values: list[Any], position: int, record: Run
    ) -> tuple[Evaluator, tuple[Tensor, ...]]:
        """Return the subject as a function of one argument, and the upstream gradients of its results."""
        kept = [k for k, follows in enumerate(record.differentiable) if follows]
        kept = kept or list(range(len(record.outputs)))

        def function(x: Tensor) -> tuple[Tensor, ...]:
            arguments = [copy_of(x) if i == position else copy_of(value) for i, value in enumerate(values)]
            with torch.no_grad():
                outputs = [t for t in self.subject.evaluate(arguments) if t.is_floating_point()]
            return tuple(outputs[k].detach() for k in kept)

        evaluator = Evaluator(function, values[position], batched=self.subject.seed is None)
        return evaluator, tuple(record.upstream[k] for k in kept)

    def close(
        self,
        candidate: Tensor,
        right: Tensor,
        error: Tensor | float = 0.0,
        tolerance: Tolerance | None = None,
    ) -> Tensor:
        """Where two gradients agree up to rounding; unknown elements do."""
        tolerance = tolerance or self.tolerance
        known = right.isfinite()
        size = float(right[known].abs().max()) if bool(known.any()) else 0.0
        bound = tolerance.relative * right.abs() + tolerance.absolute * size + 5 * error
        return ((candidate - right).abs() <= bound) | ~known

    def _differs(self, sample: Sample, position: int) -> Tensor:
        yours, right, estimate = sample.yours[position], sample.right[position], sample.numeric[position]
        error = estimate.error.nan_to_num(0.0, 0.0, 0.0)
        if position in sample.reference:
            # The reference decides at a corner, too: what the slopes leave open there is no allowance.
            return ~self.close(yours, right, error.where(~estimate.kink, 0.0))
        close = self.close(yours, right, error)
        low = torch.minimum(estimate.left, estimate.right)
        high = torch.maximum(estimate.left, estimate.right)
        slack = 1e-3 * (high - low)
        between = (yours >= low - slack) & (yours <= high + slack)
        return ~torch.where(estimate.kink, between, close)

    def _reference_gradients(self, values: list[Any], record: Run) -> dict[int, Tensor]:
        """Return the reference's gradients, if its result is the same as the subject's."""
        if self.reference is None:
            return {}
        try:
            mine = run(self.reference, values[: len(self.reference.values)], lambda _: record.upstream)
        except (StudentError, RuntimeError, ValueError):
            return {}
        if self.forward_difference(record.outputs, mine.outputs):
            return {}
        gradients = {i: g for i, g in mine.gradients.items() if g is not None}
        return {i: as_gradient(g, values[i]) for i, g in gradients.items() if i in self.subject.checked}

    def forward_difference(
        self, yours: Sequence[Tensor], theirs: Sequence[Tensor], tolerance: Tolerance | None = None
    ) -> str:
        """Say how the results of subject and reference differ; empty if they do not."""
        if len(yours) != len(theirs):
            return f"returns {len(yours)} tensors, the reference {len(theirs)}"
        for y, t in zip(yours, theirs, strict=True):
            if y.shape != t.shape:
                return f"returns the shape {tuple(y.shape)}, the reference {tuple(t.shape)}"
            a, b = y.cpu().double(), t.cpu().double()
            differs = ~(self.close(a, b, tolerance=tolerance) | (a == b) | (a.isnan() & b.isnan()))
            if bool(differs.any()):
                index = tuple(differs.nonzero()[0].tolist())
                place = f" at {list(index)}" if index else ""
                return f"returns {a[index]:.6g}{place}, the reference {b[index]:.6g}"
        return ""


def as_gradient(gradient: Tensor | None, value: Tensor) -> Tensor:
    """Return a gradient as float64 on the CPU; none at all counts as zero."""
    if gradient is None:
        return torch.zeros(value.shape, dtype=torch.float64)
    return gradient.detach().cpu().to(torch.float64, copy=True)


def worst_index(sample: Sample, position: int) -> tuple[int, ...]:
    """Return the element that differs most, among those that are wrong, or else among those known."""
    yours, right = sample.yours[position], sample.right[position]
    gap = (yours - right).abs()
    gap = torch.where(yours.isfinite() | ~right.isfinite(), gap, math.inf).nan_to_num(-1.0, math.inf)
    if bool(sample.wrong[position].any()):  # between the slopes of a kink, a large difference is right
        gap = gap.where(sample.wrong[position], -2.0)
    if not gap.numel():
        return ()
    return tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
